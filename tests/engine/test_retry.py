"""`retry` and `timeout`: further attempts after errors that may pass, each under its own timeout (R16)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import NodeError, RunError
from ragweave.orchestrator.running.wrappers import pause_after
from tests.engine.steps import N, build, events


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.wrappers.FIRST_PAUSE", 0.0)


def failing(*errors: Exception | None) -> Any:
    """A node that raises these errors in turn; None succeeds."""
    left = list(errors)

    async def work(n: int) -> N:
        error = left.pop(0)
        if error is not None:
            raise error
        return {"n": n + 1}

    return work


BUSY = NodeError("busy", transient=True)


async def test_transient_errors_are_tried_again() -> None:
    graph = build(
        {"a": {"type": failing(BUSY, ConnectionError(), TimeoutError(), None), "retry": 3}}, "start -> a -> end"
    )
    assert (await graph.arun(n=1))["n"] == 2


async def test_after_the_last_attempt_the_error_stands() -> None:
    graph = build({"a": {"type": failing(BUSY, BUSY, None), "retry": 1}}, "start -> a -> end")
    with pytest.raises(RunError, match="busy"):
        await graph.arun(n=1)


@pytest.mark.parametrize("error", [ValueError("no"), NodeError("no"), NodeError("no", transient=False)])
async def test_other_errors_are_not_tried_again(error: Exception) -> None:
    graph = build({"a": {"type": failing(error, None), "retry": 5}}, "start -> a -> end")
    with pytest.raises(RunError, match="no") as caught:
        await graph.arun(n=1)
    assert caught.value.__cause__ is error


def test_pauses_grow_with_jitter_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.wrappers.FIRST_PAUSE", 0.2)
    for attempt in range(1, 15):
        middle = min(0.2 * 2 ** (attempt - 1), 30.0)
        pauses = [pause_after(attempt, BUSY) for _ in range(50)]
        assert 0.5 * middle <= min(pauses) < middle < max(pauses) <= 1.5 * middle


def test_retry_after_is_kept() -> None:
    for seconds in (7.0, 0.0, 90.0):
        assert pause_after(1, NodeError("busy", transient=True, retry_after=seconds)) == seconds


async def test_a_run_waits_as_long_as_it_was_asked_to(leaping: None) -> None:
    graph = build(
        {"a": {"type": failing(NodeError("busy", transient=True, retry_after=0.05), None), "retry": 1}},
        "start -> a -> end",
    )
    clock = asyncio.get_running_loop().time
    since = clock()
    await graph.arun(n=1)
    assert clock() - since == pytest.approx(0.05)


async def test_a_call_knows_its_attempt_and_keeps_its_key() -> None:
    seen: list[tuple[int, str]] = []

    async def work(n: int, ctx: Context) -> N:
        seen.append((ctx.attempt, ctx.key))
        if ctx.attempt < 3:
            raise BUSY
        return {"n": n}

    graph = build({"a": {"type": work, "retry": 2}}, "start -> a -> end")
    result = await graph.arun(n=1)
    assert seen == [(attempt, f"{result.run_id}:a#1") for attempt in (1, 2, 3)]


async def test_the_stream_tells_of_attempts_and_withdraws_their_tokens() -> None:
    async def work(n: int, ctx: Context) -> N:
        await ctx.emit(f"attempt {ctx.attempt}")
        if ctx.attempt == 1:
            raise BUSY
        return {"n": n}

    graph = build({"a": {"type": work, "retry": 1}}, "start -> a -> end")
    told = [(event.kind, event.text or event.data.get("reason", "")) async for event in graph.stream(n=1)]
    assert told[2:7] == [
        ("token", "attempt 1"),
        ("reset", "busy"),
        ("retry", ""),
        ("token", "attempt 2"),
        ("finished", ""),
    ]


async def test_a_timeout_is_transient_and_counts_for_each_attempt(leaping: None) -> None:
    attempts = 0

    async def work(n: int) -> N:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            await asyncio.Event().wait()
        return {"n": n}

    graph = build({"a": {"type": work, "retry": 2, "timeout": 0.02}}, "start -> a -> end")
    assert (await graph.arun(n=1))["n"] == 1
    assert attempts == 3


async def test_a_timeout_names_the_call(leaping: None) -> None:
    async def work(n: int) -> N:
        await asyncio.Event().wait()
        return {"n": n}

    graph = build({"a": {"type": work, "timeout": 0.02}}, "start -> a -> end")
    with pytest.raises(RunError, match=r"a#1 took longer than 0\.02 s"):
        await graph.arun(n=1)


async def test_a_call_that_ignores_its_cancel_is_abandoned_and_reported(
    leaping: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.run.GRACE", 0.05)
    release, ended = asyncio.Event(), asyncio.Event()

    async def deaf(n: int) -> N:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()
        ended.set()
        return {"n": 100}

    graph = build({"a": {"type": deaf, "timeout": 0.02}}, "start -> a -> end")
    try:
        with pytest.raises(RunError, match="took longer"):
            await graph.arun(n=1)
        journal = await events(graph)
    finally:
        release.set()
    await ended.wait()
    assert [event.path for event in journal if event.kind == "abandoned"] == ["a#1"]
    assert await events(graph) == journal


async def test_a_blocking_call_that_ends_within_the_grace_counts(
    monkeypatch: pytest.MonkeyPatch, skip: Callable[[float], None]
) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.run.GRACE", 60.0)
    loop, release = asyncio.get_running_loop(), threading.Event()

    def late() -> None:
        skip(60.0)
        loop.call_later(0.05, release.set)

    def slow(n: int) -> N:
        loop.call_soon_threadsafe(late)
        release.wait(60)
        return {"n": n + 1}

    graph = build({"a": {"type": slow, "timeout": 60}}, "start -> a -> end")
    assert (await graph.arun(n=1))["n"] == 2


async def test_a_blocking_call_that_does_not_end_is_abandoned(
    monkeypatch: pytest.MonkeyPatch, skip: Callable[[float], None]
) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.run.GRACE", 0.05)
    loop, release = asyncio.get_running_loop(), threading.Event()

    def stuck(n: int) -> N:
        loop.call_soon_threadsafe(skip, 60.0)
        release.wait(60)
        return {"n": n}

    graph = build({"a": {"type": stuck, "timeout": 60}}, "start -> a -> end")
    try:
        with pytest.raises(RunError, match="took longer"):
            await graph.arun(n=1)
        assert "abandoned" in [event.kind for event in await events(graph)]
    finally:
        release.set()


async def test_a_call_that_turns_its_cancel_into_a_transient_error_is_not_tried_again() -> None:
    started = asyncio.Event()
    attempts = 0

    async def work(n: int) -> N:
        nonlocal attempts
        attempts += 1
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError("closed") from None
        return {"n": n}

    graph = build({"a": {"type": work, "retry": 5}}, "start -> a -> end")
    task = asyncio.ensure_future(graph.arun(n=1))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert attempts == 1
