"""Deadlines: the graph's own, the caller's, and what counts toward them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import CallTimeout, InputError, RunError
from ragweave.orchestrator.node import node
from ragweave.orchestrator.running.fold import fold_all
from ragweave.orchestrator.values import Ask
from tests.engine.steps import Gate, N, ask, build, events, inc, status


def waiting(gate: Gate) -> Callable[..., Any]:
    async def waits(n: int) -> N:
        await gate.wait()
        return {"n": n + 1}

    return waits


async def test_the_default_deadline_is_the_graphs(leaping: None) -> None:
    gate = Gate()
    graph = build({"a": waiting(gate)}, "start -> a -> end", limits={"deadline": "20ms"})
    with pytest.raises(RunError, match=r"the deadline of 0\.02 s has passed") as caught:
        await graph.arun(n=1)
    assert isinstance(caught.value.__cause__, CallTimeout)
    assert gate.cancelled.is_set()
    assert await status(graph) == "failed"
    assert build({"a": inc}, "start -> a -> end").plan.spec.deadline == 600.0


async def test_a_caller_may_give_another_deadline(leaping: None) -> None:
    gate = Gate()
    graph = build({"a": waiting(gate)}, "start -> a -> end", limits={"deadline": "20ms"})
    asyncio.get_running_loop().call_later(0.06, gate.open)
    assert (await graph.arun(n=1, deadline=5))["n"] == 2


async def test_a_deadline_reaches_into_nested_graphs_and_theirs_does_not_count(leaping: None, tmp_path: Path) -> None:
    gate = Gate()
    (tmp_path / "inner.yaml").write_text(
        "schema: ragweave/v1\nlimits: {deadline: 1ms}\ninputs: {n: int}\noutputs: [n]\n"
        "nodes: {w: {type: t_waits}}\nedges: [start -> w -> end]\n"
    )
    with registry.scope():
        node(name="t_waits")(waiting(gate))
        graph = build({"g": {"type": "graph", "path": str(tmp_path / "inner.yaml")}}, "start -> g -> end")
        with pytest.raises(RunError, match=r"0\.03 s"):
            await graph.arun(n=1, deadline=0.03)
        assert gate.cancelled.is_set()
        asyncio.get_running_loop().call_later(0.03, gate.open)
        assert (await graph.arun(n=1))["n"] == 2


async def test_parked_time_counts_toward_no_deadline_and_a_resumed_run_has_what_is_left(leaping: None) -> None:
    gate = Gate()

    async def asks(n: int, ctx: Context) -> N | Ask:
        await asyncio.sleep(0.06)
        if not ctx.answers:
            return ask("n?", "integer")
        await gate.wait()
        return {"n": ctx.answers[0]}

    graph = build({"a": asks}, "start -> a -> end", limits={"deadline": "200ms"})
    parked = await graph.arun(n=1)
    await asyncio.sleep(0.25)
    clock = asyncio.get_running_loop().time
    began = clock()
    with pytest.raises(RunError, match=r"the deadline of 0\.2 s has passed"):
        await graph.aresume(parked.run_id, answers={"a#1": 7})
    assert clock() - began == pytest.approx(0.14)
    with pytest.raises(InputError, match=r"has used up its deadline of 0\.2 s; give it time from now on: resume"):
        await graph.aresume(parked.run_id)
    assert await status(graph, parked.run_id) == "failed"
    gate.open()
    assert (await graph.aresume(parked.run_id, deadline="5s"))["n"] == 7


async def test_a_deadline_that_the_caller_gave_holds_after_a_resume_and_a_new_one_counts_from_then(
    leaping: None,
) -> None:
    gate = Gate()
    graph = build({"a": waiting(gate)}, "start -> a -> end")
    run_id = ""
    for deadline in (0.03, None):
        with pytest.raises((RunError, InputError), match=r"deadline of 0\.03 s") as caught:
            await (graph.aresume(run_id) if run_id else graph.arun(n=1, deadline=deadline))
        run_id = run_id or (await graph.runs())[0].run_id
    assert type(caught.value) is InputError
    for _ in range(2):  # each counts anew
        with pytest.raises(RunError, match=r"deadline of 0\.02 s"):
            await graph.aresume(run_id, deadline=0.02)
    gate.open()
    assert (await graph.aresume(run_id, deadline=5))["n"] == 2


async def test_a_cancelled_run_has_what_is_left_and_a_crashed_part_is_not_counted(leaping: None) -> None:
    gate = Gate()
    graph = build({"a": waiting(gate)}, "start -> a -> end", limits={"deadline": "10s"})
    task = asyncio.ensure_future(graph.arun(n=1))
    await gate.started.wait()
    await asyncio.sleep(0.03)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    journal = await events(graph)
    snapshot = fold_all(graph.plan, journal)
    assert snapshot.spent == pytest.approx(0.03)
    crashed = fold_all(graph.plan, journal[:-1])
    assert (crashed.status, crashed.spent) == ("running", 0.0)
