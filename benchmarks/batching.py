"""What one batcher saves, and what it costs: `python benchmarks/batching.py`.

A model that takes 5 ms a batch and 0.2 ms an item is asked 256 times at once: through the batcher, one by one, and
behind a semaphore, which is what graphs without a batcher do. Then once at idle, directly and through the batcher. All
ways run in one process in turns; the table shows medians.

`--model FOLDER` also measures a local language model: 16 replies written together and one after the other.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ragweave.orchestrator.batching import Batcher

CALLS, PER_BATCH, PER_ITEM = 256, 0.005, 0.0002
GOAL, IDLE_GOAL = 0.110, 0.0003
console = Console(width=100)


def compute(items: list[int]) -> list[int]:
    """The model: it computes for a time that grows with the batch, and holds no lock meanwhile."""
    until = time.perf_counter() + PER_BATCH + PER_ITEM * len(items)
    while (left := until - time.perf_counter()) > 0:
        time.sleep(max(left - 0.0001, 0))
    return [2 * item for item in items]


async def batched(calls: int) -> list[int]:
    """All calls through one batcher."""
    batcher = Batcher(compute)
    try:
        return list(await asyncio.gather(*(batcher.call(item) for item in range(calls))))
    finally:
        await batcher.close()


async def behind_semaphore(calls: int) -> list[int]:
    """Each call by itself in a worker thread, as many at a time as the model can take: one."""
    semaphore = asyncio.Semaphore(1)

    async def call(item: int) -> int:
        async with semaphore:
            return (await asyncio.to_thread(compute, [item]))[0]

    return list(await asyncio.gather(*(call(item) for item in range(calls))))


async def one_by_one(calls: int) -> list[int]:
    """Each call by itself on the event loop."""
    return [compute([item])[0] for item in range(calls)]


async def seconds(way: Callable[[int], Awaitable[list[int]]]) -> float:
    """How long all calls take; a wrong result is an error."""
    start = time.perf_counter()
    if await way(CALLS) != [2 * item for item in range(CALLS)]:
        raise RuntimeError("a wrong result means that the time means nothing")
    return time.perf_counter() - start


async def at_idle(times: int) -> tuple[float, float, float]:
    """Median seconds of a lone call: directly in this thread, through a batcher, and by `asyncio.to_thread`."""
    batcher = Batcher(compute)
    taken: tuple[list[float], list[float], list[float]] = ([], [], [])
    for item in range(times):
        marks = [time.perf_counter()]
        compute([item])
        marks.append(time.perf_counter())
        await batcher.call(item)
        marks.append(time.perf_counter())
        await asyncio.to_thread(compute, [item])
        marks.append(time.perf_counter())
        for way, (start, end) in zip(taken, pairwise(marks), strict=True):
            way.append(end - start)
        await asyncio.sleep(0.001)
    await batcher.close()
    direct, through, in_thread = map(statistics.median, taken)
    return direct, through, in_thread


async def of_model(folder: Path, replies: int, tokens: int) -> tuple[float, float]:
    """Tokens a second of a local language model: its replies together, and one after the other."""
    from ragweave.orchestrator.contracts import ChatRequest
    from ragweave.orchestrator.models.local.model import Transformers
    from ragweave.orchestrator.resources import Resources
    from ragweave.orchestrator.values import Message

    model = Transformers(path=str(folder), max_tokens=tokens, max_batch=replies)
    await asyncio.to_thread(model.open, Resources())

    async def reply(number: int) -> int:
        request = ChatRequest([Message.of("user", f"Tell me about the number {number}.")])
        used = [chunk.usage async for chunk in model.stream(request) if chunk.usage is not None]
        return used[-1].output_tokens

    await reply(0)
    start = time.perf_counter()
    together = sum(await asyncio.gather(*map(reply, range(replies)))) / (time.perf_counter() - start)
    start = time.perf_counter()
    apart = sum([await reply(number) for number in range(replies)]) / (time.perf_counter() - start)
    await model.close()
    return together, apart


def main(
    rounds: Annotated[int, typer.Option(help="How often each way is measured.")] = 5,
    strict: Annotated[bool, typer.Option(help="End with an error if a goal is missed.")] = False,
    model: Annotated[Path | None, typer.Option(help="Folder of a local language model to measure too.")] = None,
) -> None:
    """Measure and print."""
    ways = {"batcher": batched, "semaphore": behind_semaphore, "one by one": one_by_one}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name].append(asyncio.run(seconds(way)))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    direct, through, in_thread = asyncio.run(at_idle(60 * rounds))
    table = Table(title=f"{CALLS} concurrent calls of a model that takes 5 ms + 0.2 ms an item; medians of {rounds}")
    for column in ("", "ms", "of one by one", "goal"):
        table.add_column(column, justify="left" if not column else "right")
    for name, median in medians.items():
        goal = f"≤ {GOAL * 1000:.0f} ms" if name == "batcher" else ""
        table.add_row(name, f"{median * 1000:.1f}", f"{median / medians['one by one']:.3f}", goal)
    added = through - direct
    table.add_section()
    table.add_row("one call at idle, direct", f"{direct * 1000:.3f}", "", "")
    table.add_row("through the batcher", f"{through * 1000:.3f}", "", "")
    table.add_row("in a worker thread, without one", f"{in_thread * 1000:.3f}", "", "")
    table.add_row("added by the batcher", f"{added * 1000:.3f}", "", f"≤ {IDLE_GOAL * 1000:.1f} ms")
    console.print(table)
    if model is not None:
        together, apart = asyncio.run(of_model(model, 16, 64))
        console.print(f"{model}: 16 replies together {together:.0f} tokens/s, one after the other {apart:.0f}")
    if strict and (medians["batcher"] > GOAL or added > IDLE_GOAL):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
