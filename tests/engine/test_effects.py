"""Effects: done once, or asked about (R18, R21)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import NodeError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node_type
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.fold import fold_all
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.stores.memory import MemoryStore
from ragweave.orchestrator.values import Ask, Failure
from tests.engine.steps import N, R, ask, build, events, finished, idle


def effect(function: Callable[..., Any], *, idempotent: bool = False) -> Any:
    return node_type(function, effects="external", idempotent=idempotent)


async def crashed(graph: Graph, count: int, run_id: str = "crashed", **inputs: Any) -> str:
    """A run of which only the first events of the newest run's journal are known, as after a kill."""
    known = (await events(graph))[:count]
    await graph.store.begin(RunRecord(run_id, "", graph.name, "running"))
    write = graph.store.writer(run_id)
    for event in known:
        write(event.record())
    return run_id


def kinds(journal: list[Event]) -> list[str]:
    return [event.kind for event in journal]


async def test_an_effect_is_journaled_before_and_after_and_both_are_flushed() -> None:
    flushed: list[list[str]] = []

    class Flushing(MemoryStore):
        immediate = False

        async def flush(self, run_id: str, *, safe: bool = False) -> None:
            flushed.append(kinds(list(await self.events(run_id))))

    async def pay(n: int) -> N:
        assert flushed == [["run_started", "effect_started"]]
        return {"n": n + 1}

    graph = build({"pay": effect(pay)}, "start -> pay -> end", store=Flushing())
    await graph.arun(n=1)
    assert flushed[1] == ["run_started", "effect_started", "effect_finished"]
    assert kinds(await events(graph)) == ["run_started", "effect_started", "effect_finished", "finished", "run_done"]


async def test_what_a_finished_call_did_is_not_carried_along() -> None:
    async def pay(n: int) -> N:
        return {"n": n + 1}

    graph = build({"a": effect(pay), "b": effect(pay)}, "start -> a -> b -> end")
    await graph.arun(n=1)
    journal = await events(graph)
    known = [list(fold_all(graph.plan, journal[:count]).effects) for count in range(1, len(journal) + 1)]
    assert kinds(journal)[1:-1] == ["effect_started", "effect_finished", "finished"] * 2
    assert known == [[], ["a#1"], ["a#1"], [], ["b#1"], ["b#1"], [], []]


async def test_an_effect_that_happened_is_not_repeated_although_its_node_did_not_finish() -> None:
    paid = 0

    async def pay(n: int) -> N:
        nonlocal paid
        paid += 1
        return {"n": n + 41}

    graph = build({"pay": effect(pay)}, "start -> pay -> end")
    await graph.arun(n=1)
    run_id = await crashed(graph, 3)
    assert (await graph.aresume(run_id))["n"] == 42
    assert paid == 1


async def test_an_idempotent_effect_of_unknown_outcome_is_repeated_with_the_same_key() -> None:
    keys: list[str] = []

    async def put(n: int, ctx: Context) -> N:
        keys.append(ctx.key)
        return {"n": n + 1}

    graph = build({"put": effect(put, idempotent=True)}, "start -> put -> end")
    await graph.arun(n=1)
    assert (await graph.aresume(await crashed(graph, 2)))["n"] == 2
    assert keys[1] == "crashed:put#1"


def paying() -> tuple[Graph, list[str]]:
    """A graph with an effect that writes, and what it was called with."""
    calls: list[str] = []

    async def pay(n: int, ctx: Context) -> N:
        calls.append(ctx.path)
        return {"n": n + 1}

    return build({"pay": effect(pay)}, "start -> pay -> end"), calls


async def test_one_of_unknown_outcome_makes_the_run_ask() -> None:
    graph, calls = paying()
    await graph.arun(n=1)
    run_id = await crashed(graph, 2)
    parked = await graph.aresume(run_id)
    assert parked.status == "parked"
    assert list(parked.asks) == ["pay#1!"]
    assert parked.asks["pay#1!"].answer_schema == {"type": "string", "enum": ["repeat", "fail"]}
    assert calls == ["pay#1"]


async def test_repeat_calls_it_again() -> None:
    graph, calls = paying()
    await graph.arun(n=1)
    run_id = await crashed(graph, 2)
    await graph.aresume(run_id)
    result = await graph.aresume(run_id, answers={"pay#1!": "repeat"})
    assert (result.status, result["n"], calls) == ("done", 2, ["pay#1", "pay#1"])


async def test_fail_fails_the_node() -> None:
    graph, calls = paying()
    await graph.arun(n=1)
    run_id = await crashed(graph, 2)
    await graph.aresume(run_id)
    with pytest.raises(RunError, match="may or may not have happened") as caught:
        await graph.aresume(run_id, answers={"pay#1!": "fail"})
    assert type(caught.value.__cause__).__name__ == "Denied"
    assert calls == ["pay#1"]


async def test_other_answers_are_refused_and_the_run_stays_parked() -> None:
    graph, _ = paying()
    await graph.arun(n=1)
    run_id = await crashed(graph, 2)
    await graph.aresume(run_id)
    with pytest.raises(NodeError, match="'skip' is not one of 'repeat', 'fail'"):
        await graph.aresume(run_id, answers={"pay#1!": "skip"})
    record = await graph.store.record(run_id)
    assert record is not None
    assert record.status == "parked"


