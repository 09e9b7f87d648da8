"""Open questions of parked runs, told from the store alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.fold import fold_all
from ragweave.orchestrator.stores import Store
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.memory import MemoryStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from ragweave.orchestrator.stores.waiting import open_asks, waiting
from ragweave.orchestrator.values import Ask
from tests.engine.steps import N, ask, build, idle


async def judge(n: int, ctx: Context) -> N | Ask:
    """Asks about every odd number."""
    if n % 2 and not ctx.answers:
        return ask(f"Take {n}?", "boolean")
    return {"n": n}


def asking(store: Store) -> Graph:
    """Two graphs deep, three calls that ask, beside one that asks nothing."""
    inner = build({"judge": judge}, "start -> judge -> end", name="inner")
    return build(
        {
            "each": {"type": inner, "map": {"over": "numbers", "as": "n"}, "writes": {"n": "judged"}},
            "own": {"type": judge, "writes": {"n": "m"}},
            "j": idle,
        },
        "start -> each, own -> j -> end",
        inputs={"numbers": "list[int]", "n": "int"},
        outputs=["judged"],
        name="outer",
        store=store,
    )


def stores(folder: Path) -> list[Store]:
    return [MemoryStore(), DurableStore(SqliteDatabase(folder / "runs.sqlite"))]


@pytest.mark.parametrize("which", [0, 1], ids=["memory", "sqlite"])
async def test_open_questions_are_told_without_the_graph(which: int, tmp_path: Path) -> None:
    store = stores(tmp_path)[which]
    graph = asking(store)
    result = await graph.arun(numbers=[1, 2, 3], n=5, thread_id="t", user="ann")
    await graph.arun(numbers=[], n=2)  # asks nothing
    paths = ["each#1[0]/judge#1", "each#1[2]/judge#1", "own#1"]
    found = await graph.waiting()
    assert found == await waiting(store)
    assert sorted(one.path for one in found) == sorted(result.asks) == paths
    first = next(one for one in found if one.path == paths[0])
    assert (first.run_id, first.thread_id, first.graph, first.user) == (result.run_id, "t", "outer", "ann")
    assert (first.question, first.schema) == ("Take 1?", {"type": "boolean"})
    assert 0 < (await store.record(result.run_id)).changed - first.since < 60  # type: ignore[union-attr]
    await graph.aresume(result.run_id, answers={paths[1]: True})
    assert {one.path for one in await waiting(store)} == {paths[0], paths[2]}
    assert not await waiting(store, thread_id="other")
    assert not await waiting(store, graph="inner")
    await graph.aresume(result.run_id, answers={paths[0]: True, paths[2]: False})
    assert await waiting(store) == []
    await store.close()


async def test_what_is_open_is_what_a_resume_takes_for_open() -> None:
    store = MemoryStore()
    graph = asking(store)
    result = await graph.arun(numbers=[1, 3, 5], n=7)
    left = dict(result.asks)
    while left:
        path, _ = left.popitem()
        result = await graph.aresume(result.run_id, answers={path: True})
        assert dict(result.asks).keys() == left.keys()
    events: Sequence[Event] = await store.events(result.run_id)
    for count in range(1, len(events) + 1):
        assert open_asks(events[:count]).keys() == fold_all(graph.plan, events[:count]).asks.keys()


def test_a_question_that_is_none_is_told() -> None:
    with pytest.raises(JournalError, match="no question at 'a#1'"):
        open_asks([Event("asked", data={"path": "a#1", "ask": {"text": "?"}})])
