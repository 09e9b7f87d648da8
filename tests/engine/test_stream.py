"""The stream: tokens and node events in order, as fast as the reader, never left behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, NodeError, RunError
from ragweave.orchestrator.graph import Graph, Result
from ragweave.orchestrator.node import node
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.stream import CAPACITY, Sink
from ragweave.orchestrator.values import Ask
from tests.engine.steps import Gate, N, R, ask, build, events, idle, inc, routes, status


def talking(*words: str) -> Any:
    async def talk(n: int, ctx: Context) -> N:
        for word in words:
            await ctx.emit(word)
        return {"n": n + 1}

    return talk


async def read(stream: AsyncGenerator[Event, None]) -> tuple[list[Event], RunError | None]:
    """The events of a stream, and the error at its end."""
    told: list[Event] = []
    try:
        async for event in stream:
            told.append(event)  # noqa: PERF401 - they count although an error follows
    except RunError as error:
        return told, error
    return told, None


async def test_events_of_a_chain_in_order_with_their_paths() -> None:
    graph = build({"a": talking("x", "y"), "b": inc}, "start -> a -> b -> end")
    told = [(event.kind, event.path, event.text) async for event in graph.stream(n=1)]
    assert told == [
        ("run_started", "", ""),
        ("started", "a#1", ""),
        ("token", "a#1", "x"),
        ("token", "a#1", "y"),
        ("finished", "a#1", ""),
        ("started", "b#1", ""),
        ("finished", "b#1", ""),
        ("run_done", "", ""),
    ]


async def test_the_last_event_has_the_result() -> None:
    graph = build({"a": inc}, "start -> a -> end")
    last = [event async for event in graph.stream(n=1)][-1]
    result = last.data["result"]
    assert isinstance(result, Result)
    assert (result["n"], result.status) == (2, "done")
    (stored,) = [event for event in await events(graph) if event.kind == "run_done"]
    assert stored.data == {"outputs": {"n": 2}}


async def test_a_parked_run_ends_its_stream_with_what_it_asks() -> None:
    async def asks(n: int) -> N | Ask:
        return ask("n?")

    graph = build({"a": asks}, "start -> a -> end")
    told = [event async for event in graph.stream(n=1)]
    assert [event.kind for event in told] == ["run_started", "started", "asked", "run_parked"]
    assert list(told[-1].data["result"].asks) == ["a#1"]


async def test_visits_and_skipped_nodes_are_told() -> None:
    graph = build(
        {"a": inc, "b": idle, "c": idle},
        "start -> a",
        routes("a", ("n < 2", "a", 5), ("n > 5", "b"), (None, "c")),
        "b, c -> end",
    )
    told = [f"{event.kind} {event.path}" async for event in graph.stream(n=0) if event.node]
    assert told == [
        "started a#1",
        "finished a#1",
        "started a#2",
        "finished a#2",
        "skipped b#0",
        "started c#1",
        "finished c#1",
    ]


async def test_tokens_of_a_nested_graph_have_its_path(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(
        "schema: ragweave/v1\ninputs: {n: int}\noutputs: [n]\nnodes: {t: {type: t_talk}}\nedges: [start -> t -> end]\n"
    )
    with registry.scope():
        node(name="t_talk")(talking("in"))
        graph = build({"g": {"type": "graph", "path": str(tmp_path / "inner.yaml")}}, "start -> g -> end")
        told = [(event.kind, event.path, event.text) async for event in graph.stream(n=1)]
    assert ("token", "g#1/t#1", "in") in told
    assert [path for kind, path, _ in told if kind == "finished"] == ["g#1/t#1", "g#1"]


async def test_a_failed_graph_in_a_graph_withdraws_all_that_was_streamed_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.wrappers.FIRST_PAUSE", 0.0)
    (tmp_path / "inner.yaml").write_text(
        "schema: ragweave/v1\ninputs: {n: int}\noutputs: [n]\n"
        "nodes: {t: {type: t_talk}, u: {type: t_flaky}}\nedges: [start -> t -> u -> end]\n"
    )
    left = 1

    async def flaky(n: int) -> N:
        nonlocal left
        left -= 1
        if left >= 0:
            raise NodeError("busy", transient=True)
        return {"n": n}

    with registry.scope():
        node(name="t_talk")(talking("in"))
        node(name="t_flaky")(flaky)
        graph = build({"g": {"type": "graph", "path": str(tmp_path / "inner.yaml"), "retry": 1}}, "start -> g -> end")
        told = [(event.kind, event.path) async for event in graph.stream(n=1) if event.kind in ("token", "reset")]
    assert told == [("token", "g#1/t#1"), ("reset", "g#1"), ("token", "g#1/t#1")]


async def test_a_failing_run_raises_after_its_last_event() -> None:
    async def broken(n: int, ctx: Context) -> N:
        await ctx.emit("half a sen")
        raise NodeError("broken")

    graph = build({"a": broken}, "start -> a -> end")
    told, error = await read(graph.stream(n=1))
    assert "broken" in str(error)
    assert [event.kind for event in told] == ["run_started", "started", "token", "reset", "run_failed"]


async def test_wrong_inputs_are_refused_before_anything_starts() -> None:
    graph = build({"a": inc}, "start -> a -> end")
    with pytest.raises(InputError, match="needs the input 'n'"):
        graph.stream()
    assert await graph.runs() == []


async def test_a_slow_reader_slows_the_run_and_memory_is_bounded() -> None:
    made = 0

    async def endless(n: int, ctx: Context) -> N:
        nonlocal made
        for _ in range(20 * CAPACITY):
            made += 1
            await ctx.emit("x")
        return {"n": n}

    graph = build({"a": endless}, "start -> a -> end")
    read = 0
    async for event in graph.stream(n=1):
        if event.kind == "token":
            read += 1
            assert made - read <= CAPACITY + 1
    assert read == made == 20 * CAPACITY


async def test_many_branches_share_the_bound() -> None:
    made = 0

    async def talk(ctx: Context) -> None:
        nonlocal made
        for _ in range(30):
            made += 1
            await ctx.emit("x")

    names = [f"a{at}" for at in range(3 * CAPACITY)]
    graph = build(dict.fromkeys(names, talk), f"start -> {', '.join(names)} -> end", inputs={}, outputs=[])
    read = 0
    async for event in graph.stream():
        if event.kind == "token":
            read += 1
            assert made - read <= CAPACITY + len(names)
    assert read == made == 30 * len(names)


async def test_a_map_waits_for_a_slow_reader_too() -> None:
    done = 0

    async def work(item: int) -> R:
        nonlocal done
        done += 1
        return {"r": str(item)}

    graph = build(
        {"m": {"type": work, "map": {"over": "items", "as": "item"}}},
        "start -> m -> end",
        inputs={"items": "list[int]"},
        outputs=["r"],
    )
    read = 0
    async for event in graph.stream(items=list(range(10 * CAPACITY))):
        if event.kind == "item":
            read += 1
            assert done - read <= CAPACITY + 9
    assert read == 10 * CAPACITY


async def test_leaving_early_cancels_the_run_and_waits_for_it() -> None:
    gate = Gate()

    async def waits(n: int) -> N:
        await gate.wait()
        return {"n": n}

    graph = build({"a": talking("x"), "b": waits}, "start -> a, b -> end", outputs=[])
    stream = graph.stream(n=1)
    async for event in stream:
        if event.kind == "token":
            break
    await stream.aclose()
    assert gate.cancelled.is_set()
    assert await status(graph) == "cancelled"


async def test_leaving_early_without_closing_cancels_the_run_too() -> None:
    gate = Gate()

    async def waits(n: int) -> N:
        await gate.wait()
        return {"n": n}

    graph = build({"b": waits}, "start -> b -> end")

    async def first() -> Event | None:
        async for event in graph.stream(n=1):
            if event.kind == "started":
                await gate.started.wait()
                return event
        return None

    assert await first() is not None
    gc.collect()
    await asyncio.wait_for(gate.cancelled.wait(), 60)
    others = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
    assert await status(graph) == "cancelled"


async def test_leaving_a_full_stream_early_does_not_hang() -> None:
    async def endless(n: int, ctx: Context) -> N:
        while True:
            await ctx.emit("x")

    graph = build({"a": endless, "b": endless}, "start -> a, b -> end", outputs=[])
    stream = graph.stream(n=1)
    await anext(stream)
    for _ in range(10):
        await asyncio.sleep(0)
    await asyncio.wait_for(stream.aclose(), 60)
    assert await status(graph) == "cancelled"


async def test_a_run_that_is_cancelled_while_its_stream_is_full_ends() -> None:
    async def stubborn(n: int, ctx: Context) -> N:
        try:
            while True:
                await ctx.emit("x")
        finally:
            await ctx.emit("goodbye")

    graph = build({"a": stubborn}, "start -> a -> end")
    stream = graph.stream(n=1)
    await anext(stream)
    for _ in range(5):
        await asyncio.sleep(0)
    assert await graph.cancel((await graph.runs())[0].run_id)
    told, error = await read(stream)
    assert error is not None
    assert error.status == "cancelled"
    assert told[-1].kind == "run_cancelled"


async def test_the_readers_cancel_reaches_the_run() -> None:
    gate = Gate()

    async def waits(n: int) -> N:
        await gate.wait()
        return {"n": n}

    graph = build({"a": waits}, "start -> a -> end")

    async def read() -> None:
        async for _ in graph.stream(n=1):
            pass

    task = asyncio.ensure_future(read())
    await gate.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.cancelled.is_set()
    assert await status(graph) == "cancelled"


async def test_a_stream_that_is_never_read_starts_nothing() -> None:
    graph = build({"a": inc}, "start -> a -> end")
    stream = graph.stream(n=1)
    await stream.aclose()
    assert await graph.runs() == []


async def test_writers_that_were_cancelled_do_not_keep_others_waiting() -> None:
    sink = Sink()
    for _ in range(CAPACITY):
        sink.push(Event("token"))
    writers = [asyncio.ensure_future(sink.put(Event("token", node=str(at)))) for at in range(CAPACITY + 5)]
    await asyncio.sleep(0)
    for writer in writers[: CAPACITY + 4]:
        writer.cancel()
    await asyncio.gather(*writers[:-1], return_exceptions=True)
    taken = 0
    while sink.pop() is not None:
        taken += 1
    await asyncio.wait_for(writers[-1], 60)
    event = sink.pop()
    assert event is not None
    assert (taken, event.node) == (CAPACITY, str(CAPACITY + 4))


async def test_a_writer_that_is_woken_and_cancelled_at_once_passes_its_turn_on() -> None:
    sink = Sink()
    for _ in range(CAPACITY):
        sink.push(Event("token"))
    one, two, three = (asyncio.ensure_future(sink.put(Event("token", node=name))) for name in "123")
    await asyncio.sleep(0)
    assert sink.pop() is not None
    two.cancel()
    one.cancel()
    await asyncio.wait_for(three, 60)
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_without_a_listener_tokens_cost_nothing_and_go_nowhere() -> None:
    graph: Graph = build({"a": talking("x", "y")}, "start -> a -> end")
    await graph.arun(n=1)
    assert [event.kind for event in await events(graph)] == ["run_started", "finished", "run_done"]
