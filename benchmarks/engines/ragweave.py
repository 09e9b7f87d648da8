"""ragweave: a graph made in Python, checked and planned once; the journal is kept in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypedDict

from protocol import MESSAGE, SKEWED_MS, TOKEN, Call, Stream

from ragweave import Context, Graph, Message, node

IMPORT = "import ragweave"
PACKAGES = ("ragweave",)
UNSUPPORTED: dict[str, str] = {}


class N(TypedDict):
    """A counter."""

    n: int


class A(TypedDict):
    """The counter of the first branch."""

    a: int


class B(TypedDict):
    """The counter of the second branch."""

    b: int


class Total(TypedDict):
    """What a join gives."""

    total: int


class Chat(TypedDict):
    """Messages to add to a chat."""

    messages: list[Message]


class Done(TypedDict):
    """The end of a stream."""

    done: bool


@node(name="bench_inc")
async def _inc(n: int) -> N:
    return {"n": n + 1}


async def _one() -> N:
    return {"n": 1}


async def _sum(n: int) -> Total:
    return {"total": n}


def chain(length: int) -> Call:
    """`length` nodes and one arrow chain."""
    names = [f"n{i}" for i in range(length)]
    graph = Graph(
        inputs={"n": "int"},
        outputs=["n"],
        nodes=dict.fromkeys(names, _inc),
        edges=[" -> ".join(["start", *names, "end"])],
    )

    async def call() -> int:
        return int((await graph.arun(n=0))["n"])

    return call


def fanout(width: int) -> Call:
    """`width` nodes that write one key, merged by `sum`."""
    names = [f"n{i}" for i in range(width)]
    graph = Graph(
        outputs=["total"],
        state={"n": {"merge": "sum"}},
        nodes={**dict.fromkeys(names, _one), "join": _sum},
        edges=[f"start -> {', '.join(names)} -> join -> end"],
    )

    async def call() -> int:
        return int((await graph.arun())["total"])

    return call


def loop(times: int) -> Call:
    """A bounded route from a node to itself."""
    graph = Graph(
        inputs={"n": "int"},
        outputs=["n"],
        nodes={"inc": _inc},
        edges=[
            "start -> inc",
            {"from": "inc", "routes": [{"when": f"n < {times}", "to": "inc", "max_iterations": times}, {"to": "end"}]},
        ],
    )

    async def call() -> int:
        return int((await graph.arun(n=0))["n"])

    return call


def _sleepers(milliseconds: int) -> tuple[Any, Any]:
    async def step_a(a: int) -> A:
        await asyncio.sleep(milliseconds / 1000)
        return {"a": a + 1}

    async def step_b(b: int) -> B:
        await asyncio.sleep(milliseconds / 1000)
        return {"b": b + 1}

    return step_a, step_b


async def _add(a: int, b: int) -> Total:
    return {"total": a + b}


def skewed() -> Call:
    """Two arrow chains and a join."""
    nodes: dict[str, Any] = {"join": _add}
    edges = []
    for branch, steps in enumerate(SKEWED_MS):
        names = [f"{'ab'[branch]}{i}" for i in range(len(steps))]
        nodes |= {name: _sleepers(milliseconds)[branch] for name, milliseconds in zip(names, steps, strict=True)}
        edges.append(" -> ".join(["start", *names, "join"]))
    graph = Graph(inputs={"a": "int", "b": "int"}, outputs=["total"], nodes=nodes, edges=[*edges, "join -> end"])

    async def call() -> int:
        return int((await graph.arun(a=0, b=0))["total"])

    return call


async def _append(messages: list[Message]) -> Chat:
    return {"messages": [Message.of("user", f"{len(messages)}{MESSAGE}")]}


def messages(already: int, nodes: int) -> Call:
    """An accumulating key: a node returns one message, which is added."""
    history = [Message.of("user", MESSAGE) for _ in range(already)]
    names = [f"n{i}" for i in range(nodes)]
    graph = Graph(
        inputs={"messages": "list[Message]"},
        outputs=["messages"],
        state={"messages": {"accumulate": True}},
        nodes=dict.fromkeys(names, _append),
        edges=[" -> ".join(["start", *names, "end"])],
    )

    async def call() -> int:
        return len((await graph.arun(messages=history))["messages"])

    return call


async def _produce(count: int, apart: bool, ctx: Context) -> Done:
    for _ in range(count):
        if apart:
            await asyncio.sleep(0)
        await ctx.emit(TOKEN)
    return {"done": True}


def stream(apart: bool) -> Stream:
    """`ctx.emit` in a node, `graph.stream` outside."""
    graph = Graph(
        inputs={"count": "int", "apart": "bool"},
        outputs=["done"],
        nodes={"produce": _produce},
        edges=["start -> produce -> end"],
    )

    async def tokens(count: int) -> AsyncIterator[str]:
        async for event in graph.stream(count=count, apart=apart):
            if event.kind == "token":
                yield event.text

    return tokens


def load(length: int) -> Callable[[], int]:
    """`Graph.parse`: read with positions, checked, planned."""
    names = [f"n{i}" for i in range(length)]
    text = "\n".join(
        [
            "schema: ragweave/v1",
            "name: chain",
            "inputs: {n: int}",
            "outputs: [n]",
            "nodes:",
            *(f"  {name}: {{type: bench_inc}}" for name in names),
            "edges:",
            "  - start -> n0",
            *(f"  - {source} -> {target}" for source, target in zip(names, [*names[1:], "end"], strict=True)),
        ]
    )

    def call() -> int:
        return len(Graph.parse(text).nodes)

    return call
