"""Tests of one check, whole and while a text grows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence

import pytest

from ragweave.orchestrator.guardrails.check import Check, Finding, Subject

WORDS = (
    "the",
    "eggs",
    "1990",
    "call",
    "(",
    ")",
    "[",
    "]",
    "!",
    "<b>",
    "a@b.example",
    "https://",
    "x.example/a?b=1",
    "é",
    "日本語",
    "password:",
    "+44 20",
    "7946",
    "0958",
    "\n",
    "\u200b",
    "```",
    "{",
    "}",
    "-----BEGIN",
    "no",
    "not",
    "3.5",
    "%",
    "'",
    '"',
)
"""Pieces of texts on which a check is tried besides those that it is to find something in."""


@pytest.fixture
def tries() -> int:
    """How many texts are put together; override it with less for a check that takes long."""
    return 60


def test_what_is_faulty_is_found(check: Check, faulty: Sequence[str]) -> None:
    """Each of the faulty texts has a place, with a label."""
    for text in faulty:
        found = _find(check, text)
        assert found, f"nothing was found in {text!r}"
        assert all(one.label and one.label == one.label.upper() for one in found)


def test_nothing_is_found_in_nothing(check: Check) -> None:
    """An empty text has no place that has characters."""
    assert [one for one in _find(check, "") if one.end > one.begin] == []


def test_places_are_in_order_within_the_text_and_apart(check: Check, faulty: Sequence[str], tries: int) -> None:
    """What `find` promises, on texts put together of faulty ones and others."""
    for text in texts(faulty, tries):
        reached = 0
        for one in _find(check, text):
            assert reached <= one.begin <= one.end <= len(text), f"{one} in {text!r}"
            assert 0 <= one.score <= 1
            reached = one.end


def test_the_same_is_found_again(check: Check, faulty: Sequence[str], tries: int) -> None:
    """A check keeps nothing of one text for the next."""
    tried = list(texts(faulty, tries))
    first = [_find(check, text) for text in tried]
    assert [_find(check, text) for text in reversed(tried)] == first[::-1]


def test_a_text_that_grows_is_decided_once(check: Check, faulty: Sequence[str], tries: int) -> None:
    """What begins in the decided part of a beginning is what begins there in the whole text, and no more than `window`
    characters are undecided. A check without a window decides nothing before the end."""
    for text in texts(faulty, tries):
        whole = _find(check, text)
        for length in sorted({*range(0, len(text), max(1, len(text) // 24)), len(text) - 1} - {-1}):
            begun = text[:length]
            decided = check.decided(begun)
            assert 0 <= decided <= length
            if check.window is None:
                assert decided == 0
                continue
            assert length - decided <= check.window, f"{length - decided} characters of {begun!r} are undecided"
            now = _begins(_find(check, begun), decided)
            assert now == _begins(whole, decided), f"after {begun!r} came {text[length:]!r}"


def texts(faulty: Sequence[str], tries: int) -> Iterator[str]:
    """Faulty texts as they are, and cut and joined with others by a fixed lot."""
    yield from faulty
    lot = random.Random(7)
    for _ in range(tries):
        parts = [
            lot.choice(WORDS) if lot.random() < 0.6 else _cut(lot.choice(faulty), lot)
            for _ in range(lot.randint(1, 12))
        ]
        yield lot.choice(("", " ", "\n")).join(parts)


def _cut(text: str, lot: random.Random) -> str:
    begin = lot.randint(0, max(0, len(text) - 1)) if lot.random() < 0.5 else 0
    return text[begin : lot.randint(begin, len(text))] if lot.random() < 0.5 else text[begin:]


def _begins(found: Sequence[Finding], decided: int) -> list[tuple[int, str]]:
    return [(one.begin, one.label) for one in found if one.begin < decided]


def _find(check: Check, text: str) -> list[Finding]:
    return list(asyncio.run(_found(check, text)))


async def _found(check: Check, text: str) -> Sequence[Finding]:
    return await check.find(text, Subject())