async def test_an_effect_that_writes_nothing_can_be_skipped() -> None:
    sent: list[int] = []

    async def send(n: int) -> None:
        sent.append(n)

    graph = build({"send": effect(send)}, "start -> send -> end")
    await graph.arun(n=1)
    run_id = await crashed(graph, 2)
    parked = await graph.aresume(run_id)
    assert parked.asks["send#1!"].answer_schema["enum"] == ["repeat", "skip", "fail"]
    assert (await graph.aresume(run_id, answers={"send#1!": "skip"})).status == "done"
    assert sent == [1]


async def test_a_decision_to_repeat_holds_once() -> None:
    graph, calls = paying()
    await graph.arun(n=1)
    run_id = await crashed(graph, 2)
    await graph.aresume(run_id)
    await graph.aresume(run_id, answers={"pay#1!": "repeat"})
    journal = await events(graph, run_id)
    again = kinds(journal).index("effect_started", kinds(journal).index("answered"))
    await graph.store.begin(RunRecord("twice", "", graph.name, "running"))
    for event in journal[: again + 1]:
        graph.store.writer("twice")(event.record())
    assert (await graph.aresume("twice")).status == "parked"
    assert calls == ["pay#1", "pay#1"]


async def test_a_timeout_leaves_the_outcome_unknown_so_the_run_asks(leaping: None) -> None:
    slow = True

    async def pay(n: int) -> N:
        if slow:
            await asyncio.Event().wait()
        return {"n": n + 1}

    graph = build(
        {"pay": {"type": effect(pay), "timeout": 0.02, "on_error": "x"}, "x": idle},
        "start -> pay -> end",
        "x -> end",
        outputs=[],
    )
    parked = await graph.arun(n=1)
    assert list(parked.asks) == ["pay#1!"]
    slow = False
    assert (await graph.aresume(parked.run_id, answers={"pay#1!": "repeat"})).status == "done"
    assert await finished(graph, parked.run_id) == ["pay#1"]


async def test_an_idempotent_effect_is_tried_again_after_a_timeout(
    leaping: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.wrappers.FIRST_PAUSE", 0.0)
    calls = 0

    async def put(n: int) -> N:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()
        return {"n": n + 1}

    graph = build({"a": {"type": effect(put, idempotent=True), "timeout": 0.02, "retry": 1}}, "start -> a -> end")
    assert (await graph.arun(n=1))["n"] == 2


async def test_an_error_says_that_it_did_not_happen() -> None:
    broken = True

    async def pay(n: int) -> N:
        if broken:
            raise NodeError("card declined")
        return {"n": n + 1}

    graph = build({"pay": effect(pay)}, "start -> pay -> end")
    with pytest.raises(RunError, match="card declined") as caught:
        await graph.arun(n=1)
    broken = False
    assert (await graph.aresume(caught.value.run_id))["n"] == 2


@pytest.mark.parametrize(
    ("error", "asks"), [(ConnectionResetError(), True), (TimeoutError(), True), (ConnectionRefusedError(), False)]
)
async def test_a_lost_connection_leaves_the_outcome_unknown(error: Exception, asks: bool) -> None:
    async def pay(n: int) -> N:
        raise error

    async def repair(error: Failure) -> R:
        return {"r": error.type}

    graph = build(
        {"pay": {"type": effect(pay), "on_error": "x"}, "x": repair}, "start -> pay -> end", "x -> end", outputs=[]
    )
    assert (await graph.arun(n=1)).status == ("parked" if asks else "done")


async def test_an_effect_that_asks_itself_is_not_asked_about() -> None:
    calls = 0

    async def pay(n: int, ctx: Context) -> N | Ask:
        nonlocal calls
        calls += 1
        return {"n": n} if ctx.answers else ask("Pay?", "boolean")

    graph = build({"pay": effect(pay)}, "start -> pay -> end")
    parked = await graph.arun(n=1)
    assert list(parked.asks) == ["pay#1"]
    assert (await graph.aresume(parked.run_id, answers={"pay#1": True})).status == "done"
    assert calls == 2


async def test_the_answers_of_the_node_stay_apart_from_the_decision() -> None:
    seen: list[tuple[Any, ...]] = []

    async def pay(n: int, ctx: Context) -> N | Ask:
        seen.append(ctx.answers)
        return {"n": n} if ctx.answers else ask("Pay?", "boolean")

    graph = build({"pay": effect(pay)}, "start -> pay -> end")
    parked = await graph.arun(n=1)
    await graph.aresume(parked.run_id, answers={"pay#1": True})
    journal = await events(graph, parked.run_id)
    last_start = len(journal) - 1 - kinds(journal)[::-1].index("effect_started")
    run_id = await crashed(graph, last_start + 1)
    assert list((await graph.aresume(run_id)).asks) == ["pay#1!"]
    assert (await graph.aresume(run_id, answers={"pay#1!": "repeat"})).status == "done"
    assert seen == [(), (True,), (True,)]


async def test_effects_of_a_loop_have_keys_of_their_own() -> None:
    keys: list[str] = []

    async def pay(n: int, ctx: Context) -> N:
        keys.append(ctx.key.split(":")[1])
        return {"n": n + 1}

    graph = build(
        {"pay": effect(pay)},
        "start -> pay",
        {"from": "pay", "routes": [{"when": "n < 3", "to": "pay", "max_iterations": 5}, {"to": "end"}]},
    )
    assert (await graph.arun(n=0))["n"] == 3
    assert keys == ["pay#1", "pay#2", "pay#3"]
