"""LangGraph: a `StateGraph` of async nodes, compiled once, without a checkpointer."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import StreamWriter
from protocol import MESSAGE, SKEWED_MS, TOKEN, Call, Stream

IMPORT = "from langgraph.graph import StateGraph"
PACKAGES = ("langgraph", "langchain-core")
UNSUPPORTED = {"load1000": "no graph files"}


class N(TypedDict):
    """A counter."""

    n: int


class Sum(TypedDict, total=False):
    """A counter that parallel writes add to."""

    n: Annotated[int, operator.add]
    total: int


class Branches(TypedDict, total=False):
    """One counter per branch."""

    a: int
    b: int
    total: int


class Chat(TypedDict):
    """A chat that writes add to: `operator.add`, the cheaper of the two documented reducers."""

    messages: Annotated[list[dict[str, str]], operator.add]


async def _inc(state: N) -> N:
    return {"n": state["n"] + 1}


def chain(length: int) -> Call:
    """`length` nodes and plain edges."""
    graph = StateGraph(N)
    names = [f"n{i}" for i in range(length)]
    for name in names:
        graph.add_node(name, _inc)
    for source, target in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(source, target)
    app = graph.compile()
    config: Any = {"recursion_limit": length + 10}

    async def call() -> int:
        return (await app.ainvoke({"n": 0}, config))["n"]

    return call


def fanout(width: int) -> Call:
    """`width` edges from the start, a reducer that adds, one edge that waits for all."""

    async def one(_: Sum) -> Sum:
        return {"n": 1}

    async def join(state: Sum) -> Sum:
        return {"total": state["n"]}

    graph = StateGraph(Sum)
    names = [f"n{i}" for i in range(width)]
    for name in names:
        graph.add_node(name, one)
        graph.add_edge(START, name)
    graph.add_node("join", join)
    graph.add_edge(names, "join")
    graph.add_edge("join", END)
    app = graph.compile()

    async def call() -> int:
        return (await app.ainvoke({}))["total"]

    return call


def loop(times: int) -> Call:
    """A conditional edge from a node to itself."""
    graph = StateGraph(N)
    graph.add_node("inc", _inc)
    graph.add_edge(START, "inc")
    graph.add_conditional_edges("inc", lambda state: "inc" if state["n"] < times else END, ["inc", END])
    app = graph.compile()
    config: Any = {"recursion_limit": times + 10}

    async def call() -> int:
        return (await app.ainvoke({"n": 0}, config))["n"]

    return call


def skewed() -> Call:
    """Two chains of nodes, joined by an edge that waits for both."""

    def sleeper(key: str, milliseconds: int) -> Any:
        async def step(state: Branches) -> dict[str, int]:
            await asyncio.sleep(milliseconds / 1000)
            return {key: state.get(key, 0) + 1}  # type: ignore[call-overload]

        return step

    async def join(state: Branches) -> Branches:
        return {"total": state["a"] + state["b"]}

    graph = StateGraph(Branches)
    lasts = []
    for key, steps in zip("ab", SKEWED_MS, strict=True):
        last = START
        for i, milliseconds in enumerate(steps):
            name = f"{key}{i}"
            graph.add_node(name, sleeper(key, milliseconds))
            graph.add_edge(last, name)
            last = name
        lasts.append(last)
    graph.add_node("join", join)
    graph.add_edge(lasts, "join")
    graph.add_edge("join", END)
    app = graph.compile()

    async def call() -> int:
        return (await app.ainvoke({}))["total"]

    return call


def messages(already: int, nodes: int) -> Call:
    """Each node returns one message, which the reducer adds."""
    history = [{"role": "user", "content": MESSAGE} for _ in range(already)]

    async def append(state: Chat) -> Chat:
        return {"messages": [{"role": "user", "content": f"{len(state['messages'])}{MESSAGE}"}]}

    graph = StateGraph(Chat)
    names = [f"n{i}" for i in range(nodes)]
    for name in names:
        graph.add_node(name, append)
    for source, target in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(source, target)
    app = graph.compile()

    async def call() -> int:
        return len((await app.ainvoke({"messages": history}))["messages"])

    return call


def stream(apart: bool) -> Stream:
    """The `custom` stream, written with the injected `StreamWriter`."""

    class Count(TypedDict):
        count: int

    async def produce(state: Count, writer: StreamWriter) -> None:
        for _ in range(state["count"]):
            if apart:
                await asyncio.sleep(0)
            writer(TOKEN)

    # The writer is injected by its annotation, which has to be the class itself.
    produce.__annotations__ = {"state": Count, "writer": StreamWriter}
    graph = StateGraph(Count)
    graph.add_node("produce", produce)
    graph.add_edge(START, "produce")
    graph.add_edge("produce", END)
    app = graph.compile()

    async def tokens(count: int) -> AsyncIterator[str]:
        async for token in app.astream({"count": count}, stream_mode="custom"):
            yield token

    return tokens
