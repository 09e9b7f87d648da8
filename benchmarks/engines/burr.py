"""Apache Burr: a graph of actions built once, an `Application` per request as Burr asks for, no persister."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from itertools import pairwise
from typing import Any

from burr.core import ApplicationBuilder, ApplicationContext, State, action, expr
from burr.core.action import streaming_action
from burr.core.graph import Graph, GraphBuilder
from burr.core.parallelism import MapActions, MapStates, RunnableGraph
from protocol import MESSAGE, SKEWED_MS, TOKEN, Call, Stream

IMPORT = "from burr.core import ApplicationBuilder"
PACKAGES = ("apache-burr",)
UNSUPPORTED = {"load1000": "no graph files"}


@action(reads=["n"], writes=["n"])
async def _inc(state: State) -> State:
    return state.update(n=state["n"] + 1)


@action(reads=["n"], writes=["n"])
async def _keep(state: State) -> State:
    return state


async def _run(graph: Graph, entry: str, last: str, **state: Any) -> State:
    app = ApplicationBuilder().with_graph(graph).with_state(**state).with_entrypoint(entry).build()
    _, _, final = await app.arun(halt_after=[last])
    return final


def _chain_graph(names: list[str], step: Any) -> Graph:
    return GraphBuilder().with_actions(**dict.fromkeys(names, step)).with_transitions(*pairwise(names)).build()


def chain(length: int) -> Call:
    """`length` actions and transitions."""
    names = [f"n{i}" for i in range(length)]
    graph = _chain_graph(names, _inc)

    async def call() -> int:
        return (await _run(graph, names[0], names[-1], n=0))["n"]

    return call


class _Ones(MapStates):
    """The documented parallel form: one sub-application per state."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def is_async(self) -> bool:
        return True

    def action(self, state: State, inputs: dict[str, Any]) -> Any:
        return _inc

    async def states(
        self, state: State, context: ApplicationContext, inputs: dict[str, Any]
    ) -> AsyncGenerator[State, None]:
        for _ in range(self.width):
            yield state.update(n=0)

    async def reduce(self, state: State, states: AsyncGenerator[State, None]) -> State:
        return state.update(n=sum([item["n"] async for item in states]))

    @property
    def reads(self) -> list[str]:
        return ["n"]

    @property
    def writes(self) -> list[str]:
        return ["n"]


def fanout(width: int) -> Call:
    """One `MapStates` action."""
    graph = GraphBuilder().with_actions(ones=_Ones(width), join=_keep).with_transitions(("ones", "join")).build()

    async def call() -> int:
        return (await _run(graph, "ones", "join", n=0))["n"]

    return call


def loop(times: int) -> Call:
    """A conditional transition from an action to itself."""
    graph = (
        GraphBuilder()
        .with_actions(inc=_inc, done=_keep)
        .with_transitions(("inc", "inc", expr(f"n < {times}")), ("inc", "done"))
        .build()
    )

    async def call() -> int:
        return (await _run(graph, "inc", "done", n=0))["n"]

    return call


class _Branches(MapActions):
    """The two branches of `skewed`, each a graph of its own."""

    def is_async(self) -> bool:
        return True

    def actions(
        self, state: State, context: ApplicationContext, inputs: dict[str, Any]
    ) -> Generator[RunnableGraph, None, None]:
        yield from BRANCHES

    def state(self, state: State, inputs: dict[str, Any]) -> State:
        return state.update(n=0)

    async def reduce(self, state: State, states: AsyncGenerator[State, None]) -> State:
        return state.update(n=sum([item["n"] async for item in states]))

    @property
    def reads(self) -> list[str]:
        return ["n"]

    @property
    def writes(self) -> list[str]:
        return ["n"]


def _sleeper(milliseconds: int) -> Any:
    @action(reads=["n"], writes=["n"])
    async def step(state: State) -> State:
        await asyncio.sleep(milliseconds / 1000)
        return state.update(n=state["n"] + 1)

    return step


def _branch(steps: tuple[int, ...]) -> RunnableGraph:
    names = [f"s{i}" for i in range(len(steps))]
    graph = (
        GraphBuilder()
        .with_actions(**{name: _sleeper(step) for name, step in zip(names, steps, strict=True)})
        .with_transitions(*pairwise(names))
        .build()
    )
    return RunnableGraph(graph=graph, entrypoint=names[0], halt_after=[names[-1]])


BRANCHES = [_branch(steps) for steps in SKEWED_MS]


def skewed() -> Call:
    """One `MapActions` action over two graphs."""
    graph = GraphBuilder().with_actions(branches=_Branches(), join=_keep).with_transitions(("branches", "join")).build()

    async def call() -> int:
        return (await _run(graph, "branches", "join", n=0))["n"]

    return call


def messages(already: int, nodes: int) -> Call:
    """`State.append`, the documented way to grow a list."""
    history = [{"role": "user", "content": MESSAGE} for _ in range(already)]

    @action(reads=["messages"], writes=["messages"])
    async def append(state: State) -> State:
        return state.append(messages={"role": "user", "content": f"{len(state['messages'])}{MESSAGE}"})

    names = [f"n{i}" for i in range(nodes)]
    graph = _chain_graph(names, append)

    async def call() -> int:
        return len((await _run(graph, names[0], names[-1], messages=history))["messages"])

    return call


def stream(apart: bool) -> Stream:
    """A streaming action, read with `astream_result`."""

    @streaming_action(reads=["count"], writes=["done"])
    async def produce(state: State) -> AsyncGenerator[tuple[dict[str, Any], State | None], None]:
        for _ in range(state["count"]):
            if apart:
                await asyncio.sleep(0)
            yield {"token": TOKEN}, None
        yield {"token": None}, state.update(done=True)

    graph = GraphBuilder().with_actions(produce=produce).build()

    async def tokens(count: int) -> AsyncIterator[str]:
        app = ApplicationBuilder().with_graph(graph).with_state(count=count).with_entrypoint("produce").build()
        _, container = await app.astream_result(halt_after=["produce"])
        async for item in container:
            if item["token"] is not None:
                yield item["token"]

    return tokens
