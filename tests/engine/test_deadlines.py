"""Deadlines: the graph's own, the caller's, and what counts toward them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import CallTimeout, RunError
from ragweave.orchestrator.node import node
from ragweave.orchestrator.values import Ask
from tests.engine.steps import Gate, N, ask, build, inc, status


def waiting(gate: Gate) -> Callable[..., Any]:
    async def waits(n: int) -> N:
        await gate.wait()
        return {"n": n + 1}

    return waits


async def test_the_default_deadline_is_the_graphs() -> None:
    gate = Gate()
    graph = build({"a": waiting(gate)}, "start -> a -> end", limits={"deadline": "20ms"})
    with pytest.raises(RunError, match=r"the deadline of 0\.02 s has passed") as caught:
        await graph.arun(n=1)
    assert isinstance(caught.value.__cause__, CallTimeout)
    assert gate.cancelled.is_set()
    assert await status(graph) == "failed"
    assert build({"a": inc}, "start -> a -> end").plan.spec.deadline == 600.0


async def test_a_caller_may_give_another_deadline() -> None:
    gate = Gate()
    graph = build({"a": waiting(gate)}, "start -> a -> end", limits={"deadline": "20ms"})
    asyncio.get_running_loop().call_later(0.06, gate.open)
    assert (await graph.arun(n=1, deadline=5))["n"] == 2


async def test_a_deadline_reaches_into_nested_graphs_and_theirs_does_not_count(tmp_path: Path) -> None:
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


async def test_parked_time_counts_toward_no_deadline_and_a_resume_has_one_of_its_own() -> None:
    gate = Gate()

    async def asks(n: int, ctx: Context) -> N | Ask:
        if not ctx.answers:
            return ask("n?", "integer")
        await gate.wait()
        return {"n": ctx.answers[0]}

    graph = build({"a": asks}, "start -> a -> end", limits={"deadline": "30ms"})
    parked = await graph.arun(n=1)
    await asyncio.sleep(0.05)
    with pytest.raises(RunError, match=r"0\.03 s"):
        await graph.aresume(parked.run_id, answers={"a#1": 7})
    gate.open()
    assert (await graph.aresume(parked.run_id, deadline=5))["n"] == 7
