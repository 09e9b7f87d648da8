"""What people get wrong in their first lines of Python, and what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ragweave import Failure, NodeError, Result
from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import GraphError, InputError, OutputError, PluginError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.nodes.reply import Reply
from ragweave.orchestrator.values import Ask, Document
from tests.engine.steps import K, N, build, idle, inc


def simple() -> Graph:
    return build({"a": inc}, "start -> a -> end")


# --- results ---


def test_a_misspelt_output_is_named_and_still_a_key_error() -> None:
    result = simple().run(n=1)
    assert "n" in result
    assert "m" not in result
    assert list(result) == ["n"]
    with pytest.raises(KeyError) as caught:
        result["N"]
    assert str(caught.value) == "the result has no output 'N'; did you mean 'n'?"
    assert isinstance(caught.value, OutputError)


def test_a_parked_result_says_that_it_waits_for_an_answer() -> None:
    parked = Result({}, "parked", "r-1", asks={"a#1": Ask(question="Really?", schema={"type": "boolean"})})
    with pytest.raises(OutputError, match=r"run 'r-1' is parked and has no outputs yet: it asks at a#1; .*resume"):
        parked["n"]


async def test_what_an_error_node_reads_has_type_and_words_apart() -> None:
    seen: list[Failure] = []

    async def broken(n: int) -> N:
        raise ConnectionError("the printer is off")

    async def silent(n: int) -> N:
        raise TimeoutError

    async def note(error: Failure) -> None:
        seen.append(error)

    for kind in (broken, silent):
        nodes = {"a": {"type": kind, "on_error": "x"}, "x": note, "y": idle}
        await build(nodes, "start -> a -> y -> end", "x -> end", outputs=[]).arun(n=1)
    assert [(one.node, one.type, one.message) for one in seen] == [
        ("a#1", "ConnectionError", "the printer is off"),
        ("a#1", "TimeoutError", ""),
    ]
    assert [str(one) for one in seen] == ["the printer is off", "TimeoutError"]
    said = await Reply(text="Sorry: {error}.")(ctx=Context(), error=seen[0])
    assert said["answer"].text == "Sorry: the printer is off."


# --- inputs and options ---


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"m": 1}, "'graph' has no input 'm'; there is: n"),
        ({"n": 1, "dedline": 3}, "'graph' has no input 'dedline'; did you mean 'deadline'?"),
        ({"n": 1, "thread": "x"}, "'graph' has no input 'thread'; did you mean 'thread_id'?"),
        ({"n": "x"}, "input 'n' must be int, not 'x'"),
        ({"n": 1, "deadline": "soon"}, "deadline: 'soon' is not a duration, such as 30s, 1m30s or 500ms"),
        ({"n": 1, "deadline": 0}, "deadline: 0 is not a time; give seconds above 0, or a text such as 10m"),
        ({"n": 1, "deadline": True}, "deadline: True is not a time"),
        ({"n": 1, "deadline": float("nan")}, "deadline: nan is not a time"),
        ({"n": 1, "thread_id": 42}, "thread_id is a text, not 42; write thread_id='42'"),
        ({"n": 1, "thread_id": None}, "thread_id is a text, not None; leave it out where there is no thread"),
    ],
)
def test_what_is_wrong_with_a_call_is_said_by_all_ways_to_run(call: dict[str, Any], said: str) -> None:
    graph = simple()
    ways: list[Callable[..., Any]] = [graph.run, graph.stream, graph.stream_sync]
    for way in ways:
        with pytest.raises(InputError) as caught:
            way(**call)
        assert str(caught.value).startswith(said)


@pytest.mark.parametrize("deadline", ["3s", "1m30s", 3, 0.5, timedelta(seconds=2), None])
def test_a_deadline_is_written_as_in_yaml(deadline: Any) -> None:
    assert simple().run(n=1, deadline=deadline)["n"] == 2


def test_inputs_may_come_as_a_dict_and_so_have_any_name() -> None:
    assert simple().run({"n": 1})["n"] == 2

    async def total(deadline: int, n: int) -> N:
        return {"n": deadline + n}

    graph = build({"a": total}, "start -> a -> end", inputs={"deadline": "int", "n": "int"})
    assert graph.run({"deadline": 5}, n=1, deadline="5s")["n"] == 6
    with pytest.raises(InputError, match="the input 'n' is given twice: in the dict and by name"):
        graph.run({"deadline": 5, "n": 1}, n=1)
    wrong: Any = "five"
    with pytest.raises(InputError, match="inputs are given by name or as a dict, not as 'five'"):
        graph.run(wrong)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"n": 1}, "batch takes a list of inputs, not a dict of one run's inputs; put them into a list"),
        ("abc", "batch takes a list of inputs, not 'abc'"),
        (5, "batch takes a list of inputs, not 5"),
        ([{"n": 1}] * 713 + [{"m": 1}], "row 713 (from 0): 'graph' has no input 'm'; there is: n"),
        ([{"n": 1}, {"n": "x"}], "row 1 (from 0): input 'n' must be int, not 'x'"),
        ([{"n": 1}, 2], "row 1 (from 0) is 2, not a dict of inputs such as {'n': …}"),
        ([{5: 1}], "row 0 (from 0): 'graph' has no input 5"),
    ],
)
def test_a_bad_row_of_a_batch_is_named(rows: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        simple().batch(rows)
    assert str(caught.value).startswith(said)


def test_a_batch_takes_a_generator() -> None:
    results = simple().batch({"n": at} for at in range(3))
    assert [one["n"] for one in results if isinstance(one, Result)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("run_id", "answers", "said"),
    [
        (Result({}, "parked", "r"), {}, "give result.run_id"),
        ("r", ["yes"], r"not \['yes'\]; give answers=\{path: …\}"),
    ],
)
def test_resume_says_what_it_takes(run_id: Any, answers: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        simple().resume(run_id, answers=answers)


async def test_a_run_that_goes_on_is_not_resumed_by_another_graph_either_but_cancelled() -> None:
    started = asyncio.Event()

    async def waits(n: int) -> N:
        started.set()
        await asyncio.Event().wait()
        return {"n": n}

    first = build({"a": waits}, "start -> a -> end")
    second = build({"a": waits}, "start -> a -> end", store=first.store)
    task = asyncio.ensure_future(first.arun(n=1))
    await started.wait()
    run_id = (await second.runs())[0].run_id
    with pytest.raises(InputError, match="is going on in this process; wait for it, or cancel it first"):
        await second.aresume(run_id)
    assert await second.cancel(run_id)
    with pytest.raises(RunError, match="was cancelled"):
        await task
    assert not await second.cancel(run_id)


# --- plugins ---

PLUGIN = """
from typing import TypedDict
from ragweave import node
class N(TypedDict):
    n: int
