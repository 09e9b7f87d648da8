"""Runs of one thread go one after the other, whichever event loop they run in (R23)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import NodeError, RunError
from ragweave.orchestrator.running.threads import ThreadQueues
from ragweave.orchestrator.values import Ask
from tests.engine.steps import Gate, N, ask, build


def recording(order: list[str], gates: dict[int, Gate]) -> Callable[..., Any]:
    async def work(n: int, ctx: Context) -> N:
        order.append(f"in {n}")
        await gates[n].wait()
        order.append(f"out {n}")
        return {"n": n}

    return work


async def test_turns_of_one_thread_queue_in_the_order_in_which_they_came() -> None:
    order: list[str] = []
    gates = {at: Gate() for at in range(4)}
    graph = build({"a": recording(order, gates)}, "start -> a -> end")
    tasks = [asyncio.ensure_future(graph.arun(n=at, thread_id="t")) for at in range(4)]
    for at in range(4):
        await gates[at].started.wait()
        assert order[-1] == f"in {at}"
        gates[at].open()
    await asyncio.gather(*tasks)
    assert order == [f"{way} {at}" for at in range(4) for way in ("in", "out")]


async def test_other_threads_and_runs_without_one_do_not_wait() -> None:
    gates = {at: Gate() for at in range(4)}
    graph = build({"a": recording([], gates)}, "start -> a -> end")
    threads = ["t", "u", "", ""]
    tasks = [asyncio.ensure_future(graph.arun(n=at, thread_id=thread)) for at, thread in enumerate(threads)]
    for gate in gates.values():
        await gate.started.wait()
        gate.open()
    results = await asyncio.gather(*tasks)
    assert [result.thread_id for result in results] == threads


async def test_a_run_that_fails_or_is_cancelled_hands_the_turn_on() -> None:
    gate = Gate()

    async def work(n: int) -> N:
        if n == 0:
            raise NodeError("broken")
        if n == 1:
            await gate.wait()
        return {"n": n}

    graph = build({"a": work}, "start -> a -> end")
    failing, cancelled, last = (asyncio.ensure_future(graph.arun(n=n, thread_id="t")) for n in range(3))
    with pytest.raises(RunError):
        await failing
    await gate.started.wait()
    cancelled.cancel()
    assert (await last)["n"] == 2
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert graph._threads._waiting == {}


async def test_a_waiting_run_that_is_cancelled_leaves_the_queue() -> None:
    gates = {at: Gate() for at in range(3)}
    graph = build({"a": recording([], gates)}, "start -> a -> end")
    first, second, third = (asyncio.ensure_future(graph.arun(n=at, thread_id="t")) for at in range(3))
    await gates[0].started.wait()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert len(await graph.runs()) == 1
    gates[2].open()
    gates[0].open()
    assert [(await one)["n"] for one in (first, third)] == [0, 2]
    assert gates[1].visits == 0
    assert graph._threads._waiting == {}


async def test_a_turn_that_comes_just_as_its_run_is_cancelled_goes_to_the_next() -> None:
    queues = ThreadQueues()
    entered: list[str] = []

    async def take(name: str) -> None:
        async with queues.turn("t"):
            entered.append(name)

    async with queues.turn("t"):
        second, third = asyncio.ensure_future(take("second")), asyncio.ensure_future(take("third"))
        await asyncio.sleep(0)
    second.cancel()  # its turn is on its way
    await asyncio.wait_for(third, 60)
    assert entered == ["third"]
    assert queues._waiting == {}
    with pytest.raises(asyncio.CancelledError):
        await second


async def test_a_parked_run_does_not_hold_its_thread() -> None:
    async def asks(n: int, ctx: Context) -> N | Ask:
        if n == 1 and not ctx.answers:
            return ask("n?", "integer")
        return {"n": n}

    graph = build({"a": asks}, "start -> a -> end")
    parked = await graph.arun(n=1, thread_id="t")
    assert (await asyncio.wait_for(graph.arun(n=2, thread_id="t"), 60))["n"] == 2
    result = await graph.aresume(parked.run_id, answers={"a#1": 1})
    assert (result["n"], result.thread_id) == (1, "t")
    assert [record.status for record in await graph.runs(thread_id="t")] == ["done", "done"]


async def test_a_resumed_run_waits_for_its_turn() -> None:
    gates = {2: Gate()}

    async def asks(n: int, ctx: Context) -> N | Ask:
        if n == 2:
            await gates[2].wait()
        return {"n": n} if n == 2 or ctx.answers else ask("n?", "integer")

    graph = build({"a": asks}, "start -> a -> end")
    parked = await graph.arun(n=1, thread_id="t")
    other = asyncio.ensure_future(graph.arun(n=2, thread_id="t"))
    await gates[2].started.wait()
    resumed = asyncio.ensure_future(graph.aresume(parked.run_id, answers={"a#1": 1}))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not resumed.done()
    gates[2].open()
    assert [(await one)["n"] for one in (other, resumed)] == [2, 1]


def test_turns_pass_between_event_loops() -> None:
    inside, most, turns = 0, 0, 0
    lock = threading.Lock()

    async def work(n: int) -> N:
        nonlocal inside, most, turns
        with lock:
            inside += 1
            most = max(most, inside)
        await asyncio.sleep(0.001)
        with lock:
            inside -= 1
            turns += 1
        return {"n": n}

    graph = build({"a": work}, "start -> a -> end")

    async def several() -> None:
        await asyncio.gather(*(graph.arun(n=at, thread_id="t") for at in range(5)))

    threads = [threading.Thread(target=lambda: asyncio.run(several())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (most, turns) == (1, 20)
    assert graph._threads._waiting == {}


def test_a_turn_of_an_event_loop_that_is_gone_goes_to_the_next() -> None:
    queues = ThreadQueues()
    holds, waits, release = threading.Event(), threading.Event(), threading.Event()
    entered = threading.Event()

    async def hold() -> None:
        async with queues.turn("t"):
            holds.set()
            await asyncio.to_thread(release.wait, 60)

    async def take() -> None:
        async with queues.turn("t"):
            entered.set()

    def lost() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(take())
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is meant to be lost
        waits.set()
        LOST.append(task)

    threads = [threading.Thread(target=lambda: asyncio.run(hold()))]
    threads[0].start()
    assert holds.wait(60)
    threads.append(threading.Thread(target=lost))
    threads[1].start()
    assert waits.wait(60)
    threads.append(threading.Thread(target=lambda: asyncio.run(take())))
    threads[2].start()
    release.set()
    assert entered.wait(60)
    for thread in threads:
        thread.join(60)
    for task in LOST:
        task.get_coro().close()


LOST: list[Any] = []
"""A loop that goes away with a task in it: kept, so that no garbage collection meets it half done."""
