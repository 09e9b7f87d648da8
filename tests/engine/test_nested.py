"""A graph as a node (R22)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import GraphError, NodeError, RagweaveError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node
from ragweave.orchestrator.values import Failure, Usage
from tests.engine.steps import Calls, N, R, build, finished, routes


@pytest.fixture(autouse=True)
def _types() -> Iterator[None]:
    async def add(n: int, ctx: Context) -> N:
        ctx.use(Usage(calls=1))
        return {"n": n + 1}

    async def where(n: int, ctx: Context) -> R:
        return {"r": f"{ctx.path} {ctx.run_id} {ctx.thread_id}"}

    async def broken(n: int) -> N:
        raise NodeError("deep trouble")

    with registry.scope():
        node(name="t_add")(add)
        node(name="t_where")(where)
        node(name="t_broken")(broken)
        yield


def inner(
    folder: Path,
    nodes: str = "a: {type: t_add}",
    edges: str = "start -> a -> end",
    *,
    outputs: str = "n",
    name: str = "inner",
) -> dict[str, Any]:
    """A node that runs a graph file of these nodes."""
    path = folder / f"{name}.yaml"
    path.write_text(
        f"schema: ragweave/v1\ninputs: {{n: int}}\noutputs: [{outputs}]\nnodes: {{{nodes}}}\nedges:\n  - {edges}\n"
    )
    return {"type": "graph", "path": str(path)}


async def test_inputs_are_its_reads_and_outputs_its_writes(tmp_path: Path) -> None:
    renamed = {**inner(tmp_path), "reads": {"n": "m"}, "writes": {"n": "out"}}
    graph = build({"g": renamed}, "start -> g -> end", inputs={"m": "int"}, outputs=["out"])
    assert (await graph.arun(m=4))["out"] == 5


async def test_run_and_thread_are_the_callers_and_paths_have_its_frame(tmp_path: Path) -> None:
    inner(tmp_path, "w: {type: t_where}", "start -> w -> end", outputs="r", name="two")
    one = inner(tmp_path, "g: {type: graph, path: two.yaml}", "start -> g -> end", outputs="r", name="one")
    graph = build({"g": one}, "start -> g -> end", outputs=["r"])
    result = await graph.arun(n=1, thread_id="t")
    assert result["r"] == f"g#1/g#1/w#1 {result.run_id} t"
    assert await finished(graph) == ["g#1/g#1/w#1", "g#1/g#1", "g#1"]
    assert len(await graph.runs()) == 1


async def test_state_and_visits_are_new_at_each_visit(tmp_path: Path) -> None:
    again = "{from: a, routes: [{when: n < 3, to: a, max_iterations: 9}, {to: end}]}"
    loop = inner(tmp_path, "a: {type: t_add}", f"start -> a\n  - {again}")
    graph = build({"g": loop}, "start -> g", routes("g", ("n < 5", "g", 9), (None, "end")))
    assert (await graph.arun(n=0))["n"] == 5
    assert await finished(graph) == [
        "g#1/a#1", "g#1/a#2", "g#1/a#3", "g#1",
        "g#2/a#1", "g#2",
        "g#3/a#1", "g#3",
    ]  # fmt: skip


async def test_usage_counts_for_the_run(tmp_path: Path) -> None:
    graph = build(
        {"g": {**inner(tmp_path), "map": {"over": "ns", "as": "n"}}}, "start -> g -> end", inputs={"ns": "list[int]"}
    )
    assert (await graph.arun(ns=[1, 2, 3])).usage.calls == 3


async def test_an_error_names_the_inner_call_and_on_error_reads_it(tmp_path: Path) -> None:
    bad = inner(tmp_path, "b: {type: t_broken}", "start -> b -> end")
    graph = build({"g": bad}, "start -> g -> end")
    with pytest.raises(RunError, match="failed at g#1/b#1: deep trouble") as caught:
        await graph.arun(n=1)
    assert caught.value.path == "g#1/b#1"

    async def repair(error: Failure) -> R:
        return {"r": f"{error.node}: {error.message}"}

    saved = build({"g": {**bad, "on_error": "x"}, "x": repair}, "start -> g -> end", "x -> end", outputs=[])
    assert (await saved.arun(n=1)).status == "done"
    assert await finished(saved) == ["g#1", "x#1"]


async def test_policies_act_on_the_whole_graph(leaping: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.wrappers.FIRST_PAUSE", 0.0)
    calls = Calls()

    async def flaky(n: int, ctx: Context) -> N:
        calls[ctx.path] += 1
        if calls[ctx.path] < 3:
            raise NodeError("busy", transient=True)
        return {"n": n}

    async def stuck(n: int) -> N:
        await asyncio.Event().wait()
        return {"n": n}

    node(name="t_flaky")(flaky)
    node(name="t_stuck")(stuck)
    again = inner(tmp_path, "a: {type: t_add}, f: {type: t_flaky}", "start -> a -> f -> end", name="again")
    assert (await build({"g": {**again, "retry": 2}}, "start -> g -> end").arun(n=1))["n"] == 2
    slow = inner(tmp_path, "s: {type: t_stuck}", "start -> s -> end", name="slow")
    quick = inner(tmp_path, name="quick")
    late = build({"g": {**slow, "timeout": 0.02, "fallback": [quick]}}, "start -> g -> end")
    assert (await late.arun(n=1))["n"] == 2
    race = build({"g": {**slow, "race": [quick]}}, "start -> g -> end")
    assert (await race.arun(n=1))["n"] == 2
    assert [path for path in await finished(race) if "#" in path] == ["g#1/1/a#1", "g#1"]


async def test_a_member_that_is_a_graph_asks_at_its_own_path_beside_one_that_is_none(tmp_path: Path) -> None:
    from ragweave.orchestrator.values import Ask
    from tests.engine.steps import ask

    async def asks(n: int, ctx: Context) -> N | Ask:
        return {"n": ctx.answers[0]} if ctx.answers else ask("n?", "integer")

    bad = inner(tmp_path, "b: {type: t_broken}", "start -> b -> end")
    graph = build({"g": {**bad, "fallback": [{"type": asks}]}}, "start -> g -> end")
    parked = await graph.arun(n=1)
    assert list(parked.asks) == ["g#1/1"]
    assert (await graph.aresume(parked.run_id, answers={"g#1/1": 8}))["n"] == 8


async def test_a_graph_without_nodes_gives_its_inputs_back(tmp_path: Path) -> None:
    graph = build({"g": inner(tmp_path, "", "start -> end")}, "start -> g -> end")
    assert (await graph.arun(n=3))["n"] == 3
    assert (await build({}, "start -> end").arun(n=4))["n"] == 4


def test_a_graph_cannot_contain_itself(tmp_path: Path) -> None:
    inner(tmp_path, "g: {type: graph, path: b.yaml}", "start -> g -> end", name="a")
    inner(tmp_path, "g: {type: graph, path: a.yaml}", "start -> g -> end", name="b")
    with pytest.raises(RagweaveError, match=r"a\.yaml -> b\.yaml -> a\.yaml"):
        Graph.load(tmp_path / "a.yaml")


def test_the_problems_of_an_inner_file_are_shown_with_its_name(tmp_path: Path) -> None:
    bad = inner(tmp_path, "a: {type: t_nothing}")
    with pytest.raises(GraphError, match=r"inner\.yaml.*t_nothing"):
        build({"g": bad}, "start -> g -> end")


def test_one_file_is_loaded_once_however_many_nodes_name_it(tmp_path: Path) -> None:
    one = inner(tmp_path)
    graph = build({"g": one, "h": one}, "start -> g -> h -> end")
    plans = [bound.members[0].node.plan for bound in graph.checked.nodes.values()]  # type: ignore[attr-defined]
    assert plans[0] is plans[1]


async def test_many_graphs_in_graphs_at_once(tmp_path: Path) -> None:
    deep = inner(tmp_path, name="l0")
    for level in range(1, 5):
        deep = inner(tmp_path, f"g: {{type: graph, path: l{level - 1}.yaml}}", "start -> g -> end", name=f"l{level}")
    graph = build(
        {"g": {**deep, "map": {"over": "ns", "as": "n", "max_concurrency": 50}}},
        "start -> g -> end",
        inputs={"ns": "list[int]"},
    )
    results = await asyncio.gather(*(graph.arun(ns=list(range(at, at + 20))) for at in range(20)))
    assert [result["n"] for result in results] == [list(range(at + 1, at + 21)) for at in range(20)]
