"""`cache`: the result of an equal call is used again for some time (R16)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypedDict

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.stores.memory import MemoryStore
from ragweave.orchestrator.values import Ask, Document
from tests.engine.steps import M, N, R, ask, build, events


class Counted(Node):
    """Adds `by`, and counts its calls."""

    by: int = 1

    async def __call__(self, n: int) -> N:
        CALLS.append(n)
        return {"n": n + self.by}


CALLS: list[int] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    CALLS.clear()


def caching(**more: Any) -> Any:
    return build({"a": {"type": Counted, "cache": {"ttl": "1m"}, **more}}, "start -> a -> end")


async def test_an_equal_call_is_answered_from_the_store_and_journaled_as_a_hit() -> None:
    graph = caching()
    first = await graph.arun(n=1)
    second = await graph.arun(n=1)
    third = await graph.arun(n=2)
    assert CALLS == [1, 2]
    assert [result["n"] for result in (first, second, third)] == [2, 2, 3]
    kinds = [[event.kind for event in await events(graph, result.run_id)] for result in (first, second, third)]
    assert kinds[0] == kinds[2] == ["run_started", "finished", "run_done"]
    assert kinds[1] == ["run_started", "cached", "finished", "run_done"]


async def test_other_settings_are_another_call() -> None:
    store = MemoryStore()
    for by in (1, 2, 1):
        graph = build({"a": {"type": Counted, "by": by, "cache": {}}}, "start -> a -> end", store=store)
        assert (await graph.arun(n=1))["n"] == 1 + by
    assert CALLS == [1, 1]


async def test_a_result_that_is_too_old_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr("ragweave.orchestrator.stores.memory.time.monotonic", lambda: now)
    graph = caching()
    await graph.arun(n=1)
    now += 59.0
    await graph.arun(n=1)
    assert CALLS == [1]
    now += 2.0
    await graph.arun(n=1)
    assert CALLS == [1, 1]


async def test_two_nodes_that_write_under_other_names_do_not_share_results() -> None:
    class Both(TypedDict):
        n: int
        m: int

    graph = build(
        {
            "a": {"type": Counted, "cache": {}},
            "b": {"type": Counted, "cache": {}, "reads": {"n": "m"}, "writes": {"n": "m"}},
        },
        "start -> a -> b -> end",
        inputs={"n": "int", "m": "int"},
        outputs=["n", "m"],
    )
    assert (await graph.arun(n=1, m=1)).outputs == {"n": 2, "m": 2}


async def test_functions_of_one_name_that_do_different_things_do_not_share_results() -> None:
    def plus(by: int) -> Callable[..., Any]:
        async def add(n: int) -> N:
            return {"n": n + by}

        return add

    store = MemoryStore()
    for by in (1, 10):
        graph = build({"a": {"type": plus(by), "cache": {}}}, "start -> a -> end", store=store)
        assert (await graph.arun(n=1))["n"] == 1 + by


async def test_an_ask_is_not_kept() -> None:
    async def asks(n: int, ctx: Context) -> N | Ask:
        CALLS.append(n)
        return {"n": ctx.answers[0]} if ctx.answers else ask("n?", "integer")

    graph = build({"a": {"type": asks, "cache": {}}}, "start -> a -> end")
    for _ in range(2):
        assert (await graph.arun(n=1)).status == "parked"
    assert CALLS == [1, 1]


async def test_an_error_is_not_kept() -> None:
    async def flaky(n: int) -> N:
        CALLS.append(n)
        if len(CALLS) == 1:
            raise ConnectionError
        return {"n": n}

    graph = build({"a": {"type": flaky, "cache": {}, "fallback": [{"type": Counted}]}}, "start -> a -> end")
    await graph.arun(n=1)
    assert (await graph.arun(n=1))["n"] == 1
    assert (await graph.arun(n=1))["n"] == 1
    assert CALLS == [1, 1, 1]


async def test_the_items_of_a_map_are_kept_one_by_one() -> None:
    calls: list[str] = []

    async def work(item: Document) -> R:
        calls.append(item.id)
        return {"r": item.text}

    graph = build(
        {"m": {"type": work, "map": {"over": "docs", "as": "item", "max_concurrency": 1}, "cache": {}}},
        "start -> m -> end",
        inputs={"docs": "list[Document]"},
        outputs=["r"],
    )
    one, two, other = (Document(id=name, text=name) for name in ("1", "2", "2b"))
    await graph.arun(docs=[one, two])
    assert (await graph.arun(docs=[two, other, one]))["r"] == ["2", "2b", "1"]
    assert calls == ["1", "2", "2b"]


async def test_the_store_keeps_no_more_results_than_it_says() -> None:
    store = MemoryStore(keep_cached=3)
    graph = build({"a": {"type": Counted, "cache": {}}}, "start -> a -> end", store=store)
    for n in (1, 2, 3, 4, 1):
        await graph.arun(n=n)
    assert CALLS == [1, 2, 3, 4, 1]


async def test_optional_reads_that_are_absent_are_part_of_the_key() -> None:
    async def reads(n: int, m: int = 0) -> N:
        CALLS.append(m)
        return {"n": n + m}

    async def write() -> M:
        return {"m": 5}

    store = MemoryStore()
    alone = build({"a": {"type": reads, "cache": {}}}, "start -> a -> end", store=store)
    after = build({"w": write, "a": {"type": reads, "cache": {}}}, "start -> w -> a -> end", store=store)
    assert [(await graph.arun(n=1))["n"] for graph in (alone, after, alone, after)] == [1, 6, 1, 6]
    assert CALLS == [0, 5]
