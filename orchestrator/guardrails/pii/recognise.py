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
_ASIDE = 16
"""How far from a token with a digit a place may go on without one, as in AB 12 34 56 C or NL91 ABNA 0417 1643 00."""


def recognise(text: str, kinds: Collection[str] = KINDS, regions: Sequence[str] = REGIONS) -> list[Place]:
    """The personal data in a text, in its order. Of places that overlap the first is kept, of those that begin together
    the one whose rule comes first."""
    lowered = text.lower()
    stretches = [(begin, end) for begin, end in _stretches(text) if _promises(text[begin:end])]
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


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    """The parts of a text that have digits in them or near, from the start of a word to the end of one."""
    begin = end = -1
    for match in _NUMBERED.finditer(text):
        if match.start() - _ASIDE > end >= 0:
            yield _word(text, begin, end)
            begin = -1
        begin, end = match.start() if begin < 0 else begin, match.end()
    if begin >= 0:
        yield _word(text, begin, end)


def _promises(stretch: str) -> bool:
    """False for counts, years and times: no place of those that are found by digits has less than this."""
    return sum(map(str.isdigit, stretch)) >= 6 or stretch.count(".") >= 3 or stretch.count(":") >= 2


def _word(text: str, begin: int, end: int) -> tuple[int, int]:
    behind = _SPACE.search(text, min(end + _ASIDE, len(text)))
    before = text.rfind(" ", 0, max(begin - _ASIDE, 0))
    return before + 1, behind.start() if behind else len(text)


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
