"""What runs carry along their edges: accumulating keys, joins, merges (R9, R11 to R13)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ragweave.orchestrator import merges
from ragweave.orchestrator.running.state import (
    ORIGINS,
    Log,
    MergeFailed,
    State,
    Write,
    join,
    merged,
    origin_bit,
    origin_names,
    origin_of,
    read,
)
from ragweave.orchestrator.values import Document
from tests.engine.steps import K, build, idle


class LogsAreLists(RuleBasedStateMachine):
    """Versions of a log, each beside the plain list of (write, item) pairs that it stands for."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.versions: list[tuple[Log, list[tuple[int, str]]]] = []

    @initialize(items=st.lists(st.text(max_size=2), max_size=3))
    def start(self, items: list[str]) -> None:
        self.versions.append((Log(list(items)), [(-at - 1, item) for at, item in enumerate(items)]))

    @rule(which=st.integers(0, 10**6), items=st.lists(st.text(max_size=2), max_size=3), origin=st.integers(0, 63))
    def add(self, which: int, items: list[str], origin: int) -> None:
        log, model = self.versions[which % len(self.versions)]
        fresh = []
        for item in items:
            self.number += 1
            fresh.append((self.number, item))
        grown = log.added(items, origin)
        assert grown.origin == log.origin | origin
        self.versions.append((grown, model + fresh))

    @rule(one=st.integers(0, 10**6), other=st.integers(0, 10**6))
    def join(self, one: int, other: int) -> None:
        left, left_model = self.versions[one % len(self.versions)]
        right, right_model = self.versions[other % len(self.versions)]
        model = left_model + [pair for pair in right_model if pair not in left_model]
        if left_model == right_model[: len(left_model)]:
            model = right_model
        self.versions.append((left.joined(right), model))

    @invariant()
    def every_version_is_still_its_list(self) -> None:
        for log, model in self.versions:
            items = [item for _, item in model]
            assert list(log) == items
            assert log == items
            assert len(log) == len(items)
            assert log.items() == items
            assert log[:2] == items[:2]
            assert log[-1:] == items[-1:]
            assert [log[at] for at in range(-len(items), len(items))] == items * 2
            assert log + ["x"] == [*items, "x"]  # noqa: RUF005 - adding is what is tested
            assert ["x"] + log == ["x", *items]  # noqa: RUF005
            assert repr(log) == repr(items)
            for at in (len(items), -len(items) - 1):
                with pytest.raises(IndexError):
                    log[at]


LogsAreLists.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
test_logs_are_lists = LogsAreLists.TestCase


def test_adding_to_a_log_costs_the_same_at_any_length() -> None:
    log = Log()
    for at in range(20_000):
        log = log.added([at])
    assert log._items is log.added([0])._items
    assert len(log) == 20_000


def test_a_log_that_adds_itself() -> None:
    log = Log(["a", "b"])
    assert list(log.added(log)) == ["a", "b", "a", "b"]


async def test_accumulating_keys_keep_every_write_in_the_order_of_the_edges() -> None:
    def say(*words: str) -> Any:
        async def write(k: list[str]) -> K:
            assert isinstance(k, Sequence)
            return {"k": list(words)}

        return write

    graph = build(
        {"a": say("a"), "b": say("b1", "b2"), "c": say("c"), "d": idle, "j": say("j")},
        "start -> a -> b, c, d",
        "c, b, d -> j -> end",
        inputs={},
        outputs=["k"],
        state={"k": {"type": "list[str]", "accumulate": True}},
    )
    result = (await graph.arun())["k"]
    assert result == ["a", "c", "b1", "b2", "j"]
    assert type(result) is list


