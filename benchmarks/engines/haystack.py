"""Haystack: a `Pipeline` of async components, run with `run_async`.

Annotations are not postponed here: `component` looks for `Variadic` in the annotation itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from haystack import Pipeline, component
from haystack.core.component.types import GreedyVariadic, Variadic
from haystack.dataclasses import ChatMessage, StreamingChunk
from haystack.dataclasses.streaming_chunk import StreamingCallbackT
from protocol import MESSAGE, SKEWED_MS, TOKEN, Call, Stream

IMPORT = "from haystack import Pipeline, component"
PACKAGES = ("haystack-ai",)
UNSUPPORTED: dict[str, str] = {}


@component
class Inc:
    """Add one, after a pause if one is asked for."""

    def __init__(self, milliseconds: int = 0) -> None:
        self.milliseconds = milliseconds

    @component.output_types(n=int)
    def run(self, n: int) -> dict[str, int]:
        """Add one."""
        return {"n": n + 1}

    @component.output_types(n=int)
    async def run_async(self, n: int) -> dict[str, int]:
        """Add one."""
        if self.milliseconds:
            await asyncio.sleep(self.milliseconds / 1000)
        return {"n": n + 1}


@component
class Sum:
    """Add up whatever is connected."""

    @component.output_types(n=int)
    def run(self, values: Variadic[int]) -> dict[str, int]:
        """Add up."""
        return {"n": sum(values)}

    @component.output_types(n=int)
    async def run_async(self, values: Variadic[int]) -> dict[str, int]:
        """Add up."""
        return {"n": sum(values)}


@component
class IncAny:
    """Add one to whichever input arrives first: a socket with two senders has to be variadic."""

    @component.output_types(n=int)
    def run(self, n: GreedyVariadic[int]) -> dict[str, int]:
        """Add one."""
        return {"n": next(iter(n)) + 1}

    @component.output_types(n=int)
    async def run_async(self, n: GreedyVariadic[int]) -> dict[str, int]:
        """Add one."""
        return {"n": next(iter(n)) + 1}


@component
class Again:
    """Send `n` back until it reaches the limit."""

    def __init__(self, times: int) -> None:
        self.times = times

    @component.output_types(again=int, done=int)
    def run(self, n: int) -> dict[str, int]:
        """Choose."""
        return {"again": n} if n < self.times else {"done": n}

    @component.output_types(again=int, done=int)
    async def run_async(self, n: int) -> dict[str, int]:
        """Choose."""
        return {"again": n} if n < self.times else {"done": n}


@component
class Append:
    """Add one chat message."""

    @component.output_types(messages=list[ChatMessage])
    def run(self, messages: list[ChatMessage]) -> dict[str, list[ChatMessage]]:
        """Add one."""
        return {"messages": [*messages, ChatMessage.from_user(f"{len(messages)}{MESSAGE}")]}

    @component.output_types(messages=list[ChatMessage])
    async def run_async(self, messages: list[ChatMessage]) -> dict[str, list[ChatMessage]]:
        """Add one."""
        return self.run(messages)


@component
class Produce:
    """Stream tokens."""

    @component.output_types(done=bool)
    def run(self, count: int, apart: bool, streaming_callback: StreamingCallbackT | None = None) -> dict[str, bool]:
        """Only the async form streams."""
        raise NotImplementedError

    @component.output_types(done=bool)
    async def run_async(
        self, count: int, apart: bool, streaming_callback: StreamingCallbackT | None = None
    ) -> dict[str, bool]:
        """Stream `count` tokens to the callback."""
        send: Any = streaming_callback
        for _ in range(count):
            if apart:
                await asyncio.sleep(0)
            await send(StreamingChunk(content=TOKEN))
        return {"done": True}


def _chain(length: int) -> Pipeline:
    pipeline = Pipeline(max_runs_per_component=10)
    for i in range(length):
        pipeline.add_component(f"n{i}", Inc())
    for i in range(1, length):
        pipeline.connect(f"n{i - 1}.n", f"n{i}.n")
    return pipeline


def chain(length: int) -> Call:
    """`length` components and connections."""
    pipeline = _chain(length)
    last = f"n{length - 1}"

    async def call() -> int:
        return (await pipeline.run_async({"n0": {"n": 0}}))[last]["n"]

    return call


def fanout(width: int) -> Call:
    """`width` components into one variadic socket, all allowed to run at the same time."""
    pipeline = Pipeline()
    pipeline.add_component("join", Sum())
    for i in range(width):
        pipeline.add_component(f"n{i}", Inc())
        pipeline.connect(f"n{i}.n", "join.values")

    async def call() -> int:
        data = {f"n{i}": {"n": 0} for i in range(width)}
        return (await pipeline.run_async(data, concurrency_limit=width))["join"]["n"]

    return call


def loop(times: int) -> Call:
    """Two components per iteration: the work, and the choice where to go."""
    pipeline = Pipeline(max_runs_per_component=times + 10)
    pipeline.add_component("inc", IncAny())
    pipeline.add_component("again", Again(times))
    pipeline.connect("inc.n", "again.n")
    pipeline.connect("again.again", "inc.n")

    async def call() -> int:
        return (await pipeline.run_async({"inc": {"n": 0}}))["again"]["done"]

    return call


def skewed() -> Call:
    """Two chains of components into one variadic socket."""
    pipeline = Pipeline()
    pipeline.add_component("join", Sum())
    for key, steps in zip("ab", SKEWED_MS, strict=True):
        for i, milliseconds in enumerate(steps):
            pipeline.add_component(f"{key}{i}", Inc(milliseconds))
            if i:
                pipeline.connect(f"{key}{i - 1}.n", f"{key}{i}.n")
        pipeline.connect(f"{key}{len(steps) - 1}.n", "join.values")

    async def call() -> int:
        return (await pipeline.run_async({"a0": {"n": 0}, "b0": {"n": 0}}))["join"]["n"]

    return call


def messages(already: int, nodes: int) -> Call:
    """A chain that hands on a list of `ChatMessage`."""
    history = [ChatMessage.from_user(MESSAGE) for _ in range(already)]
    pipeline = Pipeline()
    for i in range(nodes):
        pipeline.add_component(f"n{i}", Append())
        if i:
            pipeline.connect(f"n{i - 1}.messages", f"n{i}.messages")
    last = f"n{nodes - 1}"

    async def call() -> int:
        return len((await pipeline.run_async({"n0": {"messages": history}}))[last]["messages"])

    return call


def stream(apart: bool) -> Stream:
    """`Pipeline.stream`, which collects what components hand to their callback."""
    pipeline = Pipeline()
    pipeline.add_component("produce", Produce())

    async def tokens(count: int) -> AsyncIterator[str]:
        async for chunk in pipeline.stream({"produce": {"count": count, "apart": apart}}):
            yield chunk.content

    return tokens


def load(length: int) -> Callable[[], int]:
    """`Pipeline.loads` of the YAML that `Pipeline.dumps` gives."""
    text = _chain(length).dumps()

    def call() -> int:
        return len(Pipeline.loads(text, allowed_modules=["engines"]).graph.nodes)

    return call
