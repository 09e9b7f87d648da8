"""Calls that ignore their cancel: waited for, abandoned, reported, and harmless from then on (R18)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import NodeError, RunError
from ragweave.orchestrator.node import node
from tests.engine.steps import Calls, Gate, N, R, build, events, finished, inc


class Deaf:
    """A call that waits here ignores every cancel until it is released."""

    def __init__(self) -> None:
        self._release = asyncio.Event()
        self._waiting = 0
        self._left = asyncio.Event()

    async def wait(self) -> None:
        self._waiting += 1
        while not self._release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self._release.wait()
        self._waiting -= 1
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._left.set)

    async def release(self) -> None:
        """Let them go, and come back when they have gone."""
        self._release.set()
        if self._waiting:
            await self._left.wait()
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
async def deaf() -> AsyncIterator[Deaf]:
    waits = Deaf()
    yield waits
    await waits.release()


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.run.GRACE", 0.05)


async def test_a_call_that_ignores_its_cancel_is_abandoned_and_can_do_no_harm(leaping: None, deaf: Deaf) -> None:
    calls = 0

    async def first_deaf(n: int) -> N:
        nonlocal calls
        calls += 1
        if calls == 1:
            await deaf.wait()
            return {"n": 100}
        return {"n": n + 1}

    graph = build({"a": first_deaf, "b": inc}, "start -> a -> b -> end")
    with pytest.raises(RunError, match=r"deadline of 0\.02 s"):
        await graph.arun(n=1, deadline=0.02)
    assert [event.kind for event in await events(graph)] == ["run_started", "abandoned", "run_failed"]
    run_id = (await graph.runs())[0].run_id
    result = await graph.aresume(run_id, deadline=5)
    assert result["n"] == 3
    journal = await events(graph, run_id)
    await deaf.release()
    assert await events(graph, run_id) == journal
    assert await finished(graph) == ["a#1", "b#1"]


async def test_an_abandoned_item_that_ends_after_all_is_not_journaled(leaping: None, deaf: Deaf) -> None:
    async def work(item: str) -> R:
        await deaf.wait()
        return {"r": item}

    graph = build(
        {"m": {"type": work, "map": {"over": "items", "as": "item"}}},
        "start -> m -> end",
        inputs={"items": "list[str]"},
        outputs=["r"],
    )
    with pytest.raises(RunError, match="deadline"):
        await graph.arun(items=["a", "b"], deadline=0.02)
    journal = await events(graph)
    await deaf.release()
    assert await events(graph) == journal
    assert "m#1" in [event.path for event in journal if event.kind == "abandoned"]


async def test_what_is_abandoned_in_a_graph_does_not_come_back_while_the_run_goes_on(
    leaping: None, tmp_path: Path, deaf: Deaf
) -> None:
    (tmp_path / "inner.yaml").write_text(
        "schema: ragweave/v1\ninputs: {n: int}\noutputs: [n]\nnodes: {d: {type: t_deaf}}\nedges: [start -> d -> end]\n"
    )
    gate = Gate()

    async def work(n: int) -> N:
        await deaf.wait()
        return {"n": 100}

    async def waits(n: int) -> N:
        await gate.wait()
        return {"n": n + 1}

    with registry.scope():
        node(name="t_deaf")(work)
        inner = {"type": "graph", "path": str(tmp_path / "inner.yaml")}
        graph = build({"g": {**inner, "timeout": 0.02, "fallback": [{"type": waits}]}}, "start -> g -> end")
        task = asyncio.ensure_future(graph.arun(n=1))
        await gate.started.wait()
        await deaf.release()
        gate.open()
        assert (await task)["n"] == 2
    assert await finished(graph) == ["g#1"]


async def test_leaving_a_stream_ends_though_a_call_goes_on_talking(deaf: Deaf) -> None:
    gate = Gate()
    quiet = False

    async def talks(n: int, ctx: Context) -> N:
        with contextlib.suppress(asyncio.CancelledError):
            await gate.wait()
        while not quiet:
            with contextlib.suppress(asyncio.CancelledError):
                await ctx.emit("x")
        return {"n": n}

    graph = build({"a": talks}, "start -> a -> end")
    stream = graph.stream(n=1)
    await anext(stream)
    await gate.started.wait()
    await stream.aclose()
    quiet = True
    assert "abandoned" in [event.kind for event in await events(graph)]


async def test_a_branch_that_has_not_begun_when_another_fails_is_not_waited_for() -> None:
    async def broken() -> None:
        raise NodeError("broken")

    calls = Calls()
    graph = build({"a": broken, "b": calls.node("b")}, "start -> a, b -> end")
    with pytest.raises(RunError, match="broken"):
        await graph.arun(n=1)
    assert [event.kind for event in await events(graph)] == ["run_started", "run_failed"]
    assert not calls


async def test_a_blocking_call_is_waited_for_and_then_abandoned(skip: Callable[[float], None]) -> None:
    loop, release = asyncio.get_running_loop(), threading.Event()

    def stuck(n: int) -> N:
        loop.call_soon_threadsafe(skip, 60.0)
        release.wait(60)
        return {"n": n}

    graph = build({"a": stuck}, "start -> a -> end")
    try:
        with pytest.raises(RunError, match="deadline"):
            await graph.arun(n=1, deadline=60)
        assert [event.kind for event in await events(graph)] == ["run_started", "abandoned", "run_failed"]
    finally:
        release.set()


async def test_a_blocking_call_that_ends_in_time_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.run.GRACE", 60.0)
    started, release = threading.Event(), threading.Event()
    calls = 0

    def slow(n: int) -> N:
        nonlocal calls
        calls += 1
        started.set()
        release.wait(60)
        return {"n": n + 1}

    graph = build({"a": slow, "b": inc}, "start -> a -> b -> end")
    task = asyncio.ensure_future(graph.arun(n=1))
    await asyncio.to_thread(started.wait, 60)
    task.cancel()
    await asyncio.sleep(0)
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await finished(graph) == ["a#1"]
    assert (await graph.aresume((await graph.runs())[0].run_id))["n"] == 3
    assert calls == 1


async def test_a_blocking_call_that_waits_for_a_thread_is_not_begun_after_a_cancel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.run.GRACE", 60.0)
    release = threading.Event()
    begun: list[int] = []
    started = threading.Semaphore(0)

    def blocks(item: int) -> R:
        begun.append(item)
        started.release()
        release.wait(60)
        return {"r": ""}

    graph = build(
        {"m": {"type": blocks, "map": {"over": "items", "as": "item", "max_concurrency": 100}}},
        "start -> m -> end",
        inputs={"items": "list[int]"},
        outputs=["r"],
    )
    task = asyncio.ensure_future(graph.arun(items=list(range(100))))
    await asyncio.to_thread(started.acquire, timeout=60)
    task.cancel()
    for _ in range(10):  # until it has reached every item
        await asyncio.sleep(0)
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 1 <= len(begun) < 100
