"""Effects in a run that is cancelled: a started one is let finish, within its timeout (R18, R21)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ragweave.orchestrator.node import node_type
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.stores.memory import MemoryStore
from tests.engine.steps import N, R, build, events


def effect(function: Callable[..., Any], *, idempotent: bool = False) -> Any:
    return node_type(function, effects="external", idempotent=idempotent)


def kinds(journal: list[Event]) -> list[str]:
    return [event.kind for event in journal]


async def test_a_started_effect_is_let_finish_within_its_timeout_when_the_run_is_cancelled(
    leaping: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.run.GRACE", 0.02)
    started, release = asyncio.Event(), asyncio.Event()
    paid = 0

    async def pay(n: int) -> N:
        nonlocal paid
        started.set()
        await release.wait()
        paid += 1
        return {"n": n + 1}

    graph = build({"pay": {"type": effect(pay), "timeout": 5}}, "start -> pay -> end")
    task = asyncio.ensure_future(graph.arun(n=1))
    await started.wait()
    task.cancel()
    asyncio.get_running_loop().call_later(0.1, release.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kinds(await events(graph)) == [
        "run_started", "effect_started", "effect_finished", "finished", "run_cancelled",
    ]  # fmt: skip
    record = (await graph.runs())[0]
    assert (await graph.aresume(record.run_id))["n"] == 2
    assert paid == 1


async def test_an_effect_in_a_map_is_let_finish_too(leaping: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.run.GRACE", 0.02)
    started, release = asyncio.Event(), asyncio.Event()
    sent: list[str] = []

    async def send(item: str) -> R:
        started.set()
        await release.wait()
        sent.append(item)
        return {"r": item}

    policy = {"over": "items", "as": "item", "max_concurrency": 2}
    graph = build(
        {"m": {"type": effect(send), "timeout": 5, "map": policy}},
        "start -> m -> end",
        inputs={"items": "list[str]"},
        outputs=["r"],
    )
    task = asyncio.ensure_future(graph.arun(items=["a", "b", "c"]))
    await started.wait()
    task.cancel()
    asyncio.get_running_loop().call_later(0.1, release.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(sent) == ["a", "b"]
    run_id = (await graph.runs())[0].run_id
    assert (await graph.aresume(run_id))["r"] == ["a", "b", "c"]
    assert sorted(sent) == ["a", "b", "c"]


async def test_an_effect_that_outlives_its_timeout_after_a_cancel_is_unknown(
    leaping: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.run.GRACE", 0.02)
    started = asyncio.Event()

    async def pay(n: int) -> N:
        started.set()
        await asyncio.Event().wait()
        return {"n": n}

    graph = build({"pay": effect(pay)}, "start -> pay -> end")
    task = asyncio.ensure_future(graph.arun(n=1))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    parked = await graph.aresume((await graph.runs())[0].run_id)
    assert list(parked.asks) == ["pay#1!"]


async def test_a_blocking_effect_counts_when_it_ends() -> None:
    started, release = threading.Event(), threading.Event()
    paid = 0

    def pay(n: int) -> N:
        nonlocal paid
        started.set()
        release.wait(60)
        paid += 1
        return {"n": n + 1}

    graph = build({"pay": effect(pay)}, "start -> pay -> end")
    task = asyncio.ensure_future(graph.arun(n=1))
    await asyncio.to_thread(started.wait, 60)
    task.cancel()
    await asyncio.sleep(0)
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await graph.aresume((await graph.runs())[0].run_id))["n"] == 2
    assert paid == 1


async def test_an_effect_that_was_cancelled_before_it_began_is_simply_called(monkeypatch: pytest.MonkeyPatch) -> None:
    flushing = asyncio.Event()

    class Slow(MemoryStore):
        immediate = False

        async def flush(self, run_id: str, *, safe: bool = False) -> None:
            if not flushing.is_set():
                flushing.set()
                await asyncio.Event().wait()

    calls = 0

    async def pay(n: int) -> N:
        nonlocal calls
        calls += 1
        return {"n": n + 1}

    graph = build({"pay": effect(pay)}, "start -> pay -> end", store=Slow())
    task = asyncio.ensure_future(graph.arun(n=1))
    await flushing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls == 0
    assert (await graph.aresume((await graph.runs())[0].run_id))["n"] == 2
