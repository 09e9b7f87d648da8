"""LlamaIndex Workflows: one event class per edge, steps as free functions, one workflow object for all requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

from protocol import MESSAGE, SKEWED_MS, TOKEN, Call, Stream
from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent

IMPORT = "from workflows import Workflow, step"
PACKAGES = ("llama-index-workflows",)
UNSUPPORTED = {"load1000": "no graph files"}


class Count(Event):
    """A number on its way from one step to the next."""

    n: int


class Token(Event):
    """One streamed token."""

    text: str


def _workflow() -> Any:
    return type("Bench", (Workflow,), {})


def _event(name: str) -> Any:
    return type(name, (Count,), {"__module__": __name__})


def _add(workflow: Any, name: str, function: Any, workers: int = 4, **annotations: Any) -> None:
    """Register a function as a step; a step's events are its annotations."""
    function.__name__ = function.__qualname__ = name
    function.__annotations__ = {key.rstrip("_"): value for key, value in annotations.items()}
    step(workflow=workflow, num_workers=workers)(function)


def _inc(target: Any) -> Any:
    async def advance(ev: Any) -> Any:
        n = getattr(ev, "n", 0) + 1
        return StopEvent(result=n) if target is StopEvent else target(n=n)

    return advance


def chain(length: int) -> Call:
    """`length` steps, an event class for each pair of neighbours."""
    workflow = _workflow()
    events = [StartEvent, *(_event(f"E{i}") for i in range(1, length)), StopEvent]
    for i, (source, target) in enumerate(pairwise(events)):
        _add(workflow, f"n{i}", _inc(target), ev=source, return_=target)
    bench = workflow(timeout=None)

    async def call() -> int:
        return await bench.run()

    return call


def fanout(width: int) -> Call:
    """A step that returns a list of events, a step with a worker for each, a step that collects them."""
    workflow = _workflow()
    job, done = _event("Job"), _event("Done")

    async def spread(ev: Any) -> Any:
        return [job(n=0) for _ in range(width)]

    async def one(ev: Any) -> Any:
        return done(n=ev.n + 1)

    async def join(evs: Any) -> Any:
        return StopEvent(result=sum(ev.n for ev in evs))

    _add(workflow, "spread", spread, ev=StartEvent, return_=list[job])
    _add(workflow, "one", one, width, ev=job, return_=done)
    _add(workflow, "join", join, evs=list[done], return_=StopEvent)
    bench = workflow(timeout=None)

    async def call() -> int:
        return await bench.run()

    return call


def loop(times: int) -> Call:
    """A step that returns its own event until the limit is reached."""
    workflow = _workflow()
    again = _event("Again")

    async def begin(ev: Any) -> Any:
        return again(n=0)

    async def inc(ev: Any) -> Any:
        n = ev.n + 1
        return again(n=n) if n < times else StopEvent(result=n)

    _add(workflow, "begin", begin, ev=StartEvent, return_=again)
    _add(workflow, "inc", inc, ev=again, return_=again | StopEvent)
    bench = workflow(timeout=None)

    async def call() -> int:
        return await bench.run()

    return call


def skewed() -> Call:
    """Two chains of events, started by `send_event` and joined by a step that takes both."""
    workflow = _workflow()
    firsts, lasts = [], []
    for key, steps in zip("AB", SKEWED_MS, strict=True):
        events = [_event(f"{key}{i}") for i in range(len(steps) + 1)]
        firsts.append(events[0])
        lasts.append(events[-1])
        for i, (milliseconds, target) in enumerate(zip(steps, events[1:], strict=True)):

            async def sleeper(ev: Any, milliseconds: int = milliseconds, target: Any = target) -> Any:
                await asyncio.sleep(milliseconds / 1000)
                return target(n=ev.n + 1)

            _add(workflow, f"{key.lower()}{i}", _bound(sleeper), ev=events[i], return_=target)

    async def begin(ctx: Any, ev: Any) -> Any:
        for first in firsts:
            ctx.send_event(first(n=0))

    async def join(a: Any, b: Any) -> Any:
        return StopEvent(result=a.n + b.n)

    _add(workflow, "begin", begin, ctx=Context, ev=StartEvent, return_=firsts[0] | firsts[1] | None)
    _add(workflow, "join", join, a=lasts[0], b=lasts[1], return_=StopEvent)
    bench = workflow(timeout=None)

    async def call() -> int:
        return await bench.run()

    return call


def _bound(function: Any) -> Any:
    """Hide bound defaults: a step may have no parameters but its events, context and resources."""

    async def advance(ev: Any) -> Any:
        return await function(ev)

    return advance


def messages(already: int, nodes: int) -> Call:
    """The chat in the context's store: read, and written back with one message more."""
    workflow = _workflow()
    history = [{"role": "user", "content": MESSAGE} for _ in range(already)]
    events = [StartEvent, *(_event(f"M{i}") for i in range(1, nodes)), StopEvent]

    def appender(first: bool, target: Any) -> Any:
        async def append(ctx: Any, ev: Any) -> Any:
            chat = history if first else await ctx.store.get("messages")
            chat = [*chat, {"role": "user", "content": f"{len(chat)}{MESSAGE}"}]
            await ctx.store.set("messages", chat)
            return StopEvent(result=len(chat)) if target is StopEvent else target(n=len(chat))

        return append

    for i, (source, target) in enumerate(pairwise(events)):
        _add(workflow, f"n{i}", appender(i == 0, target), ctx=Context, ev=source, return_=target)
    bench = workflow(timeout=None)

    async def call() -> int:
        return await bench.run()

    return call


def stream(apart: bool) -> Stream:
    """Events written to the run's stream, read from its handler."""
    workflow = _workflow()

    async def produce(ctx: Any, ev: Any) -> Any:
        for _ in range(ev.count):
            if apart:
                await asyncio.sleep(0)
            ctx.write_event_to_stream(Token(text=TOKEN))
        return StopEvent(result=ev.count)

    _add(workflow, "produce", produce, ctx=Context, ev=StartEvent, return_=StopEvent)
    bench = workflow(timeout=None)

    async def tokens(count: int) -> AsyncIterator[str]:
        handler = bench.run(count=count)
        async for event in handler.stream_events():
            if isinstance(event, Token):
                yield event.text
        await handler

    return tokens
