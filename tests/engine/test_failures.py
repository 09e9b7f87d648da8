"""Whatever goes wrong in a call, a merge or a store ends the run in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import RunError
from tests.engine.steps import Gate, N, build, events, finished, idle, inc, routes, status


def waiting(gate: Gate) -> Callable[..., Any]:
    async def waits(n: int) -> N:
        await gate.wait()
        return {"n": n + 1}

    return waits


class Loose(BaseException):
    """What no call should raise."""


@pytest.mark.parametrize("error", [SystemExit(3), Loose("loose"), asyncio.CancelledError(), StopIteration()])
@pytest.mark.parametrize("way", ["async", "context", "thread", "inline"])
async def test_whatever_a_call_raises_is_its_own_failure(error: BaseException, way: str) -> None:
    async def direct(n: int) -> N:
        raise error

    async def in_context(n: int, ctx: Context) -> N:
        raise error

    def blocking(n: int) -> N:
        raise error

    kind: Any = {"async": direct, "context": in_context, "thread": blocking, "inline": blocking}[way]
    if way == "inline":
        from ragweave.orchestrator.node import node_type

        kind = node_type(blocking, inline=True)
    graph = build({"a": {"type": kind, "on_error": "x"}, "x": idle}, "start -> a -> end", "x -> end", outputs=[])
    assert (await graph.arun(n=1)).status == "done"
    assert await finished(graph) == ["a#1", "x#1"]
    alone = build({"a": kind}, "start -> a -> end")
    with pytest.raises(RunError) as caught:
        await alone.arun(n=1)
    assert caught.value.path == "a#1"


async def test_a_call_that_awaits_something_cancelled_fails_alone() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()

    async def awaits(n: int) -> N:
        await future
        return {"n": n}

    async def spare(n: int) -> N:
        return {"n": n + 1}

    for policies in ({"fallback": [{"type": spare}]}, {"race": [{"type": spare}]}):
        graph = build({"a": {"type": awaits, **policies}}, "start -> a -> end")
        assert (await graph.arun(n=1))["n"] == 2


async def test_a_merge_that_fails_at_the_outputs_fails_the_run() -> None:
    async def one() -> N:
        return {"n": 1}

    with registry.scope():
        registry.add("merges", "t_broken", lambda values: values[0] / 0)
        graph = build({"a": one, "b": one}, "start -> a, b -> end", inputs={}, state={"n": {"merge": "t_broken"}})
        with pytest.raises(RunError, match="the merge of 2 values of 'n' failed") as caught:
            await graph.arun()
    assert caught.value.path == "end"
    assert await status(graph) == "failed"


async def test_a_merge_that_fails_at_a_reader_is_the_readers_failure() -> None:
    async def one() -> N:
        return {"n": 1}

    with registry.scope():
        registry.add("merges", "t_missing", lambda values: {}[values[0]])
        graph = build(
            {"a": one, "b": one, "c": {"type": inc, "on_error": "x"}, "x": idle},
            "start -> a, b -> c -> end",
            "x -> end",
            inputs={},
            outputs=[],
            state={"n": {"merge": "t_missing"}},
        )
        await graph.arun()
    (written,) = [event.data["error"] for event in await events(graph) if event.path == "c#1"]
    assert written.message == "the merge of 2 values of 'n' failed: 1"


async def test_an_endless_loop_of_calls_that_never_wait_still_sees_its_deadline() -> None:
    graph = build({"a": inc}, "start -> a", routes("a", ("n >= 0", "a", 10_000_000), (None, "end")))
    with pytest.raises(RunError, match="deadline"):
        await graph.arun(n=0, deadline=0.05)


async def test_a_store_that_is_slow_to_end_a_run_is_waited_for_when_the_caller_leaves() -> None:
    from ragweave.orchestrator.stores import Status
    from ragweave.orchestrator.stores.memory import MemoryStore

    class Slow(MemoryStore):
        immediate = False

        async def end(self, run_id: str, status: Status) -> None:
            await asyncio.sleep(0.02)
            await super().end(run_id, status)

    gate = Gate()
    graph = build({"a": waiting(gate)}, "start -> a -> end", store=Slow())
    task = asyncio.ensure_future(graph.arun(n=1))
    await gate.started.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await status(graph) == "cancelled"
