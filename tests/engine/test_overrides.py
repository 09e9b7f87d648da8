"""Settings that one call gives anew, by the names under which its graph allows that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, TypedDict

import pytest
from pydantic import Field, PositiveInt

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ModelName
from ragweave.orchestrator.errors import GraphError, InputError, NodeError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import Node, Signature
from ragweave.orchestrator.node import Write as Written
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.overrides import KEPT
from ragweave.orchestrator.types import Type
from ragweave.orchestrator.values import Ask
from tests.engine.steps import N, ask, build, events


class Text(TypedDict):
    text: str


class Cut(Node):
    """Keeps the first words of a text."""

    words: PositiveInt = 2
    model: ModelName = "extractive"
    api_key: str = ""
    marks: list[str] = Field(default_factory=list)

    async def __call__(self, text: str) -> Text:
        kept = " ".join(text.split()[: self.words])
        return {"text": kept + "".join(self.marks) + (f" {self.model}" if self.model != "extractive" else "")}


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    with registry.scope():
        registry.add("nodes", "t_cut", Cut)
        yield


def cutting(overrides: Any, node: Any = None, **more: Any) -> Graph:
    """A graph that keeps the first words of `text`."""
    return Graph(
        inputs={"text": "str"},
        outputs=["text"],
        nodes={"cut": node if node is not None else {"type": "t_cut", "words": 3}},
        edges=["start -> cut -> end"],
        overrides=overrides,
        **more,
    )


GIVEN = "one two three four five"


@pytest.mark.parametrize("node", [None, Cut(words=3), {"type": Cut, "words": 3}], ids=["name", "object", "class"])
async def test_a_call_may_give_a_setting_anew_and_other_calls_keep_theirs(node: Any) -> None:
    graph = cutting({"length": "cut.words"}, node)
    results = await asyncio.gather(
        graph.arun(text=GIVEN),
        graph.arun(text=GIVEN, overrides={"length": 1}),
        graph.arun(text=GIVEN, overrides={"length": 4}),
        graph.arun(text=GIVEN, overrides={}),
    )
    assert [one["text"] for one in results] == ["one two three", "one", "one two three four", "one two three"]
    assert graph.overrides == {"length": ["cut.words"]}


async def test_streams_batches_and_sync_calls_take_them_too() -> None:
    graph = cutting({"length": "cut.words"})
    shown = [event async for event in graph.stream(text=GIVEN, overrides={"length": 1})]
    assert shown[-1].data["result"]["text"] == "one"
    rows = await graph.abatch([{"text": GIVEN}, {"text": "six seven"}], overrides={"length": 1})
    assert [one["text"] for one in rows if not isinstance(one, RunError)] == ["one", "six"]
    assert (await asyncio.to_thread(graph.run, text=GIVEN, overrides={"length": 1}))["text"] == "one"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lenght": 1}, "'graph' allows no override 'lenght'; did you mean 'length'?"),
        ({"words": 1}, "'graph' allows no override 'words'; there is: length, marks, model"),
        ({"length": "many"}, "override 'length': expected a whole number, found 'many'"),
        ({"length": 0}, "override 'length': expected more than 0, found 0"),
        ({"length": True}, "override 'length': expected a number, found true"),
        ({"model": "chta"}, "override 'model': there is no model 'chta'; did you mean 'chat'?"),
        ({"model": "${env:SECRET}"}, "override 'model': a call cannot refer to the environment"),
        ({"marks": ["!", "${env:SECRET:-x}"]}, "override 'marks': a call cannot refer to the environment"),
        ({"marks": [object()]}, r"override 'marks': \[<object .*>\] is no JSON value"),
        ({"length": float("nan")}, "override 'length': nan is no JSON value"),
        ("length=3", "overrides are given as a dict by name, not as 'length=3'"),
    ],
)
async def test_what_is_not_allowed_or_does_not_fit_is_said_before_anything_runs(given: Any, message: str) -> None:
    graph = cutting(
        {"length": "cut.words", "model": "cut.model", "marks": "cut.marks"}, models={"chat": {"type": "extractive"}}
    )
    with pytest.raises(InputError, match=message):
        await graph.arun(text=GIVEN, overrides=given)
    with pytest.raises(InputError, match=message):
        graph.stream(text=GIVEN, overrides=given)
    with pytest.raises(InputError, match=message):
        await graph.abatch([{"text": GIVEN}], overrides=given)
    assert await graph.runs() == []


async def test_a_graph_that_names_none_says_how_to_allow_one() -> None:
    with pytest.raises(
        InputError, match=r"allows no override 'top_k' at all; name it in the graph, such as overrides: "
    ):
        await cutting({}).arun(text=GIVEN, overrides={"top_k": 3})


async def test_one_name_may_set_several_nodes_and_a_fallback_that_says_nothing_else() -> None:
    async def fails(text: str) -> Text:
        raise NodeError("no")

    graph = Graph(
        inputs={"text": "str"},
        outputs=["text"],
        nodes={"a": {"type": "t_cut"}, "b": {"type": fails, "fallback": [{"type": "t_cut"}]}},
        edges=["start -> a -> b -> end"],
        overrides={"length": "a.words"},
    )
    assert (await graph.arun(text=GIVEN, overrides={"length": 4}))["text"] == "one two"

    class Picky(Cut):
        async def __call__(self, text: str) -> Text:
            if self.model == "extractive":
                raise NodeError("not by this one")
            return await super().__call__(text)

    graph = cutting(
        {"length": ["cut.words"]},
        {"type": Picky, "fallback": {"model": "chat"}},
        models={"chat": {"type": "extractive"}},
    )
    assert (await graph.arun(text=GIVEN, overrides={"length": 1}))["text"] == "one chat"


async def test_a_run_with_overrides_is_resumed_with_them() -> None:
    async def asks(text: str, ctx: Context) -> Text | Ask:
        return {"text": text} if ctx.answers else ask("really?")

    graph = Graph(
        inputs={"text": "str"},
        outputs=["text"],
        nodes={"ask": asks, "cut": {"type": "t_cut"}},
        edges=["start -> ask -> cut -> end"],
        overrides={"length": "cut.words"},
    )
    parked = await graph.arun(text=GIVEN, overrides={"length": 4})
    assert (await events(graph, parked.run_id))[0].data["overrides"] == {"length": 4}
    assert (await graph.aresume(parked.run_id, answers={"ask#1": "yes"}))["text"] == "one two three four"


async def test_a_run_without_overrides_says_nothing_of_them() -> None:
    graph = cutting({"length": "cut.words"})
    await graph.arun(text=GIVEN)
    assert "overrides" not in (await events(graph))[0].data


async def test_equal_overrides_share_a_plan_and_no_more_are_kept_than_a_few() -> None:
    graph = cutting({"length": "cut.words", "marks": "cut.marks"})
    first = graph._execution("", None, None, overrides={"length": 1, "marks": []}).plan
    assert graph._execution("", None, None, overrides={"marks": [], "length": 1}).plan is first
    for length in range(2, KEPT + 10):
        graph._execution("", None, None, overrides={"length": length})
    assert len(graph._edition.varied) == KEPT
    assert (await graph.arun(text=GIVEN, overrides={"length": 1, "marks": []}))["text"] == "one"


async def test_a_setting_that_changes_what_a_node_writes_cannot_be_overridden() -> None:
    class Writes(Node):
        key: str = "text"

        def signature(self, resources: Resources) -> Signature:
            return Signature({}, {self.key: Written(Type("str"))})

        async def __call__(self) -> dict[str, str]:
            return {self.key: "x"}

    graph = build({"a": Writes()}, "start -> a -> end", outputs=["text"], overrides={"key": "a.key"})
    with pytest.raises(InputError, match="override 'key': with this the node 'a' would read or write other keys"):
        await graph.arun(n=1, overrides={"key": "other"})
    assert (await graph.arun(n=1, overrides={"key": "text"}))["text"] == "x"


async def test_two_names_of_one_setting_do_not_go_together() -> None:
    graph = cutting({"length": "cut.words", "size": "cut.words"})
    with pytest.raises(InputError, match=r"overrides 'length' and 'size' are both cut\.words"):
        await graph.arun(text=GIVEN, overrides={"length": 1, "size": 2})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"key": "cut.api_key"}, "overrides.key: 'api_key' is a secret; overrides are journaled"),
        ({"retry": "cut.retry"}, "overrides.retry: 'retry' is a policy; overrides are settings"),
        ({"length": "cut.word"}, "overrides.length: node 'cut' has no setting 'word'; did you mean 'words'"),
        ({"length": ["cut.words", "cot.words"]}, r"overrides.length\[1\]: there is no node 'cot'; did you mean 'cut'"),
        (["cut.words"], "overrides: expected a map, found a list; such as"),
    ],
)
def test_an_override_that_leads_nowhere_is_found_when_the_graph_is_loaded(overrides: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        cutting(overrides)


def test_a_function_has_no_settings() -> None:
    async def plain(n: int) -> N:
        return {"n": n}

    with pytest.raises(GraphError, match=r"overrides\.x: node 'a' has no settings"):
        build({"a": plain}, "start -> a -> end", overrides={"x": "a.n"})
