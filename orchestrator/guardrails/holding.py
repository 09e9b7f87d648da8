"""Texts that are shown while they are written, and never before they are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ragweave.orchestrator.guardrails.check import Check, Subject
from ragweave.orchestrator.guardrails.screening import Found, edit, found_by, verdict_of
from ragweave.orchestrator.values import Verdict

STEP = 24
"""Characters that have to be decided anew before a text is checked again, and one more for each 128 that it has."""


class Shown(NamedTuple):
    """What of a whole text may be shown."""

    text: str
    verdict: Verdict
    hidden: Mapping[str, str]


async def shown(
    checks: Mapping[str, Check], text: str, subject: Subject, hidden: Mapping[str, str] | None = None
) -> Shown:
    """What may be shown of a text that is whole: the text after its checks; of one that is blocked what stands before
    the first place that is, or nothing where a check has to see it all."""
    held = Held(checks, subject, hidden)
    pieces = [await held.feed(text), await held.end()]
    return Shown("".join(pieces), held.verdict, held.hidden)


class Held:
    """A text that grows. Of what was fed, that part is given which is decided, as it may be shown; the pieces given are
    together what `shown` gives for the whole text, however it was cut."""

    def __init__(self, checks: Mapping[str, Check], subject: Subject, hidden: Mapping[str, str] | None = None) -> None:
        self.verdict = Verdict(passed=True)
        """Over the text as far as it is decided; over the whole text after `end`."""
        self.hidden: Mapping[str, str] = hidden or {}
        """The tags that stand in the text, and those of earlier texts."""
        self._before = self.hidden
        self._checks = checks
        self._subject = subject
        self._whole = any(check.window is None for check in checks.values())
        self._window = max((check.window or 0 for check in checks.values()), default=0)
        self.text = ""
        """All that was fed."""
        self._given = 0
        """Characters of the edited text that were given."""
        self.decided = 0
        """Characters of the text that were decided when it was last checked: all behind them is held back."""
        self.ended = False
        """True when nothing more will be given, because the text is blocked or at its end."""

    async def feed(self, piece: str) -> str:
        """What may be shown now that the text goes on with this piece."""
        self.text += piece
        if self._whole or self.ended:
            return ""
        decided = min((check.decided(self.text) for check in self._checks.values()), default=len(self.text))
        late = len(self.text) - self.decided >= self._window
        if decided <= self.decided or (decided - self.decided < STEP + len(self.text) // 128 and not late):
            return ""
        self.decided = decided
        return self._more(await self._found(), decided)

    async def end(self) -> str:
        """The rest that may be shown of the text, which is whole now."""
        if self.ended:
            return ""
        found = await self._found()
        if self._whole and not verdict_of(found).passed:
            self.verdict, self.ended = verdict_of(found), True
            return ""
        more = self._more(found, len(self.text))
        self.ended = True
        return more

    async def _found(self) -> Sequence[Found]:
        return [
            one for name, check in self._checks.items() for one in await found_by(name, check, self.text, self._subject)
        ]

    def _more(self, found: Sequence[Found], decided: int) -> str:
        """What may be shown beyond what was, where all that begins in the first `decided` characters is known."""
        known = [one for one in found if one.finding.begin < decided or decided == len(self.text)]
        blocked = [one.finding.begin for one in known if one.action in ("ask", "block")]
        cut = min([decided, *blocked])
        if not blocked and decided < len(self.text):
            cut = _apart(found, cut)
        self.ended = bool(blocked)
        before = [one for one in known if one.finding.begin < cut]
        text, self.hidden = edit(self.text[:cut], [_within(one, cut) for one in before], self._before)
        self.verdict = verdict_of([one for one in known if one.finding.begin <= cut] if blocked else before)
        more, self._given = text[self._given :], max(self._given, len(text))
        return more


def _apart(found: Sequence[Found], cut: int) -> int:
    """The nearest place before `cut` that is within nothing that was found: that is given when all of it is known."""
    for one in sorted(found, key=lambda one: one.finding.end, reverse=True):
        if one.finding.begin < cut < one.finding.end:
            cut = one.finding.begin
    return cut


def _within(found: Found, cut: int) -> Found:
    finding = found.finding
    return found if finding.end <= cut else found._replace(finding=finding._replace(end=cut))
