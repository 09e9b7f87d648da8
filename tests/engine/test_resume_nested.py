"""Graphs in graphs go on inside when their run is resumed (R18, R22)."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import NodeError, RunError
from ragweave.orchestrator.node import node
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.values import Ask
from tests.engine.steps import Calls, N, R, ask, build, events

INNER = """
schema: ragweave/v1
inputs: {n: int}
outputs: [n]
nodes: {first: {type: t_count}, second: {type: t_stop}, third: {type: t_count}}
edges: [start -> first -> second -> third -> end]
"""


async def test_a_graph_in_a_graph_goes_on_inside(tmp_path: Path) -> None:
    calls = Calls()
    mode = "fail"

    async def count(n: int, ctx: Context) -> N:
        calls[ctx.path] += 1
        return {"n": n + 1}

    async def stop(n: int, ctx: Context) -> N | Ask:
        calls[ctx.path] += 1
        if mode == "fail":
            raise NodeError("stop")
        return {"n": n + ctx.answers[0]} if ctx.answers else ask("by?", "integer")

    (tmp_path / "inner.yaml").write_text(INNER)
    with registry.scope():
        node(name="t_count")(count)
        node(name="t_stop")(stop)
        graph = build(
            {"a": count, "g": {"type": "graph", "path": str(tmp_path / "inner.yaml")}, "b": count},
            "start -> a -> g -> b -> end",
        )
        with pytest.raises(RunError) as caught:
            await graph.arun(n=0)
        assert caught.value.path == "g#1/second#1"
        mode = "ask"
        parked = await graph.aresume(caught.value.run_id)
        assert list(parked.asks) == ["g#1/second#1"]
        assert [event.data["path"] for event in await events(graph) if event.kind == "asked"] == ["g#1/second#1"]
        result = await graph.aresume(parked.run_id, answers={"g#1/second#1": 100})
    assert result["n"] == 104
    assert calls == {"a#1": 1, "g#1/first#1": 1, "g#1/second#1": 3, "g#1/third#1": 1, "b#1": 1}


async def test_graphs_in_a_map_go_on_where_each_stands(tmp_path: Path) -> None:
    calls = Calls()

    async def count(n: int, ctx: Context) -> N:
        calls[ctx.path] += 1
        return {"n": n + 1}

    async def stop(n: int, ctx: Context) -> N | Ask:
        calls[ctx.path] += 1
        if n > 20 and not ctx.answers:
            return ask(f"{n}?", "integer")
        return {"n": n + sum(ctx.answers)}

    (tmp_path / "inner.yaml").write_text(INNER)
    with registry.scope():
        node(name="t_count")(count)
        node(name="t_stop")(stop)
        graph = build(
            {"g": {"type": "graph", "path": str(tmp_path / "inner.yaml"), "map": {"over": "ns", "as": "n"}}},
            "start -> g -> end",
            inputs={"ns": "list[int]"},
            outputs=["n"],
        )
        parked = await graph.arun(ns=[10, 20, 30])
        assert list(parked.asks) == ["g#1[1]/second#1", "g#1[2]/second#1"]
        parked = await graph.aresume(parked.run_id, answers={"g#1[2]/second#1": 1})
        assert list(parked.asks) == ["g#1[1]/second#1"]
        result = await graph.aresume(parked.run_id, answers={"g#1[1]/second#1": 2})
    assert result["n"] == [12, 24, 33]
    assert calls["g#1[0]/first#1"] == calls["g#1[1]/first#1"] == calls["g#1[2]/first#1"] == 1
    assert (calls["g#1[0]/second#1"], calls["g#1[1]/second#1"], calls["g#1[2]/second#1"]) == (1, 2, 2)


async def test_a_graph_that_is_tried_again_starts_anew_also_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.wrappers.FIRST_PAUSE", 0.0)
    calls = Calls()
    failures = 2

    async def count(n: int, ctx: Context) -> N:
        calls[ctx.path] += 1
        return {"n": n + 1}

    async def stop(n: int, ctx: Context) -> N:
        nonlocal failures
        calls[ctx.path] += 1
        failures -= 1
        if failures >= 0:
            raise NodeError("busy", transient=True)
        return {"n": n}

    (tmp_path / "inner.yaml").write_text(INNER)
    with registry.scope():
        node(name="t_count")(count)
        node(name="t_stop")(stop)
        inner = {"type": "graph", "path": str(tmp_path / "inner.yaml")}
        once = build({"g": inner}, "start -> g -> end")
        with pytest.raises(RunError) as caught:
            await once.arun(n=0)
        again = build({"g": {**inner, "retry": 1}}, "start -> g -> end", store=once.store)
        assert (await again.aresume(caught.value.run_id))["n"] == 2
    assert calls == {"g#1/first#1": 2, "g#1/second#1": 3, "g#1/third#1": 1}


MAPPING = """
schema: ragweave/v1
inputs: {n: int}
outputs: [r]
nodes:
  pick: {type: t_pick}
  m: {type: t_work, map: {over: items, as: item, max_concurrency: 1}}
edges: [start -> pick -> m -> end]
"""


async def test_a_graph_that_was_tried_again_does_not_know_the_items_of_the_attempt_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.wrappers.FIRST_PAUSE", 0.0)

    class Items(TypedDict):
        items: list[str]

    picked = 0
    worked: list[str] = []

    async def pick(n: int) -> Items:
        nonlocal picked
        picked += 1
        return {"items": ["a", "b"] if picked == 1 else ["c", "d"]}

    async def work(item: str) -> R:
        worked.append(item)
        if item == "b":
            raise NodeError("not this one", transient=True)
        return {"r": item.upper()}

    (tmp_path / "inner.yaml").write_text(MAPPING)
    with registry.scope():
        node(name="t_pick")(pick)
        node(name="t_work")(work)
        inner = {"type": "graph", "path": str(tmp_path / "inner.yaml"), "retry": 1}
        graph = build({"g": inner}, "start -> g -> end", outputs=["r"])
        result = await graph.arun(n=0)
        assert result["r"] == ["C", "D"]
        journal = await events(graph, result.run_id)
        second = [at for at, event in enumerate(journal) if event.kind == "entered"][1]
        assert [event.data["r"] for event in journal[:second] if event.kind == "item"] == ["A"]
        for count in range(1, len(journal)):
            await graph.store.begin(RunRecord(f"to {count}", "", graph.name, "running"))
            for event in journal[:count]:
                graph.store.writer(f"to {count}")(event.record())
            worked.clear()
            assert (await graph.aresume(f"to {count}"))["r"] == ["C", "D"]
            known = [event.data["r"].lower() for event in journal[second:count] if event.kind == "item"]
            assert not set(known) & set(worked)
