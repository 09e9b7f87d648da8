"""pydantic-graph: the builder API, built once, values handed from step to step."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from protocol import MESSAGE, SKEWED_MS, Call
from pydantic_graph import GraphBuilder, StepContext, TypeExpression, reduce_sum

IMPORT = "from pydantic_graph import GraphBuilder"
PACKAGES = ("pydantic-graph",)
UNSUPPORTED = {
    "load1000": "no graph files",
    "events": "steps cannot stream to the caller",
    "events_apart": "steps cannot stream to the caller",
}


@dataclass
class Chat:
    """The state of one run: a shared object that steps change in place."""

    messages: list[dict[str, str]]


async def _inc(ctx: StepContext[None, None, int]) -> int:
    return ctx.inputs + 1


def _builder(**options: Any) -> Any:
    return GraphBuilder(input_type=int, output_type=int, **options)


def _connect(builder: Any, first: Any, steps: list[Any], last: Any) -> None:
    for source, target in zip([first, *steps], [*steps, last], strict=True):
        builder.add(builder.edge_from(source).to(target))


def chain(length: int) -> Call:
    """`length` steps and edges."""
    builder = _builder()
    steps = [builder.step(_inc, node_id=f"n{i}") for i in range(length)]
    _connect(builder, builder.start_node, steps, builder.end_node)
    graph = builder.build()

    async def call() -> int:
        return await graph.run(inputs=0)

    return call


def fanout(width: int) -> Call:
    """A broadcast to `width` steps and a summing join."""
    builder = _builder()
    steps = [builder.step(_inc, node_id=f"n{i}") for i in range(width)]
    join = builder.join(reduce_sum, initial=0)
    builder.add(
        builder.edge_from(builder.start_node).to(*steps),
        builder.edge_from(*steps).to(join),
        builder.edge_from(join).to(builder.end_node),
    )
    graph = builder.build()

    async def call() -> int:
        return await graph.run(inputs=0)

    return call


def loop(times: int) -> Call:
    """A decision after a step, with one branch back to it."""
    builder = _builder()
    step = builder.step(_inc, node_id="inc")
    decision = (
        builder.decision()
        .branch(builder.match(TypeExpression[int], matches=lambda n: n < times).to(step))
        .branch(builder.match(TypeExpression[int]).to(builder.end_node))
    )
    builder.add(builder.edge_from(builder.start_node).to(step), builder.edge_from(step).to(decision))
    graph = builder.build()

    async def call() -> int:
        return await graph.run(inputs=0)

    return call


def skewed() -> Call:
    """A broadcast to two chains of steps and a summing join."""

    def sleeper(milliseconds: int) -> Any:
        async def step(ctx: StepContext[None, None, int]) -> int:
            await asyncio.sleep(milliseconds / 1000)
            return ctx.inputs + 1

        return step

    builder = _builder()
    branches = [
        [builder.step(sleeper(milliseconds), node_id=f"{key}{i}") for i, milliseconds in enumerate(steps)]
        for key, steps in zip("ab", SKEWED_MS, strict=True)
    ]
    join = builder.join(reduce_sum, initial=0)
    builder.add(builder.edge_from(builder.start_node).to(*(branch[0] for branch in branches)))
    for branch in branches:
        _connect(builder, branch[0], branch[1:], join)
    builder.add(builder.edge_from(join).to(builder.end_node))
    graph = builder.build()

    async def call() -> int:
        return await graph.run(inputs=0)

    return call


def messages(already: int, nodes: int) -> Call:
    """Steps append to the shared state object, which isolates nothing."""
    history = [{"role": "user", "content": MESSAGE} for _ in range(already)]

    async def append(ctx: StepContext[Chat, None, int]) -> int:
        chat = ctx.state.messages
        chat.append({"role": "user", "content": f"{len(chat)}{MESSAGE}"})
        return len(chat)

    builder = _builder(state_type=Chat)
    steps = [builder.step(append, node_id=f"n{i}") for i in range(nodes)]
    _connect(builder, builder.start_node, steps, builder.end_node)
    graph = builder.build()

    async def call() -> int:
        return await graph.run(state=Chat(list(history)), inputs=0)

    return call
