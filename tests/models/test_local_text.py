"""From logits to tokens to text: what is drawn, what is shown, and what is never shown."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.models.local.prompt import folded, plain
from ragweave.orchestrator.models.local.sampling import Drawing, choose
from ragweave.orchestrator.models.local.speech import Speech, overlap


def of_bytes(tokens: list[int]) -> str:
    """The text of tokens that are a byte each."""
    return bytes(tokens).decode("utf-8", "replace")


def spoken(text: str, stop: list[str]) -> tuple[str, bool]:
    """What is shown of a text that arrives byte by byte, and whether it was stopped."""
    speech = Speech(of_bytes, stop)
    shown = ""
    for token in text.encode():
        piece = speech.feed(token)
        assert "\ufffd" not in piece
        shown += piece
        if speech.stopped:
            break
    return shown + speech.end(), speech.stopped


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=40))
def test_pieces_join_to_the_whole_text(text: str) -> None:
    assert spoken(text, []) == (text, False)


@given(text=st.text(alphabet="abé", max_size=40), stop=st.lists(st.text(alphabet="abé", min_size=1, max_size=5)))
def test_a_text_ends_before_the_first_stop_string_that_is_complete(text: str, stop: list[str]) -> None:
    shown, stopped = spoken(text, stop)
    ends = {text.find(one) + len(one): text.find(one) for one in stop if one in text}
    assert stopped == bool(ends)
    assert shown == (text[: min(text.find(one) for one in stop if text[: min(ends)].endswith(one))] if ends else text)


def test_nothing_of_a_stop_string_is_shown_before_it_is_complete() -> None:
    speech = Speech(of_bytes, ["\nUser:"])
    shown = [speech.feed(token) for token in b"Hi\nUse it\nUser: x"]
    assert "".join(shown[:2]) == "Hi"
    assert "".join(shown) == "Hi\nUse it"
    assert speech.stopped
    assert speech.end() == ""


def test_what_looked_like_a_stop_string_is_shown_at_the_end() -> None:
    assert spoken("a\nUse", ["\nUser:"]) == ("a\nUse", False)


def test_bytes_that_are_no_text_do_not_hold_the_rest_back() -> None:
    speech = Speech(of_bytes)
    shown = "".join(speech.feed(token) for token in b"\xf0" * 20 + b"ok")
    assert (shown + speech.end()).endswith("ok")


@pytest.mark.parametrize(
    ("text", "stop", "length"), [("ab", "bc", 1), ("ab", "ab", 0), ("abab", "abac", 2), ("", "a", 0)]
)
def test_overlap(text: str, stop: str, length: int) -> None:
    assert overlap(text, stop) == length


def drawn(weights: list[float], drawing: Drawing, times: int = 1) -> Counter[int | None]:
    import torch

    logits = torch.tensor([weights]).log()
    return Counter(choose(logits, [drawing])[0] for _ in range(times))


def test_temperature_0_takes_the_likeliest() -> None:
    assert drawn([0.2, 0.5, 0.3], Drawing()) == {1: 1}


def test_draws_are_as_frequent_as_they_are_likely() -> None:
    found = drawn([0.1, 0.6, 0.3], Drawing(1.0, 1.0, random.Random(5)), 3000)
    assert [round(found[token] / 3000, 1) for token in range(3)] == [0.1, 0.6, 0.3]
    hot = drawn([0.1, 0.6, 0.3], Drawing(50.0, 1.0, random.Random(5)), 3000)
    assert all(abs(hot[token] / 3000 - 1 / 3) < 0.05 for token in range(3))


def test_top_p_leaves_out_what_is_unlikely() -> None:
    found = drawn([0.1, 0.6, 0.3], Drawing(1.0, 0.7, random.Random(5)), 500)
    assert set(found) == {1, 2}
    assert set(drawn([0.1, 0.6, 0.3], Drawing(1.0, 0.5, random.Random(5)), 200)) == {1}


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 1000), top_p=st.sampled_from([0.1, 0.5, 0.9, 0.999, 1.0]), flat=st.booleans())
def test_looking_at_the_likeliest_first_draws_what_sorting_everything_draws(
    seed: int, top_p: float, flat: bool
) -> None:
    import torch

    logits = torch.randn(1, 3000, generator=torch.Generator().manual_seed(seed)) * (0.01 if flat else 6)
    number = random.Random(seed).random()
    chances, tokens = torch.softmax(logits[0], -1).double().sort(descending=True)
    sums = chances.cumsum(0)
    mass = float(sums[min(int(torch.searchsorted(sums, top_p)), 2999)]) if top_p < 1 else float(chances.sum())
    place = min(int(torch.searchsorted(sums, number * mass, right=True)), 2999)
    (found,) = choose(logits, [Drawing(1.0, top_p, random.Random(seed))])
    # Of tokens that are equally likely, either way may have another one first.
    likely = torch.softmax(logits[0], -1)
    assert found is not None
    assert likely[found] == likely[tokens[place]]


def test_a_row_that_holds_no_numbers_is_told_from_the_others() -> None:
    import torch

    bad = float("nan")
    logits = torch.tensor([[0.0, 1.0], [bad, 1.0], [1.0, -float("inf")], [-float("inf"), -float("inf")]])
    assert choose(logits, [Drawing()] * 4) == [1, None, 0, None]


def test_a_conversation_in_plain_words() -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert plain(turns) == "System: Be brief.\nUser: Hi\nAssistant:"


def test_a_conversation_for_templates_that_want_roles_in_turn() -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Ho"},
        {"role": "user", "content": "One"},
        {"role": "user", "content": "Two"},
    ]
    assert folded(turns) == [
        {"role": "user", "content": "Be brief.\n\nHi"},
        {"role": "assistant", "content": "Ho"},
        {"role": "user", "content": "One\n\nTwo"},
    ]
    assert turns[1] == {"role": "user", "content": "Hi"}
