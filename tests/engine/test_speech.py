"""What a chat window shows of a run: the answer as it comes, and how the run ended."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any, TypedDict

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import NodeError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.result import Result
from ragweave.orchestrator.running.speech import Piece
from ragweave.orchestrator.values import Answer, Ask, Citation
from tests.engine.steps import Gate, ask, build

CITED = Citation(number=1, document="tea#0", quote="Three minutes.", title="Tea", source="tea.md", line=3)


class Said(TypedDict):
    answer: Answer


class Draft(TypedDict):
    draft: str


async def draft(question: str, ctx: Context) -> Draft:
    await ctx.emit("not for you")
    return {"draft": question}


async def say(draft: str, ctx: Context) -> Said:
    for word in ("Three ", "minutes [1]."):
        await ctx.emit(word)
    return {"answer": Answer(text="Three minutes [1].", citations=(CITED,))}


def talking(*edges: str, nodes: Any = None, **more: Any) -> Graph:
    nodes = {"draft": draft, "say": say} if nodes is None else nodes
    return Graph(
        inputs={"question": "str"}, outputs=["answer"], nodes=nodes,
        edges=list(edges or ("start -> draft -> say -> end",)), **more,
    )  # fmt: skip


async def shown(graph: Graph, **given: Any) -> list[Piece]:
    return [piece async for piece in graph.chat(**given)]


async def test_tokens_of_the_answer_and_then_the_answer_with_its_sources() -> None:
    pieces = await shown(talking(), question="How long?", thread_id="t", user="ada")
    assert [(piece.kind, piece.text) for piece in pieces] == [
        ("token", "Three "), ("token", "minutes [1]."), ("answer", "Three minutes [1].")
    ]  # fmt: skip
    assert pieces[-1].sources == (CITED,)
    assert pieces[-1].run_id


async def test_pieces_are_json_and_server_sent_events() -> None:
    graph = talking()
    pieces = await shown(graph, question="How\nlong?")
    source = {"number": 1, "quote": "Three minutes.", "title": "Tea", "source": "tea.md", "line": 3, "place": ""}
    last = {"kind": "answer", "text": "Three minutes [1].", "sources": [source], "run_id": pieces[-1].run_id}
    assert [json.loads(piece.json()) for piece in pieces] == [
        {"kind": "token", "text": "Three "}, {"kind": "token", "text": "minutes [1]."}, last
    ]  # fmt: skip
    kind, data = pieces[-1].sse().removesuffix("\n\n").split("\n")
    assert (kind, json.loads(data.removeprefix("data: "))) == ("event: answer", last)
    assert Piece("token", "a\n\nb\r").sse().count("\n") == 3  # what is said ends no event
    assert Piece("reset").data() == {"kind": "reset"}


async def test_what_is_tried_again_is_cleared_also_where_a_graph_within_says_it() -> None:
    tries: list[int] = []

    async def stumble(question: str, ctx: Context) -> Said:
        await ctx.emit("Thr")
        tries.append(1)
        if len(tries) % 2:
            raise NodeError("the line broke", transient=True)
        return {"answer": Answer(text="Three.")}

    again = [("token", "Thr"), ("reset", ""), ("token", "Thr"), ("answer", "Three.")]
    retried = talking("start -> say -> end", nodes={"say": {"type": stumble, "retry": 1}})
    assert [(piece.kind, piece.text) for piece in await shown(retried, question="?")] == again
    inner = talking("start -> say -> end", nodes={"say": stumble})
    outer = talking("start -> inner -> end", nodes={"inner": {"type": inner, "retry": 1}})
    assert [(piece.kind, piece.text) for piece in await shown(outer, question="?")] == again


async def test_when_another_node_speaks_the_window_is_cleared() -> None:
    async def correct(answer: Answer, ctx: Context) -> Said:
        await ctx.emit("Four.")
        return {"answer": Answer(text="Four.")}

    graph = talking("start -> draft -> say -> fix -> end", nodes={"draft": draft, "say": say, "fix": correct})
    kinds = [(piece.kind, piece.text) for piece in await shown(graph, question="?")]
    assert kinds[1:] == [("token", "minutes [1]."), ("reset", ""), ("token", "Four."), ("answer", "Four.")]


async def test_what_a_run_asks_is_shown_with_where_the_answer_goes() -> None:
    async def agreed(question: str, ctx: Context) -> Said | Ask:
        return {"answer": Answer(text=str(ctx.answers[0]))} if ctx.answers else ask("Really?")

    graph = talking("start -> say -> end", nodes={"say": agreed})
    [piece] = await shown(graph, question="Pay?")
    assert (piece.kind, piece.text, piece.path) == ("ask", "Really?", "say#1")
    assert (await graph.aresume(piece.run_id, answers={piece.path: "yes"})).text == "yes"


async def test_failures_wrong_inputs_and_busy_threads_are_pieces() -> None:
    async def fail(question: str) -> Said:
        raise NodeError("the kettle is cold")

    graph = talking("start -> say -> end", nodes={"say": fail})
    [piece] = await shown(graph, question="?")
    assert (piece.kind, bool(piece.run_id)) == ("error", True)
    assert "failed at say#1: the kettle is cold" in piece.text
    [piece] = await shown(graph, questoin="?")
    assert (piece.kind, piece.run_id) == ("error", "")
    assert "did you mean 'question'?" in piece.text
    gate = Gate()

    async def wait(n: int) -> None:
        await gate.wait()

    busy = build({"a": wait}, "start -> a -> end", outputs=(), turns="reject")
    first = asyncio.ensure_future(shown(busy, n=0, thread_id="t"))
    await gate.started.wait()
    [piece] = await shown(busy, n=1, thread_id="t")
    assert (piece.kind, "is busy" in piece.text) == ("error", True)
    gate.open()
    assert [piece.kind for piece in await first] == ["answer"]


async def test_a_run_that_a_newer_one_replaced_was_cancelled_and_did_not_fail() -> None:
    gate = Gate()

    async def wait(question: str, ctx: Context) -> Said:
        await ctx.emit("Well, ")
        if question == "first":
            await gate.wait()
        return {"answer": Answer(text=question)}

    graph = talking("start -> say -> end", nodes={"say": wait}, turns="interrupt")
    first = asyncio.ensure_future(shown(graph, question="first", thread_id="t"))
    await gate.started.wait()
    assert (await shown(graph, question="second", thread_id="t"))[-1].text == "second"
    token, last = await first
    assert (token.text, last.kind) == ("Well, ", "cancelled")
    assert "took its place" in last.text


async def test_a_window_that_is_closed_ends_its_run() -> None:
    gate = Gate()

    async def wait(question: str, ctx: Context) -> Said:
        await ctx.emit("Well, ")
        await gate.wait()
        return {"answer": Answer(text=question)}

    graph = talking("start -> say -> end", nodes={"say": wait})
    async with aclosing(graph.chat(question="?")) as pieces:
        async for piece in pieces:
            assert piece.text == "Well, "
            break
    assert [record.status for record in await graph.runs()] == ["cancelled"]


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({"n": 1, "answer": Answer(text=" Yes. ")}, "Yes."),
        ({"text": "Yes."}, "Yes."),
        ({"n": 7, "tags": ["a"]}, 'n: 7\ntags: [\n  "a"\n]'),
        ({}, ""),
    ],
)
def test_a_result_says_what_is_to_be_read_first(outputs: dict[str, Any], text: str) -> None:
    assert Result(outputs, "done", "r1").text == text


def test_a_result_has_the_sources_of_its_answer() -> None:
    assert Result({"n": 1, "answer": Answer(text="Yes [1].", citations=(CITED,))}, "done", "r1").sources == (CITED,)
    assert Result({"text": "Yes."}, "done", "r1").sources == ()
    parked = Result({}, "parked", "r1", asks={"a#1": ask("Really?"), "b#1": ask("How many?", "integer")})
    assert (parked.text, parked.sources) == ("Really?\nHow many?", ())
