"""What stays behind when runs have ended: ids that never repeat, journals that are kept in number, no memory."""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest

from ragweave.orchestrator.errors import NodeError, RunError
from ragweave.orchestrator.running.run import new_run_id
from ragweave.orchestrator.stores.memory import MemoryStore
from ragweave.orchestrator.values import Ask
from tests.engine.steps import N, ask, build, events, inc, status


async def test_ten_thousand_runs_leave_nothing_behind() -> None:
    async def odd(n: int) -> N | Ask:
        await asyncio.sleep(0)
        if n % 10 == 0:
            raise NodeError("ten")
        return ask("n?") if n % 10 == 1 else {"n": n}

    store = MemoryStore(keep=50, keep_open=50)
    graph = build(
        {"a": inc, "b": odd, "c": inc},
        "start -> a -> b, c",
        "b -> end",
        "c -> end",
        state={"n": {"merge": "first"}},
        store=store,
    )

    async def some(count: int) -> None:
        for start in range(0, count, 100):
            await asyncio.gather(
                *(graph.arun(n=start + at, thread_id=f"t{at % 7}") for at in range(100)), return_exceptions=True
            )

    await some(2000)
    gc.collect()
    objects, blocks = len(gc.get_objects()), sys.getallocatedblocks()
    await some(10_000)
    gc.collect()
    assert len(gc.get_objects()) - objects < 500
    assert sys.getallocatedblocks() - blocks < 2000
    assert len(await graph.runs()) == 100
    assert graph._active == {}
    assert graph._threads._waiting == {}


async def test_streams_that_are_left_early_leave_nothing_behind() -> None:
    graph = build({"a": inc}, "start -> a -> end", store=MemoryStore(keep=10, keep_open=10))

    async def some(count: int) -> None:
        for at in range(count):
            stream = graph.stream(n=at)
            await anext(stream)
            await stream.aclose()

    await some(200)
    gc.collect()
    objects = len(gc.get_objects())
    await some(500)
    gc.collect()
    assert len(gc.get_objects()) - objects < 200


def test_run_ids_never_repeat() -> None:
    ids = {new_run_id() for _ in range(10_000)}
    assert len(ids) == 10_000
    assert len({one.split("-")[0] for one in ids}) == 1


async def test_the_newest_runs_are_kept_and_those_that_may_go_on_longer() -> None:
    async def odd(n: int) -> N:
        if n < 0:
            raise NodeError("negative")
        return {"n": n}

    graph = build({"a": odd}, "start -> a -> end", store=MemoryStore(keep=3, keep_open=2))
    failed: list[str] = []
    for n in (-1, 1, 2, 3, 4, -2, -3, 5):
        try:
            await graph.arun(n=n)
        except RunError as error:
            failed.append(error.run_id)
    kept = await graph.runs()
    assert [(await graph.store.events(record.run_id))[0].data["inputs"]["n"] for record in kept] == [3, 4, -2, -3, 5]
    assert [record.run_id for record in await graph.runs(status="failed")] == failed[1:]
    assert await events(graph, failed[0]) == []


async def test_a_run_that_goes_on_is_not_forgotten_meanwhile() -> None:
    async def asks(n: int) -> N | Ask:
        return ask("n?") if n == 0 else {"n": n}

    graph = build({"a": asks}, "start -> a -> end", store=MemoryStore(keep=1, keep_open=1))
    parked = await graph.arun(n=0)
    for n in range(1, 4):
        await graph.arun(n=n)
    assert await status(graph, parked.run_id) == "parked"
    other = await graph.arun(n=0)
    assert await graph.store.record(parked.run_id) is None
    with pytest.raises(Exception, match="no run"):
        await graph.aresume(parked.run_id)
    assert await status(graph, other.run_id) == "parked"
