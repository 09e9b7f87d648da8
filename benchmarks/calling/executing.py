"""The node that calls tools: what it adds to a call, and what is left where one of three hangs and one fails."""

from __future__ import annotations

import asyncio
import statistics
import time

from tables import Line

from ragweave.orchestrator.arguments import faults_of
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import ToolCall
from ragweave.tools.executor import ToolExecutor
from ragweave.tools.function import tool_type

ROUNDS, EACH = 7, 2_000
GOAL_US = 50
HANGS_S = 0.5


async def overhead() -> list[Line]:
    """What the executor adds to a call of an async tool, in CPU, without the validation of its arguments."""
    resources, call = _resources(), ToolCall(id="c", name="nothing", arguments={"x": 1})
    node, context = ToolExecutor(tools=["nothing"]), Context(resources=resources)
    specification = resources.get("tools", "nothing").specs()[0]

    async def executed() -> float:
        for _ in range(100):
            await node(call, context)
        begin = time.process_time()
        for _ in range(EACH):
            await node(call, context)
        return (time.process_time() - begin) / EACH

    def validated() -> float:
        begin = time.process_time()
        for _ in range(EACH):
            faults_of(call.arguments, specification.parameters)
        return (time.process_time() - begin) / EACH

    both = [(await executed(), validated()) for _ in range(ROUNDS)]
    whole, part = (statistics.median(times) * 1e6 for times in zip(*both, strict=True))
    said = f"{whole - part:.1f} µs + {part:.1f} µs of validation"
    return [Line("overhead of a call", f"≤ {GOAL_US} µs + validation", said, whole - part <= GOAL_US)]


async def together() -> list[Line]:
    """Three calls side by side of which one hangs and one fails."""
    names = ("nothing", "stuck", "broken")
    node, context = ToolExecutor(tools=list(names)), Context(resources=_resources())
    begin = time.perf_counter()
    calls = [ToolCall(id=name, name=name, arguments={"x": 1}) for name in names]
    results = [one["tool_results"][0] for one in await asyncio.gather(*(node(call, context) for call in calls))]
    seconds = time.perf_counter() - begin
    kept = results[0].content == "1" and all(result.error for result in results[1:])
    told = tuple(f"three calls: {result.name}: {result.content or f'error: {result.error}'}" for result in results)
    said = f"{'kept' if kept else 'lost'}, over after {seconds:.2f} s"
    goal = f"the good result kept, over within the timeout of {HANGS_S} s"
    return [Line("three calls: one hangs, one fails", goal, said, kept and seconds < 2 * HANGS_S, told)]


def _resources() -> Resources:
    async def nothing(x: int) -> int:
        """Gives back what it got."""
        return x

    async def stuck(x: int) -> int:
        """Never comes back."""
        await asyncio.sleep(60)
        return x

    async def broken(x: int) -> int:
        """Fails."""
        raise ValueError(f"no {x}")

    resources = Resources()
    for function in (nothing, stuck, broken):
        resources.put("tools", function.__name__, tool_type(function, timeout=HANGS_S)())
    return resources
