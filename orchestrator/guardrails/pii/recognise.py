"""Where personal data stands in a text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from ragweave.orchestrator.guardrails.pii.phones import REGIONS, phones
from ragweave.orchestrator.guardrails.pii.rules import KINDS, RULES, Rule

BEFORE, BEHIND = 48, 24
"""How many characters from a number a word may stand that announces it."""


class Place(NamedTuple):
    """Personal data: its characters, its kind, and how sure that is."""

    begin: int
    end: int
    label: str
    score: float


_SPACE = re.compile(r"\s")
_NUMBERED = re.compile(r"\S*\d\S*")
_GAP = 6
"""How far from each other digits of one place may stand: NL91 ABNA 0417."""
_ASIDE = 16
"""How far a place may go on beyond its digits, as in AB 12 34 56 C."""


def recognise(text: str, kinds: Collection[str] = KINDS, regions: Sequence[str] = REGIONS) -> list[Place]:
    """The personal data in a text, in its order. Of places that overlap the first is kept, of those that begin together
    the one whose rule comes first."""
    lowered = text.lower()
    stretches = _stretches(text)
    found: list[tuple[int, int, int, str, float]] = []
    for order, rule in enumerate(RULES):
        if rule.label in kinds and (any(hint in lowered for hint in rule.hints) if rule.hints else stretches):
            score = 1.0 if rule.valid is not None else 0.9
            within = [(0, len(text))] if rule.hints else stretches
            found += [(begin, order, end, rule.label, score) for begin, end in _places(rule, text, within)]
    if "PHONE_NUMBER" in kinds:
        for begin, end, score in phones(text, stretches, regions):
            found.append((begin, len(RULES), end, "PHONE_NUMBER", score))
    taken: list[Place] = []
    for begin, _, end, label, score in sorted(found):
        if not taken or begin >= taken[-1].end:
            taken.append(Place(begin, end, label, score))
    return taken


def _stretches(text: str) -> list[tuple[int, int]]:
    """The parts of a text that have as many digits as a place has, from the start of a word to the end of one."""
    groups: list[tuple[int, int]] = []
    for match in _NUMBERED.finditer(text):
        if groups and match.start() - groups[-1][1] <= _GAP:
            groups[-1] = (groups[-1][0], match.end())
        else:
            groups.append(match.span())
    found: list[tuple[int, int]] = []
    for begin, end in groups:
        if _promises(text[begin:end]):
            behind = _SPACE.search(text, min(end + _ASIDE, len(text)))
            before = text.rfind(" ", 0, max(begin - _ASIDE, 0)) + 1
            first = found.pop()[0] if found and found[-1][1] >= before else before
            found.append((first, behind.start() if behind else len(text)))
    return found


def _promises(stretch: str) -> bool:
    """False for counts, years and times: no place of those that are found by digits has less than this."""
    return sum(map(str.isdigit, stretch)) >= 6 or stretch.count(".") >= 3 or stretch.count(":") >= 2


def _places(rule: Rule, text: str, within: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for first, last in within:
        for match in rule.shape.finditer(text, first, last):
            begin, end = match.span()
            if rule.near is not None:
                before = rule.near.search(text, max(0, begin - BEFORE), begin)
                if not before and not rule.near.search(text, end, end + BEHIND):
                    continue
            if rule.valid is None or rule.valid(match[0]):
                yield begin, end
