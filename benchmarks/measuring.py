"""How the numbers are taken: CPU as a mean (collections and threads count), wall time as a median (neighbours do not).

CPU is the time of the whole process, all threads included. Standard library only.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from protocol import TOKEN, Call, Stream

Numbers = dict[str, float]


class WrongResult(Exception):
    """An engine gave an answer that is not the one the work asks for: its time means nothing."""


class Runner(Protocol):
    """Runs a call some times and checks each result."""

    async def __call__(self, times: int) -> None: ...


def check(got: object, expected: object) -> None:
    """Raise unless the result is the expected one."""
    if got != expected:
        raise WrongResult(f"expected {expected!r}, got {got!r}")


async def timed(run: Runner, seconds: float) -> Numbers:
    """Seconds of CPU and wall per call, over batches that are long enough for the clock."""
    once = await _wall(run, 1)
    if once < 0.2:  # a slow call is warm after one
        await run(2)
        once = await _wall(run, 1)
    batch = max(1, int(0.005 / once))
    least = 3 if once < 0.5 else 1
    walls: list[float] = []
    begin, cpu = time.perf_counter(), time.process_time()
    while len(walls) < least or time.perf_counter() - begin < seconds:
        walls.append(await _wall(run, batch) / batch)
    used = time.process_time() - cpu
    return {"cpu": used / (batch * len(walls)), "wall": statistics.median(walls), "runs": batch * len(walls)}


async def _wall(run: Runner, times: int) -> float:
    start = time.perf_counter()
    await run(times)
    return time.perf_counter() - start


async def one_by_one(call: Call, expected: int, seconds: float) -> Numbers:
    """One request after the other."""

    async def run(times: int) -> None:
        for _ in range(times):
            check(await call(), expected)

    return await timed(run, seconds)


async def blocking(call: Callable[[], int], expected: int, seconds: float) -> Numbers:
    """One synchronous call after the other."""

    async def run(times: int) -> None:
        for _ in range(times):
            check(call(), expected)

    return await timed(run, seconds)


async def concurrent(call: Call, expected: int, requests: int, seconds: float) -> Numbers:
    """All requests at once, with the garbage collector on and off in turn; requests per CPU-second is with it on."""

    async def burst() -> tuple[float, float]:
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        results = await asyncio.gather(*(_as_coroutine(call) for _ in range(requests)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        check(set(results), {expected})
        return cpu, wall

    for _ in range(3):
        check(await call(), expected)
    on: list[tuple[float, float]] = []
    off: list[float] = []
    begin = time.perf_counter()
    while not on or time.perf_counter() - begin < seconds:
        on.append(await burst())
        gc.disable()
        off.append((await burst())[0])
        gc.enable()
    cpu = statistics.median(cpu for cpu, _ in on)
    return {
        "cpu": cpu / requests,
        "wall": statistics.median(wall for _, wall in on) / requests,
        "per_cpu_second": requests / cpu,
        "gc_cost": statistics.median(kept / freed for (kept, _), freed in zip(on, off, strict=True)),
        "runs": len(on),
    }


async def _as_coroutine(call: Call) -> int:
    return await call()


async def streamed(stream: Stream, events: int, seconds: float) -> Numbers:
    """Seconds per stream of `events` tokens, and from asking to the first token of short streams."""

    async def first() -> float:
        start = time.perf_counter()
        took, seen = 0.0, 0
        async for token in stream(10):
            took = took or time.perf_counter() - start
            seen += token == TOKEN
        check(seen, 10)
        return took

    async def run(times: int) -> None:
        for _ in range(times):
            seen = 0
            async for token in stream(events):
                seen += token == TOKEN
            check(seen, events)

    await first()
    firsts = [await first() for _ in range(30)]
    return {**await timed(run, seconds), "first": statistics.median(firsts)}


def _process(arguments: list[str], expected: str) -> tuple[float, float]:
    # pip compiles what it installs; a checkout is compiled by its first run, unless Python is told to keep nothing.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout is not None
    output = child.stdout.read().strip()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stdout.close()
    check((child.returncode, output), (0, expected))
    return usage.ru_utime + usage.ru_stime, wall


def processes(arguments: list[str], expected: str, times: int) -> Numbers:
    """Seconds of a fresh process against one that only imports asyncio, the two in turn."""
    base = ["-c", "import asyncio"]
    _process(base, "")
    _process(arguments, expected)
    pairs = [(_process(base, ""), _process(arguments, expected)) for _ in range(times)]
    cpu, wall = (statistics.median(ours[i] for _, ours in pairs) for i in (0, 1))
    return {
        "cpu": cpu,
        "wall": wall,
        "ratio": cpu / statistics.median(theirs[0] for theirs, _ in pairs),
        "wall_ratio": wall / statistics.median(theirs[1] for theirs, _ in pairs),
        "runs": times,
    }


def arun(work: Awaitable[Numbers]) -> Numbers:
    """Run one measurement in an event loop of its own."""

    async def main() -> Numbers:
        return await work

    return asyncio.run(main())
