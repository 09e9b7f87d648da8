"""For whom a run is: recorded, told to its nodes, and kept apart from other users' runs."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, ThreadBusy
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.values import Ask
from tests.engine.steps import Gate, N, ask, build


class Name(TypedDict):
    name: str


async def whose(ctx: Context) -> Name:
    return {"name": ctx.user}


def naming(**more: Any) -> Graph:
    return Graph(inputs={}, outputs=["name"], nodes={"who": whose}, edges=["start -> who -> end"], **more)


async def test_nodes_of_a_run_see_its_user_also_in_a_graph_within() -> None:
    graph = Graph(inputs={}, outputs=["name"], nodes={"inner": naming()}, edges=["start -> inner -> end"])
    result = await graph.arun(user="ada")
    assert result["name"] == "ada"
    record = await graph.store.record(result.run_id)
    assert record is not None
    assert (record.user, record.thread_id) == ("ada", "")
    assert (await graph.arun())["name"] == ""
    [end] = [event async for event in graph.stream(user="bob") if event.kind == "run_done"]
    assert end.data["result"]["name"] == "bob"
    assert Context().user == ""


def test_callers_without_an_event_loop_name_a_user_too() -> None:
    graph = naming()
    assert graph.run(user="ada")["name"] == "ada"
    [end] = [event for event in graph.stream_sync(user="bob") if event.kind == "run_done"]
    assert end.data["result"]["name"] == "bob"


async def test_a_run_that_goes_on_is_still_its_users() -> None:
    async def agreed(ctx: Context) -> Name | Ask:
        return {"name": ctx.user} if ctx.answers else ask("Really?")

    graph = Graph(inputs={}, outputs=["name"], nodes={"who": agreed}, edges=["start -> who -> end"])
    parked = await graph.arun(user="ada", thread_id="t")
    assert (await graph.aresume(parked.run_id, answers={"who#1": "yes"}))["name"] == "ada"


async def test_two_users_with_equal_thread_ids_do_not_wait_for_each_other() -> None:
    gates = {at: Gate() for at in range(3)}

    async def work(n: int) -> N:
        await gates[n].wait()
        return {"n": n}

    graph = build({"a": work}, "start -> a -> end", turns="reject")
    first = asyncio.ensure_future(graph.arun(n=0, thread_id="t", user="ada"))
    await gates[0].started.wait()
    second = asyncio.ensure_future(graph.arun(n=1, thread_id="t", user="bob"))
    await gates[1].started.wait()
    with pytest.raises(ThreadBusy, match="thread 't' is busy"):
        await graph.arun(n=2, thread_id="t", user="ada")
    for gate in gates.values():
        gate.open()
    assert [(await one)["n"] for one in (first, second)] == [0, 1]
    assert (await graph.arun(n=2, thread_id="t", user="ada"))["n"] == 2
    assert graph._threads._waiting == graph._threads._holding == {}


async def test_nobody_cancels_a_run_of_another_user_by_guessing_its_thread() -> None:
    gate = Gate()

    async def work(n: int) -> N:
        if n == 0:
            await gate.wait()
        return {"n": n}

    graph = build({"a": work}, "start -> a -> end", turns="interrupt")
    first = asyncio.ensure_future(graph.arun(n=0, thread_id="t", user="ada"))
    await gate.started.wait()
    assert (await graph.arun(n=1, thread_id="t", user="mallory"))["n"] == 1
    gate.open()
    assert (await first)["n"] == 0


@pytest.mark.parametrize(
    ("user", "said"), [(7, r"user is a text, not 7.*write user='7'"), (None, r"user is a text, not None.*leave it out")]
)
def test_what_is_no_user_is_refused(user: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        naming().run(user=user)


def test_an_input_called_user_is_given_in_a_dict() -> None:
    async def greet(user: str, ctx: Context) -> Name:
        return {"name": f"{user} for {ctx.user}"}

    graph = Graph(inputs={"user": "str"}, outputs=["name"], nodes={"who": greet}, edges=["start -> who -> end"])
    assert graph.run({"user": "Ada"}, user="7f3")["name"] == "Ada for 7f3"
    with pytest.raises(InputError, match=r"needs the input 'user' \(str\).*give it in a dict.*run\(\{'user': …\}\)"):
        graph.run(user="Ada")
