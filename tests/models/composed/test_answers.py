"""The stores of kept replies, against a plain account of what they have to hold."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.models.composed.answers import FileAnswers, Kept, MemoryAnswers
from ragweave.orchestrator.models.composed.asked import may_mean_the_same
from ragweave.orchestrator.values import ToolCall

KEYS, GROUPS = st.sampled_from("abcde"), st.sampled_from("xy")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, GROUPS),
        st.tuples(st.just("get"), KEYS),
        st.tuples(st.just("group"), GROUPS),
        st.tuples(st.just("wait"), st.sampled_from([1.0, 4.0, 10.0])),
    ),
    max_size=40,
)


def check(store: MemoryAnswers | FileAnswers, clock: list[float], steps: list[tuple[str, ...]], size: int) -> None:
    """Do the steps beside a list of (key, group, when made), the least used first."""
    known: list[tuple[str, str, float]] = []
    for number, (what, *args) in enumerate(steps):
        clock[0] += 0.001  # no two steps at the same time
        if what == "wait":
            clock[0] += float(args[0])
        known = [one for one in known if clock[0] - one[2] < 10]
        if what == "put":
            known = [one for one in known if one[0] != args[0]]
            known = [*known, (args[0], args[1], clock[0])][-size:]
            store.put(args[0], args[1], Kept((f"{args[0]}{number}",)))
        elif what == "get":
            entry = next((one for one in known if one[0] == args[0]), None)
            found = store.get(args[0])
            assert (found is not None) == (entry is not None)
            if entry is not None:
                known = [*(one for one in known if one is not entry), entry]
        elif what == "group":
            made = sorted((one for one in known if one[1] == args[0]), key=lambda one: -one[2])
            assert [reply.pieces[0][0] for reply in store.group(args[0])] == [one[0] for one in made]
        assert len(store) <= size


@given(STEPS, st.integers(1, 4))
def test_memory_holds_what_it_has_to(steps: list[tuple[str, ...]], size: int) -> None:
    clock = [1000.0]
    check(MemoryAnswers(size, 10.0, lambda: clock[0]), clock, steps, size)


@settings(max_examples=25, deadline=None)
@given(STEPS, st.integers(1, 4))
def test_a_file_holds_what_it_has_to(steps: list[tuple[str, ...]], size: int) -> None:
    clock = [1000.0]
    with tempfile.TemporaryDirectory() as folder:
        store = FileAnswers(Path(folder) / "answers.db", size, 10.0, lambda: clock[0])
        check(store, clock, steps, size)
        store.close()


def test_a_reply_from_the_future_is_too_old(tmp_path: Path) -> None:
    clock = [1000.0]
    store = FileAnswers(tmp_path / "answers.db", 5, 10.0, lambda: clock[0])
    store.put("a", "", Kept(("x",)))
    clock[0] = 500.0
    assert store.get("a") is None
    store.close()


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text()), st.dictionaries(st.text(), json_values), st.floats(0, 1) | st.none(), st.text())
def test_a_reply_comes_back_as_it_was(
    pieces: list[str], arguments: dict[str, object], sure: float | None, question: str
) -> None:
    call = ToolCall(id="1", name="find", arguments=arguments)
    reply = Kept(tuple(pieces), (call,), "stop", sure, question, (0.5, -0.25))
    assert Kept.from_json(reply.to_json()) == reply


@pytest.mark.parametrize("text", ["", "[", "{}", '[[], [], 1, null, "", []]', '[[1], [], "", null, "", []]', "null"])
def test_what_is_no_reply_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a kept reply"):
        Kept.from_json(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Who was king in 1901?", "In 1901, who was king?", True),
        ("Who was king in 1901?", "Who was king in 1902?", False),
        ("Is it on?", "Isn't it on?", False),
        ("Tea with milk?", "Tea without milk?", False),
        ("At 1.50?", "At 1,50?", False),
    ],
)
def test_numbers_and_negations_tell_questions_apart(one: str, other: str, same: bool) -> None:
    assert may_mean_the_same(one, other) is same
