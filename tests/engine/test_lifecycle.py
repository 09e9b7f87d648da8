"""A graph's life: warmed up before its first turn, closed with nothing left running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from pydantic import Field

from ragweave.orchestrator import registry
from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest, ModelName
from ragweave.orchestrator.errors import MissingExtra, ResourceError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.resources import Resources
from tests.engine.steps import Gate, N, build

SEEN: list[str] = []


class Text(TypedDict):
    text: str


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    """A model that notes when it is opened and closed, and a node that names it."""
    SEEN.clear()
    with registry.scope():

        class Noted(ChatModel, type="noted"):
            fault: str = ""

            def open(self, resources: Resources) -> None:
                if self.fault == "extra":
                    raise MissingExtra("the model", "nothing", "none")
                if self.fault:
                    raise ResourceError(self.fault)
                SEEN.append("opened")

            async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
                yield ChatChunk("hello")

            async def close(self) -> None:
                SEEN.append("closed")

        class Speaks(Node, type="speaks"):
            model: ModelName = Field("noted")

            def warm_up(self, resources: Resources) -> None:
                assert resources.built("models", self.model) is not None
                SEEN.append("node")

            async def __call__(self) -> Text:
                return {"text": "hello"}

        yield


def speaking(**more: Any) -> Graph:
    return build({"a": {"type": "speaks"}}, "start -> a -> end", outputs=["text"], **more)


async def test_warming_up_builds_what_is_declared_and_what_nodes_name_by_default() -> None:
    async with speaking(models={"other": {"type": "noted"}}) as graph:
        await graph.awarm_up()
        assert SEEN == ["opened", "opened", "node"]
        await graph.awarm_up()
        assert SEEN.count("opened") == 2
    assert SEEN.count("closed") == 2


def test_warming_up_works_without_an_event_loop() -> None:
    with speaking() as graph:
        graph.warm_up()
        assert SEEN == ["opened", "node"]
    assert SEEN[-1] == "closed"


async def test_warming_up_reaches_the_fallbacks_of_a_node_and_the_graphs_inside(tmp_path: Path) -> None:
    text = (
        "schema: ragweave/v1\noutputs: [text]\nmodels: {m: {type: noted}}\n"
        "nodes: {a: {type: speaks, model: m}}\nedges: [start -> a -> end]\n"
    )
    (tmp_path / "inner.yaml").write_text(text)
    inside = {"type": "graph", "path": str(tmp_path / "inner.yaml")}
    async with build(
        {"g": inside, "b": {"type": "speaks", "writes": {"text": "b"}, "fallback": {"model": "second"}}},
        "start -> g -> b -> end",
        outputs=["text"],
        models={"second": {"type": "noted"}},
    ) as graph:
        await graph.awarm_up()
        assert SEEN.count("opened") == 3  # `second`, the default `noted`, and that of the inner graph
    assert SEEN.count("closed") == 3


async def test_what_cannot_be_opened_is_said_before_the_first_run() -> None:
    graph = speaking(models={"bad": {"type": "noted", "fault": "no such file"}})
    with pytest.raises(ResourceError, match=r"models\.bad: no such file"):
        await graph.awarm_up()
    graph = speaking(models={"bad": {"type": "noted", "fault": "extra"}})
    with pytest.raises(MissingExtra):
        await graph.awarm_up()


async def test_closing_a_graph_cancels_its_runs_and_leaves_those_of_others() -> None:
    gate, other = Gate(), Gate()

    async def waits(n: int) -> N:
        await (gate if n < 10 else other).wait()
        return {"n": n}

    graph, stays = (build({"a": waits}, "start -> a -> end") for _ in range(2))
    running = [asyncio.ensure_future(graph.arun(n=at, thread_id=thread)) for at, thread in enumerate(["", "t", "t"])]
    untouched = asyncio.ensure_future(stays.arun(n=10))
    await gate.started.wait()
    await other.started.wait()
    await graph.aclose()
    assert all(one.done() for one in running)
    for one in running:
        with pytest.raises(RunError, match="cancelled: its graph was closed") as caught:
            await one
        assert caught.value.status == "cancelled"
    assert graph._threads._waiting == {}
    other.open()
    assert (await untouched)["n"] == 10


async def test_a_graph_without_runs_closes_at_once_and_may_be_used_again() -> None:
    graph = speaking()
    await graph.awarm_up()
    await asyncio.wait_for(graph.aclose(), 60)
    assert (await graph.arun(n=1))["text"] == "hello"
    await graph.aclose()
