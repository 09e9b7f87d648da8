"""Cancels, failures and deadlines: nothing starts any more, nothing is left running, what finished is kept (R18)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import NodeError, RunError
from ragweave.orchestrator.node import node
from tests.engine.steps import Calls, Gate, N, build, events, finished, idle, status


def waiting(gate: Gate) -> Callable[..., Any]:
    async def waits(n: int) -> N:
        await gate.wait()
        return {"n": n + 1}

    return waits


def ours() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def test_the_callers_cancel_ends_every_branch_before_it_comes_back() -> None:
    gates = [Gate() for _ in range(5)]
    names = [f"a{at}" for at in range(5)]
    nodes = {name: waiting(gate) for name, gate in zip(names, gates, strict=True)}
    graph = build(nodes, f"start -> {', '.join(names)} -> end", outputs=[])
    task = asyncio.ensure_future(graph.arun(n=1))
    for gate in gates:
        await gate.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(gate.cancelled.is_set() for gate in gates)
    assert not ours()
    assert await status(graph) == "cancelled"
    assert [event.kind for event in await events(graph)] == ["run_started", "run_cancelled"]


async def test_a_run_is_cancelled_by_its_id_and_its_caller_gets_a_run_error() -> None:
    gate = Gate()
    graph = build({"a": waiting(gate)}, "start -> a -> end")
    task = asyncio.ensure_future(graph.arun(n=1))
    await gate.started.wait()
    run_id = (await graph.runs())[0].run_id
    assert await graph.cancel(run_id)
    with pytest.raises(RunError, match=f"run {run_id} was cancelled") as caught:
        await task
    assert (caught.value.status, caught.value.run_id) == ("cancelled", run_id)
    assert gate.cancelled.is_set()
    assert not await graph.cancel(run_id)
    gate.open()
    assert (await graph.aresume(run_id))["n"] == 2


async def test_cancelling_one_run_of_a_batch_leaves_the_others_alone() -> None:
    gate = Gate()

    async def waits(n: int) -> N:
        if n == 1:
            await gate.wait()
        return {"n": n * 10}

    graph = build({"a": waits}, "start -> a -> end")
    task = asyncio.ensure_future(graph.abatch([{"n": at} for at in range(4)], max_concurrency=1))
    await gate.started.wait()
    (record,) = await graph.runs(status="running")
    assert await graph.cancel(record.run_id)
    results = await task
    assert [result["n"] if not isinstance(result, RunError) else result.status for result in results] == [
        0, "cancelled", 20, 30,
    ]  # fmt: skip


async def test_a_failure_cancels_the_other_branches_and_waits_for_them() -> None:
    gate = Gate()
    cleaned = False

    async def waits(n: int) -> N:
        nonlocal cleaned
        try:
            await gate.wait()
        finally:
            await asyncio.sleep(0)
            cleaned = True
        return {"n": n}

    async def broken() -> None:
        await gate.started.wait()
        raise NodeError("broken")

    graph = build({"a": waits, "b": broken, "c": idle}, "start -> a, b", "b -> c", "a, c -> end", outputs=[])
    with pytest.raises(RunError, match="broken") as caught:
        await graph.arun(n=1)
    assert (caught.value.path, caught.value.status) == ("b#1", "failed")
    assert cleaned
    assert not ours()
    assert await finished(graph) == []


async def test_what_finishes_while_the_run_is_stopped_is_kept_but_nothing_follows() -> None:
    gate = Gate()
    calls = Calls()

    async def stubborn(n: int) -> N:
        try:
            await gate.wait()
        except asyncio.CancelledError:
            return {"n": n + 100}
        return {"n": n}

    async def broken() -> None:
        await gate.started.wait()
        raise NodeError("broken")

    graph = build(
        {"a": stubborn, "next": calls.node("next"), "b": broken}, "start -> a, b", "a -> next", "next, b -> end"
    )
    with pytest.raises(RunError):
        await graph.arun(n=1)
    assert await finished(graph) == ["a#1"]
    assert not calls


async def test_what_a_call_makes_of_its_cancel_is_no_failure_of_it() -> None:
    gate = Gate()

    async def converts(n: int) -> N:
        try:
            await gate.wait()
        except asyncio.CancelledError:
            raise ValueError("connection closed") from None
        return {"n": n + 1}

    graph = build({"a": {"type": converts, "on_error": "x"}, "x": idle}, "start -> a -> end", "x -> end")
    task = asyncio.ensure_future(graph.arun(n=1))
    await gate.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await finished(graph) == []
    gate.open()
    assert (await graph.aresume((await graph.runs())[0].run_id))["n"] == 2


@pytest.mark.parametrize("policies", [{}, {"timeout": 60}, {"map": {"over": "ns", "as": "n"}}])
async def test_a_second_cancel_does_not_leave_the_first_ones_work_behind(policies: dict[str, Any]) -> None:
    gate, leaving, left = Gate(), asyncio.Event(), asyncio.Event()

    async def slow_to_leave(n: int) -> None:
        try:
            await gate.wait()
        finally:
            await leaving.wait()
            left.set()

    graph = build(
        {"a": {"type": slow_to_leave, **policies}},
        "start -> a -> end",
        inputs={"n": "int", "ns": "list[int]"},
        outputs=[],
    )
    task = asyncio.ensure_future(graph.arun(n=1, ns=[1, 2]))
    await gate.started.wait()
    for _ in range(20):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    leaving.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left.is_set()
    assert not ours()


async def test_a_failure_and_then_a_cancel_are_one_cancel_to_the_other_branches() -> None:
    gate, leaving, left = Gate(), asyncio.Event(), asyncio.Event()

    async def slow_to_leave(n: int) -> N:
        try:
            await gate.wait()
        finally:
            await leaving.wait()
            left.set()
        return {"n": n}

    async def broken() -> None:
        await gate.started.wait()
        raise NodeError("broken")

    graph = build({"a": slow_to_leave, "b": broken}, "start -> a, b -> end")
    task = asyncio.ensure_future(graph.arun(n=1))
    await gate.cancelled.wait()
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    leaving.set()
    with pytest.raises((asyncio.CancelledError, RunError)):
        await task
    assert left.is_set()


async def test_a_cancel_that_comes_when_all_is_done_is_too_late() -> None:
    async def last(n: int, ctx: Context) -> N:
        _, walker = graph._active[ctx.run_id]
        asyncio.get_running_loop().call_soon(walker.cancel)
        return {"n": n + 1}

    graph = build({"a": last}, "start -> a -> end")
    assert (await graph.arun(n=1))["n"] == 2


async def test_a_nested_graph_is_cancelled_once_and_to_the_ground(tmp_path: Path) -> None:
    gate, leaving = Gate(), asyncio.Event()
    left: list[str] = []

    async def deep(n: int, ctx: Context) -> N:
        try:
            await gate.wait()
        finally:
            await leaving.wait()
            left.append(ctx.path)
        return {"n": n}

    (tmp_path / "one.yaml").write_text(
        "schema: ragweave/v1\ninputs: {n: int}\noutputs: [n]\nnodes: {d: {type: t_deep}}\nedges: [start -> d -> end]\n"
    )
    (tmp_path / "two.yaml").write_text(
        "schema: ragweave/v1\ninputs: {n: int}\noutputs: [n]\n"
        "nodes: {g: {type: graph, path: one.yaml}}\nedges: [start -> g -> end]\n"
    )

    async def broken() -> None:
        await gate.started.wait()
        raise NodeError("broken")

    with registry.scope():
        node(name="t_deep")(deep)
        graph = build({"g": {"type": "graph", "path": str(tmp_path / "two.yaml")}, "b": broken}, "start -> g, b -> end")
        task = asyncio.ensure_future(graph.arun(n=1))
        await gate.cancelled.wait()
        task.cancel()
        await asyncio.sleep(0)
        leaving.set()
        with pytest.raises((asyncio.CancelledError, RunError)):
            await task
    assert left == ["g#1/g#1/d#1"]
    assert not ours()
