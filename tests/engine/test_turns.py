"""What becomes of a run whose thread is busy: it waits, is refused, or takes over."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, NodeError, RunError, ThreadBusy
from ragweave.orchestrator.running.threads import ThreadQueues, Turns
from ragweave.orchestrator.values import Ask
from tests.engine.steps import Gate, N, ask, build, events, inc, status


def spoken(gates: dict[int, Gate], turns: Turns = "queue") -> Any:
    """A graph whose node streams its number, waits at its gate, and streams a full stop."""

    async def speak(n: int, ctx: Context) -> N:
        await ctx.emit(f"number {n}")
        await gates[n].wait()
        await ctx.emit(".")
        return {"n": n}

    return build({"a": speak}, "start -> a -> end", turns=turns)


async def test_a_busy_thread_refuses_a_second_run_where_the_graph_says_so() -> None:
    gates = {0: Gate(), 1: Gate()}
    graph = spoken(gates, "reject")
    first = asyncio.ensure_future(graph.arun(n=0, thread_id="ann"))
    await gates[0].started.wait()
    with pytest.raises(ThreadBusy, match=r"thread 'ann' is busy: run .* goes on; try again .*graph\.cancel") as caught:
        await graph.arun(n=1, thread_id="ann")
    assert caught.value.thread_id == "ann"
    with pytest.raises(ThreadBusy):
        _ = [event async for event in graph.stream(n=1, thread_id="ann")]
    assert await graph.cancel(caught.value.run_id)
    with pytest.raises(RunError):
        await first
    gates[1].open()
    assert (await graph.arun(n=1, thread_id="ann"))["n"] == 1
    assert graph._threads._waiting == {}


async def test_the_newest_run_takes_over_and_the_text_of_the_older_one_is_kept() -> None:
    gates = {at: Gate() for at in range(3)}
    graph = spoken(gates, "interrupt")
    first, second, third = (asyncio.ensure_future(graph.arun(n=at, thread_id="t")) for at in range(3))
    gates[2].open()
    assert (await third)["n"] == 2
    with pytest.raises(RunError, match=r"was cancelled: run .* of the same thread took its place") as one:
        await first
    with pytest.raises(RunError, match="took its place") as two:
        await second
    assert (one.value.status, dict(one.value.partial)) == ("cancelled", {"a#1": "number 0"})
    assert (two.value.status, dict(two.value.partial)) == ("cancelled", {})
    assert not gates[1].visits
    assert [record.status for record in await graph.runs()] == ["cancelled", "done"]
    assert (await events(graph, one.value.run_id))[-1].data["partial"] == {"a#1": "number 0"}
    assert graph._threads._waiting == graph._threads._holding == {}


async def test_a_thread_is_told_to_stop() -> None:
    gates = {at: Gate() for at in range(3)}
    graph = spoken(gates)
    first, second, other = (
        asyncio.ensure_future(graph.arun(n=at, thread_id="t", user=user)) for at, user in enumerate(["", "", "bob"])
    )
    for at in (0, 2):
        await gates[at].started.wait()
    assert not await graph.cancel(thread_id="u")
    assert await graph.cancel(thread_id="t")
    with pytest.raises(RunError, match="was cancelled: its thread was told to stop") as one:
        await first
    with pytest.raises(RunError, match="told to stop") as two:
        await second
    assert (dict(one.value.partial), two.value.status) == ({"a#1": "number 0"}, "cancelled")
    assert not await graph.cancel(thread_id="t")
    gates[2].open()
    assert (await other)["n"] == 2  # it is another user's thread


async def test_a_run_that_takes_over_starts_when_the_older_one_has_ended() -> None:
    gates = {0: Gate(), 1: Gate()}
    order: list[str] = []

    async def slow_to_leave(n: int) -> N:
        order.append(f"in {n}")
        try:
            await gates[n].wait()
        finally:
            await asyncio.sleep(0.01)
            order.append(f"out {n}")
        return {"n": n}

    graph = build({"a": slow_to_leave}, "start -> a -> end", turns="interrupt")
    first = asyncio.ensure_future(graph.arun(n=0, thread_id="t"))
    await gates[0].started.wait()
    gates[1].open()
    await graph.arun(n=1, thread_id="t")
    assert order == ["in 0", "out 0", "in 1", "out 1"]
    with pytest.raises(RunError):
        await first


async def test_an_answer_to_a_parked_run_waits_its_turn_like_any_other() -> None:
    gate = Gate()

    async def asks(n: int, ctx: Context) -> N | Ask:
        if n == 2:
            await gate.wait()
        return {"n": n} if n == 2 or ctx.answers else ask("n?", "integer")

    graph = build({"a": asks}, "start -> a -> end", turns="interrupt")
    parked = await graph.arun(n=1, thread_id="t")
    other = asyncio.ensure_future(graph.arun(n=2, thread_id="t"))
    await gate.started.wait()
    assert (await graph.aresume(parked.run_id, answers={"a#1": 1}))["n"] == 1
    with pytest.raises(RunError, match="took its place"):
        await other


async def test_a_stream_that_is_interrupted_ends_with_the_reason() -> None:
    gates = {0: Gate(), 1: Gate()}
    graph = spoken(gates, "interrupt")
    kinds: list[str] = []

    async def read() -> None:
        async for event in graph.stream(n=0, thread_id="t"):
            kinds.append(event.kind)  # noqa: PERF401  # a list made at once would be lost with the error

    reader = asyncio.ensure_future(read())
    await gates[0].started.wait()
    gates[1].open()
    await graph.arun(n=1, thread_id="t")
    with pytest.raises(RunError, match="took its place"):
        await reader
    assert kinds == ["run_started", "started", "token", "run_cancelled"]


def test_a_run_in_another_event_loop_is_interrupted_too() -> None:
    queues, holding, ended = ThreadQueues("interrupt"), threading.Event(), threading.Event()
    reasons: list[str] = []

    async def hold() -> None:
        stop = asyncio.Event()

        def cancel(reason: str) -> None:
            reasons.append(reason)
            stop.set()

        async with queues.turn("t", "old") as turn:
            turn.begun(cancel)
            holding.set()
            await asyncio.wait_for(stop.wait(), 60)
        ended.set()

    async def take() -> None:
        async with queues.turn("t", "new"):
            assert ended.wait(60)

    thread = threading.Thread(target=lambda: asyncio.run(hold()))
    thread.start()
    assert holding.wait(60)
    asyncio.run(take())
    thread.join(60)
    assert reasons == ["run new of the same thread took its place"]
    assert queues._waiting == queues._holding == {}


async def test_a_turn_taken_away_before_its_run_has_begun_never_begins() -> None:
    queues = ThreadQueues("interrupt")
    entered: list[str] = []

    async def take(name: str) -> None:
        async with queues.turn("t", name):
            entered.append(name)

    async with queues.turn("t", "first"):
        second = asyncio.ensure_future(take("second"))
        await asyncio.sleep(0)
    third = asyncio.ensure_future(take("third"))  # the second one's turn is on its way
    await third
    with pytest.raises(RunError, match="run second was cancelled"):
        await second
    assert entered == ["third"]
    assert queues._waiting == queues._holding == {}


def test_an_unknown_choice_is_refused_with_the_candidates() -> None:
    with pytest.raises(InputError, match="turns: 'rejct' is unknown; did you mean 'reject'"):
        build({"a": inc}, "start -> a -> end", turns="rejct")
    with pytest.raises(InputError, match="there is: interrupt, queue, reject"):
        build({"a": inc}, "start -> a -> end", turns="parallel")


@pytest.mark.parametrize(
    ("policies", "partial"),
    [({}, {"a#1": "try 1"}), ({"retry": 1}, {"a#1": "try 2"}), ({"fallback": {}}, {"a#1": "try 1"})],
)
async def test_a_failed_run_has_what_its_last_try_streamed(policies: dict[str, Any], partial: dict[str, str]) -> None:
    tries: list[int] = []

    async def breaks_off(n: int, ctx: Context) -> N:
        tries.append(n)
        await ctx.emit(f"try {len(tries)}")
        raise NodeError("the line is dead", transient=True)

    async def silent(n: int) -> N:
        raise NodeError("nothing to say")

    if "fallback" in policies:
        policies = {"fallback": {"type": silent}}
    graph = build({"a": {"type": breaks_off, **policies}}, "start -> a -> end")
    with pytest.raises(RunError) as caught:
        await graph.arun(n=1)
    assert dict(caught.value.partial) == partial
    assert (await events(graph))[-1].data["partial"] == partial


async def test_what_was_streamed_before_another_node_failed_is_kept_and_what_was_taken_back_is_not() -> None:
    tries: list[int] = []

    async def second_time(n: int, ctx: Context) -> N:
        tries.append(n)
        await ctx.emit("wrong" if len(tries) == 1 else "right")
        if len(tries) == 1:
            raise NodeError("again", transient=True)
        return {"n": n}

    async def broken(n: int) -> None:
        raise NodeError("broken")

    graph = build({"a": {"type": second_time, "retry": 1}, "b": broken}, "start -> a -> b -> end")
    with pytest.raises(RunError) as caught:
        await graph.arun(n=1)
    assert (caught.value.path, dict(caught.value.partial)) == ("b#1", {"a#1": "right"})


async def test_a_client_that_goes_away_leaves_the_text_in_the_journal() -> None:
    gates = {0: Gate()}
    graph = spoken(gates)
    stream = graph.stream(n=0)
    run_id = ""
    async for event in stream:
        run_id = run_id or event.data["run_id"]
        if event.kind == "token":
            break
    await stream.aclose()
    assert gates[0].cancelled.is_set() or not gates[0].visits
    assert await status(graph, run_id) == "cancelled"
    assert (await events(graph, run_id))[-1].data["partial"] == {"a#1": "number 0"}
    gates[0].open()
    assert (await graph.aresume(run_id))["n"] == 0
