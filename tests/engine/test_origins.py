"""Whose words a text is: origins go along with every write and through every graph (R9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import NodeError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node, node_type
from ragweave.orchestrator.running.state import origin_names
from ragweave.orchestrator.values import Failure
from tests.engine.steps import K, N, R, build, events, routes


class A(TypedDict):
    a: str


class B(TypedDict):
    b: str


async def find(question: str) -> A:
    return {"a": "found"}


async def say(a: str) -> B:
    return {"b": "said"}


async def copy(question: str) -> R:
    return {"r": question}


RETRIEVER = node_type(find, origin="retrieved")
MODEL = node_type(say, origin="model")


async def origins(graph: Graph, run_id: str | None = None) -> dict[str, tuple[str, ...]]:
    """By call path, the origins of what was written."""
    return {event.path: origin_names(event.origin) for event in await events(graph, run_id) if event.kind == "finished"}


async def test_a_write_has_the_origins_of_all_that_was_read_and_its_nodes_own() -> None:
    graph = build(
        {"copy": copy, "find": RETRIEVER, "say": MODEL},
        "start -> copy -> find -> say -> end",
        inputs={"question": "str"},
        outputs=["b"],
    )
    await graph.arun(question="?")
    assert await origins(graph) == {
        "copy#1": ("user",),
        "find#1": ("user", "retrieved"),
        "say#1": ("user", "retrieved", "model"),
    }


async def test_what_was_not_read_does_not_count() -> None:
    async def fixed() -> R:
        return {"r": "mine"}

    graph = build(
        {"find": RETRIEVER, "f": fixed}, "start -> find -> f -> end", inputs={"question": "str"}, outputs=["r"]
    )
    await graph.arun(question="?")
    assert (await origins(graph))["f#1"] == ()


async def test_merged_and_optional_reads_and_logs_count() -> None:
    async def one(question: str) -> K:
        return {"k": ["1"]}

    async def two() -> K:
        return {"k": ["2"]}

    async def join(k: list[str], question: str = "") -> R:
        return {"r": ""}

    for state in ({"merge": "extend"}, {"type": "list[str]", "accumulate": True}):
        graph = build(
            {"a": node_type(one), "b": _fresh(two, "tool"), "j": join},
            "start -> a, b -> j -> end",
            inputs={"question": "str"},
            outputs=["r"],
            state={"k": state},
        )
        await graph.arun(question="?")
        assert (await origins(graph))["j#1"] == ("user", "tool")


def _fresh(function: Any, origin: str) -> Any:
    function.__dict__.pop("__ragweave_node__", None)
    return node_type(function, origin=origin)


async def test_an_error_has_the_origins_of_what_its_node_read() -> None:
    async def broken(a: str) -> B:
        raise NodeError(f"cannot read {a}")

    async def repair(error: Failure) -> R:
        return {"r": error.message}

    graph = build(
        {"find": RETRIEVER, "bad": {"type": _fresh(broken, "model"), "on_error": "x"}, "x": repair},
        "start -> find -> bad -> end",
        "x -> end",
        inputs={"question": "str"},
        outputs=[],
    )
    await graph.arun(question="?")
    found = await origins(graph)
    assert found["bad#1"] == ("user", "retrieved", "model")
    assert found["x#1"] == ("user", "retrieved", "model")


async def test_fallbacks_count_for_their_node() -> None:
    async def plain(a: str) -> B:
        raise NodeError("no")

    graph = build(
        {"find": RETRIEVER, "p": {"type": plain, "fallback": [{"type": MODEL}]}},
        "start -> find -> p -> end",
        inputs={"question": "str"},
        outputs=["b"],
    )
    await graph.arun(question="?")
    assert (await origins(graph))["p#1"] == ("user", "retrieved", "model")


async def test_origins_go_round_a_loop() -> None:
    async def add(n: int) -> N:
        return {"n": n + 1}

    graph = build(
        {"a": _fresh(add, "model")}, "start -> a", routes("a", ("n < 3", "a", 5), (None, "end")), outputs=["n"]
    )
    await graph.arun(n=0)
    assert set((await origins(graph)).values()) == {("user", "model")}


INNER = """
schema: ragweave/v1
inputs: {question: str, a: {type: str, default: ""}}
outputs: [r, b]
nodes:
  copy: {type: t_copy}
  say: {type: t_say}
edges: [start -> copy -> say -> end]
"""


def outer(folder: Path, *, mapped: bool = False) -> Graph:
    """find -> a graph that copies the question and says something about `a`."""
    (folder / "inner.yaml").write_text(INNER)
    inner: dict[str, Any] = {"type": "graph", "path": str(folder / "inner.yaml")}
    if mapped:
        inner["map"] = {"over": "questions", "as": "question"}
    return build(
        {"find": RETRIEVER, "g": inner},
        "start -> find -> g -> end",
        inputs={"question": "str", "questions": "list[str]"},
        outputs=["r", "b"],
    )


@pytest.mark.parametrize("mapped", [False, True])
async def test_origins_go_into_a_graph_key_by_key_and_come_out_of_it(tmp_path: Path, mapped: bool) -> None:
    with registry.scope():
        node(name="t_copy")(copy)
        registry.add("nodes", "t_say", MODEL)
        graph = outer(tmp_path, mapped=mapped)
        await graph.arun(question="?", questions=["?"])
    found = await origins(graph)
    frame = "g#1[0]" if mapped else "g#1"
    assert found[f"{frame}/copy#1"] == ("user",)
    assert found[f"{frame}/say#1"] == ("user", "retrieved", "model")
    assert found["g#1"] == ("user", "retrieved", "model")


async def test_origins_survive_a_resume_inside_a_graph(tmp_path: Path) -> None:
    broken = True

    async def flaky(a: str, ctx: Context) -> B:
        if broken:
            raise NodeError("broken")
        return {"b": a}

    with registry.scope():
        node(name="t_copy")(copy)
        node(name="t_say")(flaky)
        graph = outer(tmp_path)
        with pytest.raises(RunError) as caught:
            await graph.arun(question="?", questions=[])
        broken = False
        await graph.aresume(caught.value.run_id)
    found = await origins(graph)
    assert found["g#1/say#1"] == ("user", "retrieved")
    assert found["g#1"] == ("user", "retrieved")
