"""Budgets of time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import BudgetExceeded, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.values import Ask
from tests.engine.metered import PROMPT, Watched, chat, metered_types
from tests.engine.steps import N, build


@pytest.fixture(autouse=True)
def _types() -> Iterator[None]:
    yield from metered_types()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


pytestmark = pytest.mark.usefixtures("leaping")


async def sleepy(n: int) -> N:
    await asyncio.sleep(10)
    return {"n": n}


async def quick(n: int) -> N:
    await asyncio.sleep(0.05)
    return {"n": n + 1}


async def test_a_run_ends_when_its_time_is_over() -> None:
    graph = build({"a": quick, "b": sleepy}, "start -> a -> b -> end", budget={"max_seconds": 0.3})
    began = time.monotonic()
    with pytest.raises(RunError) as caught:
        await graph.arun(n=1)
    assert time.monotonic() - began == pytest.approx(0.3)
    error = caught.value.__cause__
    assert isinstance(error, BudgetExceeded)
    assert str(error).startswith("the budget of graph 'graph' (max_seconds: 0.3) has no room: they have passed")


async def test_partial_answer_is_not_proposed_where_it_did_not_help(leaping: None) -> None:
    budget = {"max_seconds": 0.3, "on_exceed": ["partial_answer"]}
    graph = build(
        {"a": {"type": sleepy, "writes": {"n": "late"}}}, "start -> a -> end", outputs=["late"], budget=budget
    )
    with pytest.raises(RunError, match=r"they have passed; raise it$"):
        await graph.arun(n=1)


async def test_the_outputs_that_are_there_are_given(leaping: None) -> None:
    budget = {"max_seconds": 0.3, "on_exceed": ["partial_answer"]}
    graph = build({"a": quick, "b": sleepy}, "start -> a -> b -> end", budget=budget)
    result = await graph.arun(n=1)
    assert (result.status, result["n"]) == ("done", 2)
    [told] = result.exceeded
    assert (told.did, told.limit, told.path) == ("partial_answer", "max_seconds", "")
    replay = await graph.areplay(result.run_id)
    assert (dict(replay.outputs), replay.differences) == ({"n": 2}, ())


async def test_a_node_has_its_time_over_all_its_visits(leaping: None) -> None:
    edges: list[object] = [
        "start -> a",
        {"from": "a", "routes": [{"when": "n < 9", "to": "a", "max_iterations": 9}, {"to": "end"}]},
    ]
    node = {"type": quick, "budget": {"max_seconds": 0.12}}
    graph = build({"a": node}, *edges)
    with pytest.raises(RunError, match="node 'a'") as caught:
        await graph.arun(n=1)
    assert caught.value.path == "a#3"


async def test_time_in_which_calls_go_on_side_by_side_counts_once(leaping: None) -> None:
    node = {"type": quick, "map": {"over": "many", "as": "n", "max_concurrency": 20}, "budget": {"max_seconds": 0.3}}
    graph = build({"a": node}, "start -> a -> end", inputs={"many": "list[int]"})
    assert len((await graph.arun(many=list(range(100))))["n"]) == 100


async def test_time_in_which_people_are_waited_for_does_not_count(leaping: None, watched: Watched) -> None:
    async def asks(n: int, ctx: Context) -> N | Ask:
        return {"n": n + 1} if ctx.answers else Ask(question="Go on?")

    graph = build({"a": quick, "b": asks}, "start -> a -> b -> end", budget={"max_seconds": 1})
    parked = await graph.arun(n=1)
    before = watched.account().clock.spent(0)
    await asyncio.sleep(1.1)
    result = await graph.aresume(parked.run_id, answers={"b#1": "yes"})
    assert result["n"] == 3
    assert 0.05 == pytest.approx(before) == pytest.approx(watched.account().clock.spent(0))


async def test_a_resumed_run_has_the_time_that_is_left(leaping: None) -> None:
    async def asks(n: int, ctx: Context) -> N | Ask:
        await asyncio.sleep(0.2)
        return {"n": n + 1} if len(ctx.answers) > 5 else Ask(question="Go on?")

    graph = build({"b": asks}, "start -> b -> end", budget={"max_seconds": 0.5})
    run_id = (await graph.arun(n=1)).run_id
    await graph.aresume(run_id, answers={"b#1": "yes"})
    with pytest.raises(RunError, match=r"max_seconds: 0\.5"):
        await graph.aresume(run_id, answers={"b#1": "yes"})


SLOW = """\
models: {chat: {type: metered, length: 1000, pause: 0.02}}
%snodes:
  a: {type: generator, model: chat, prompt: p%s}
  b: {type: reply, text: Found., writes: {answer: note}}
edges: [start -> a -> b -> end]
"""


def slow(*parts: str, outputs: str = "[answer, note]") -> Graph:
    """The graph, with all that it would build in threads: time leaps over these."""
    graph = Graph.parse(f"schema: ragweave/v1\ninputs: {{question: str}}\noutputs: {outputs}\n{PROMPT}{SLOW % parts}")
    for kind, name in (("models", "chat"), ("prompts", "p")):
        graph.resources.get(kind, name)
    return graph


@pytest.mark.parametrize("on_graph", [True, False])
async def test_what_was_said_so_far_is_kept(leaping: None, on_graph: bool) -> None:
    budget = "budget: {max_seconds: 2, on_exceed: [partial_answer]}"
    began = time.monotonic()
    result = await slow(*(f"{budget}\n", "") if on_graph else ("", f", {budget}")).arun(question="one")
    assert len(result["answer"].text.split()) == 94  # the last twentieth of the time is for what follows
    assert result["note"].text == "Found."
    assert time.monotonic() - began == pytest.approx(1.9, abs=0.03)
    assert [one.did for one in result.exceeded] == ["partial_answer"]


@pytest.mark.parametrize("on_graph", [True, False])
async def test_a_reply_that_is_broken_off_late_is_kept_too(leaping: None, on_graph: bool) -> None:
    budget = "budget: {max_seconds: 2, on_exceed: [partial_answer]}"
    graph = slow(*(f"{budget}\n", "") if on_graph else ("", f", {budget}"))
    chat(graph).lingers = 0.15
    result = await graph.arun(question="one")
    assert (len(result["answer"].text.split()), result["note"].text) == (94, "Found.")


async def test_a_call_that_begins_when_hardly_any_time_is_left_is_not_made(leaping: None) -> None:
    graph = slow("budget: {max_seconds: 2, on_exceed: [partial_answer]}\n", ", timeout: 1.92s, retry: 1")
    chat(graph).length = 0
    chat(graph).delay = 5
    with pytest.raises(RunError, match="max_seconds: 2"):
        await graph.arun(question="one")
    assert len(chat(graph).asked) == 1


async def test_a_call_of_a_node_is_stopped_in_the_middle(leaping: None) -> None:
    began = time.monotonic()
    with pytest.raises(RunError, match="node 'a'"):
        await slow("", ", budget: {max_seconds: 0.3}").arun(question="one")
    assert time.monotonic() - began == pytest.approx(0.3)