async def test_an_accumulating_input_starts_the_list_and_loops_add_to_it() -> None:
    async def more(k: list[str]) -> K:
        return {"k": [str(len(k))]}

    graph = build(
        {"a": more},
        "start -> a",
        {"from": "a", "routes": [{"when": "size(k) < 5", "to": "a", "max_iterations": 9}, {"to": "end"}]},
        inputs={"k": "list[str]"},
        outputs=["k"],
        state={"k": {"accumulate": True}},
    )
    given_list = ["x", "y"]
    assert (await graph.arun(k=given_list))["k"] == ["x", "y", "2", "3", "4"]
    assert given_list == ["x", "y"]
    assert (await graph.arun(k=given_list))["k"] == ["x", "y", "2", "3", "4"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(max_size=2), max_size=3), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_parallel_writers_of_an_accumulating_key_in_any_schedule(words: list[list[str]], random: Any) -> None:
    names = [f"n{at}" for at in range(len(words))]

    def writer(mine: list[str], turns: int) -> Any:
        async def write() -> K:
            for _ in range(turns):
                await asyncio.sleep(0)
            return {"k": mine}

        return write

    nodes = {name: writer(mine, random.randrange(4)) for name, mine in zip(names, words, strict=True)}
    order = random.sample(names, len(names))
    graph = build(
        {**nodes, "j": idle},
        f"start -> {', '.join(names)}",
        f"{', '.join(order)} -> j -> end",
        inputs={},
        outputs=["k"],
        state={"k": {"type": "list[str]", "accumulate": True, "default": ["first"]}},
    )
    expected = ["first", *(word for name in order for word in words[names.index(name)])]
    assert asyncio.run(graph.arun())["k"] == expected


# --- joins ---


@st.composite
def joins(draw: st.DrawFn) -> tuple[list[list[Write]], list[int]]:
    """Some writes spread over states, and a forward order among their nodes."""
    count = draw(st.integers(1, 5))
    reach = [0] * count
    for node in range(count - 1, -1, -1):
        for later in range(node + 1, count):
            if draw(st.booleans()):
                reach[node] |= reach[later] | 1 << later
    pool = [Write(f"w{at}", draw(st.integers(0, count - 1)), draw(st.integers(0, 63))) for at in range(5)]
    writes = st.lists(st.sampled_from(pool), min_size=1, max_size=3, unique=True)
    return [newest(one, reach) for one in draw(st.lists(writes, min_size=1, max_size=4))], reach


def newest(writes: list[Write], reach: list[int]) -> list[Write]:
    """Without those that another of them replaced."""
    return [write for write in writes if not any(reach[write.node] >> other.node & 1 for other in writes)]


@given(joins())
def test_a_join_is_the_union_without_what_was_replaced(case: tuple[list[list[Write]], list[int]]) -> None:
    given_states, reach = case
    states: list[State] = [{"k": writes[0] if len(writes) == 1 else tuple(writes)} for writes in given_states]
    union: list[Write] = []
    for writes in given_states:
        union += [write for write in writes if write not in union]
    expected = newest(union, reach)
    before = [dict(state) for state in states]
    entry = join(states, reach)["k"]
    assert list(entry if isinstance(entry, tuple) else [entry]) == expected
    assert states == before
    assert origin_of(entry) == _mask(expected)


def _mask(writes: Iterable[Write]) -> int:
    mask = 0
    for write in writes:
        mask |= write.origin
    return mask


def test_a_join_keeps_keys_that_only_some_states_have() -> None:
    one, two = Write(1, 0), Write(2, 1)
    assert join([{"a": one}, {"b": two}, {}], [0, 0]) == {"a": one, "b": two}


def test_reading_several_writes_needs_a_merge() -> None:
    state: State = {"k": (Write(1, 1), Write(2, 2)), "one": Write(3, 1)}
    assert read(state, "one", {}) == 3
    assert read(state, "k", {"k": sum}) == 3
    with pytest.raises(MergeFailed, match="'k' has 2 parallel writes and no merge"):
        read(state, "k", {})
    with pytest.raises(KeyError):
        read(state, "absent", {})