@node
async def t_plugged(n: int) -> N:
    return {"n": n + 1}
"""
FILE = (
    "schema: ragweave/v1\ninputs: {n: int}\noutputs: [n]\nnodes: {a: {type: t_plugged}}\nedges: [start -> a -> end]\n"
)


@pytest.mark.parametrize("form", ["name", "file", "path", "list", "tuple"])
def test_one_plugin_may_stand_without_a_list_and_beside_its_graph(form: str, tmp_path: Path) -> None:
    name = f"t_plugin_{form}"
    (tmp_path / f"{name}.py").write_text(PLUGIN, encoding="utf-8")
    (tmp_path / "graph.yaml").write_text(FILE, encoding="utf-8")
    plugins: Any = {
        "name": name,
        "file": f"{name}.py",
        "path": Path(f"{name}.py"),
        "list": [name],
        "tuple": (f"{name}.py",),
    }[form]
    with registry.scope():
        assert Graph.load(tmp_path / "graph.yaml", plugins=plugins).run(n=1)["n"] == 2


@pytest.mark.parametrize("wrong", [5, [5], [""], [None]])
def test_what_is_no_plugin_is_said(wrong: Any) -> None:
    with pytest.raises(PluginError, match=r"cannot be a plugin; give the name of a module or a file"):
        Graph.parse(FILE, plugins=wrong)


# --- what nodes return ---


async def test_what_a_node_returns_wrong_is_named_with_what_is_wanted() -> None:
    async def bare(n: int) -> N:
        return n  # type: ignore[return-value]

    async def other(n: int) -> N:
        return {"nn": n}  # type: ignore[typeddict-unknown-key, typeddict-item]

    async def nothing(n: int) -> N:
        return {"n": None}  # type: ignore[typeddict-item]

    async def items(n: int) -> K:
        return {"k": [n]}  # type: ignore[list-item]

    for kind, outputs, said in [
        (bare, ["n"], "bare returned 1 (int), not a dict of n; write return {'n': …}"),
        (other, ["n"], "other returned the undeclared key 'nn'; it declares: n; did you mean 'n'?"),
        (nothing, ["n"], "nothing returned None for 'n', which is int"),
        (items, ["k"], "items returned a list with 1 (int) for 'k', which is list[str]"),
    ]:
        for entry in (kind, {"type": kind, "timeout": "5s"}):
            with pytest.raises(RunError) as caught:
                await build({"a": entry}, "start -> a -> end", outputs=outputs).arun(n=1)
            assert type(caught.value.__cause__) is NodeError
            assert str(caught.value.__cause__).endswith(said.partition(" ")[2])


def test_a_node_that_yields_is_refused_when_the_graph_is_built() -> None:
    async def chatty(n: int) -> N:  # type: ignore[misc]
        yield {"n": n}

    def plain(n: int) -> N:  # type: ignore[misc]
        yield {"n": n}

    for kind in (chatty, plain):
        with pytest.raises(GraphError, match=r"a node returns once and does not yield; .* `await ctx.emit\(text\)`"):
            build({"a": kind}, "start -> a -> end")


# --- graphs in graphs ---


async def test_a_graph_object_is_a_node() -> None:
    inner = simple()
    outer = build({"one": inner, "two": {"type": inner, "timeout": "5s"}}, "start -> one -> two -> end")
    assert (await outer.arun(n=1))["n"] == 3
    kinds = [(event.kind, event.path) async for event in outer.stream(n=1) if event.kind == "finished"]
    assert kinds == [("finished", path) for path in ("one#1/a#1", "one#1", "two#1/a#1", "two#1")]
    with pytest.raises(GraphError, match=r"nodes.one.reads: the node reads no 'm'; there is: n"):
        build({"one": {"type": inner, "reads": {"m": "n"}}}, "start -> one -> end")


async def test_a_graph_object_that_asks_is_resumed_within_the_outer_run() -> None:
    async def asks(n: int, ctx: Context) -> N | Ask:
        if ctx.answers:
            return {"n": n + ctx.answers[0]}
        return Ask(question="how many?", schema={"type": "integer"})

    outer = build({"g": build({"a": asks}, "start -> a -> end"), "b": inc}, "start -> g -> b -> end")
    parked = await outer.arun(n=1)
    assert list(parked.asks) == ["g#1/a#1"]
    assert (await outer.aresume(parked.run_id, answers={"g#1/a#1": 5}))["n"] == 7


def test_best_merges_what_parallel_nodes_found() -> None:
    from typing import TypedDict

    class Found(TypedDict):
        documents: list[Document]

    def finds(score: float) -> Any:
        async def find() -> Found:
            return {"documents": [Document(id="x", text="x", score=score), Document(id=str(score), text="y")]}

        return find

    graph = build(
        {"a": finds(1.0), "b": finds(2.0)},
        "start -> a, b -> end",
        inputs={},
        outputs=["documents"],
        state={"documents": {"merge": "best"}},
    )
    assert [(one.id, one.score) for one in graph.run()["documents"]] == [("x", 2.0), ("1.0", 0.0), ("2.0", 0.0)]
