"""The check `pii`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, field_validator

from ragweave.orchestrator.errors import did_you_mean
from ragweave.orchestrator.guardrails.check import Action, Check, Finding, Subject
from ragweave.orchestrator.guardrails.pii.phones import REGIONS
from ragweave.orchestrator.guardrails.pii.recognise import BEHIND, recognise
from ragweave.orchestrator.guardrails.pii.rules import KINDS

_LONGEST = 420
"""Characters of the longest place: an address of e-mail with 64 before the @ and five parts of 63 behind it. A web
address may be longer; only what stands without a space is undecided then."""
_TOKEN = re.compile(r"\S+")
_SHORT = 4
"""Letters in a group of a number that is written in groups, such as an IBAN."""
PUBLIC = ("DOMAIN_NAME",)
"""Kinds that are looked for only where they are asked for: most web addresses are nobody's own."""


class Pii(Check, type="pii"):
    """Personal data: addresses of e-mail, phone and card numbers, bank accounts, numbers of persons and taxes.

    Numbers are told by their checksums (python-stdnum) and numbering plans (phonenumbers), others by the words before
    them. Names and street addresses are not recognised: that takes a model.
    """

    reversible: ClassVar[bool] = True

    action: Action = Field("redact", description="What is done about personal data.")
    kinds: list[str] = Field(
        [kind for kind in KINDS if kind not in PUBLIC],
        min_length=1,
        description="What is looked for.",
    )
    regions: list[str] = Field(
        list(REGIONS), description="Countries (ISO 3166) whose phone numbers are known when written without +."
    )

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: list[str]) -> list[str]:
        for kind in kinds:
            if kind not in KINDS:
                raise ValueError(f"there is no kind {kind!r}{did_you_mean(kind, KINDS)}")
        return kinds

    @field_validator("regions")
    @classmethod
    def _regions(cls, regions: list[str]) -> list[str]:
        for region in regions:
            if not re.fullmatch("[A-Z]{2}", region):
                raise ValueError(f"{region!r} is no country; two capitals are, such as GB")
        return regions

    @property
    def window(self) -> int | None:
        """That of the longest place, with the words behind it that may announce it; None if web addresses count."""
        return None if "DOMAIN_NAME" in self.kinds else _LONGEST + BEHIND

    def decided(self, text: str) -> int:
        """All but the last word, and the numbers from which the end is not far."""
        if self.window is None:
            return 0
        first = max(0, len(text) - self.window)
        tokens = [match.span() for match in _TOKEN.finditer(text, first)]
        if not tokens:
            return len(text)
        cut = tokens[-1][0] if tokens[-1][1] == len(text) else len(text)
        held = [begin for begin, end in tokens if end > len(text) - BEHIND - 1 and _in_groups(text[begin:end])]
        cut = min([cut, *held])
        for begin, end in reversed(tokens):
            if begin < cut:
                if not _in_groups(text[begin:end]):
                    break
                cut = begin
        return max(first, cut)

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """The personal data, by kind."""
        found = recognise(text, self.kinds, self.regions)
        return [Finding(place.begin, place.end, place.label, _reason(place.label), place.score) for place in found]


def _in_groups(token: str) -> bool:
    short = len(token) <= _SHORT and (token.isupper() or not any(map(str.isalpha, token)))
    return short or any(map(str.isdigit, token))


def _reason(label: str) -> str:
    return f"{label.lower().replace('_', ' ')} of a person"