def test_origins_are_sets_of_names() -> None:
    assert [origin_names(origin_bit(name)) for name in ORIGINS] == [(name,) for name in ORIGINS]
    assert origin_names(0) == ()
    assert origin_bit("") == 0
    assert origin_names(origin_bit("user") | origin_bit("model")) == ("user", "model")


# --- merges ---

LISTS = st.lists(st.lists(st.integers(0, 5), max_size=5), max_size=4)


@given(LISTS)
def test_extend_and_union(values: list[list[int]]) -> None:
    everything = [item for value in values for item in value]
    assert merges.extend(values) == everything
    assert merges.union(values) == list(dict.fromkeys(everything))


@given(st.lists(st.integers(), min_size=1, max_size=5))
def test_first_last_sum_min_max(values: list[int]) -> None:
    assert merges.first(values) == values[0]
    assert merges.last(values) == values[-1]
    assert merges.total(values) == sum(values)
    assert merges.smallest(values) == min(values)
    assert merges.largest(values) == max(values)


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=6, unique=True), max_size=4))
def test_rrf_is_its_formula(ranked: list[list[str]]) -> None:
    values = [[Document(id=name, text=name, score=9.0) for name in one] for one in ranked]
    result = merges.rrf(values)
    assert merges.rrf([*values, []]) == result
    if sum(map(bool, values)) < 2:  # nothing to fuse: scores stay as they are
        assert result == [document for value in values for document in value]
        return
    scores = {
        name: sum(1 / (60 + one.index(name) + 1) for one in ranked if name in one) for name in set().union(*ranked)
    }
    assert {document.id: pytest.approx(document.score) for document in result} == scores
    assert [document.score for document in result] == sorted((one.score for one in result), reverse=True)


@given(st.lists(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 9)), max_size=6), max_size=4))
def test_best_gives_each_document_its_best_score(ranked: list[list[tuple[str, int]]]) -> None:
    values = [[Document(id=name, text=name, score=score) for name, score in one] for one in ranked]
    result = merges.best(values)
    highest: dict[str, float] = {}
    for name, score in [pair for one in ranked for pair in one]:
        highest[name] = max(score, highest.get(name, 0.0))
    assert {document.id: document.score for document in result} == highest
    # Ties stay in the order in which the lists first name them.
    assert [document.id for document in result] == sorted(highest, key=lambda name: -highest[name])


def test_best_keeps_the_order_of_what_has_no_scores() -> None:
    assert merges.best([["b", "a"], ["a", "c"]]) == ["b", "a", "c"]


def test_union_knows_documents_by_id_and_things_without_a_hash_by_their_text() -> None:
    one, again, two = Document(id="1", text="a"), Document(id="1", text="b"), Document(id="2", text="a")
    assert merges.union([[one, two], [again]]) == [one, two]
    assert merges.union([[{"a": 1}], [{"a": 1}, {"a": 2}]]) == [{"a": 1}, {"a": 2}]


def test_a_merge_that_fails_names_the_key() -> None:
    with pytest.raises(MergeFailed, match="the merge of 2 values of 'k' failed: "):
        merged(merges.total, "k", ["a", "b"])


async def test_a_merge_is_called_once_for_each_reader() -> None:
    from ragweave.orchestrator import registry

    calls: list[list[list[str]]] = []

    def noting(values: list[list[str]]) -> list[str]:
        calls.append(values)
        return [word for value in values for word in value]

    class R(TypedDict):
        r: list[str]

    async def reads(k: list[str]) -> R:
        return {"r": k}

    async def a() -> K:
        return {"k": ["a"]}

    async def b() -> K:
        return {"k": ["b"]}

    with registry.scope():
        registry.add("merges", "t_noting", noting)
        graph = build(
            {"a": a, "b": b, "j": reads},
            "start -> b, a",
            "a, b -> j -> end",
            inputs={},
            outputs=["r"],
            state={"k": {"merge": "t_noting"}},
        )
        assert (await graph.arun())["r"] == ["a", "b"]
    assert calls == [[["a"], ["b"]]]
