"""What runs cost that survive: bytes on the disk, CPU and wall time, with every engine writing to files of its own.

The functions of an engine are those of `durable/protocol.py`. Standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

from durable.protocol import NOBODY, STEPS, THREAD, TURNS, Count, conversation, incompressible
from measuring import Numbers, arun, check, one_by_one

HERE = Path(__file__).parent
#: Runs at the same time.
AT_ONCE = 100
#: Turns at either end whose CPU is held against each other; the very first one also opens the files.
ENDS = 20
#: Runs with a value of 1 MB each.
CARRIES = 3
#: Fresh processes that load the conversation.
LOADS = 5


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ragweave-bench-") as name:
        yield Path(name)


def written() -> int:
    """Bytes that this process has given to the operating system to write, wherever to."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("wchar:"):
            return int(line.partition(":")[2])
    raise OSError("/proc/self/io does not say what was written")


def kept(folder: Path) -> int:
    """Bytes of all databases in a folder, with their logs."""
    return sum(path.stat().st_size for path in folder.rglob("*.sqlite*"))


def commits(folder: Path) -> int:
    """A number that SQLite itself counts up at every commit of the one database in a folder."""
    (database,) = folder.rglob("*.sqlite")
    index = database.with_name(database.name + "-shm")
    if index.exists():  # the write-ahead log: the third word of its index, in this machine's order
        with index.open("rb") as file:
            return int(struct.unpack("=III", file.read(12))[2])
    with database.open("rb") as file:
        return int.from_bytes(file.read(28)[24:], "big")


def _conversation(engine: Any, seconds: float) -> Numbers:
    with _folder() as folder:
        before = written()
        spent = asyncio.run(_talk(engine, folder))
        numbers = {
            "kept": float(kept(folder)),
            "written": float(written() - before),
            "cpu": statistics.mean(spent[1:]),
            "growth": statistics.mean(spent[-ENDS:]) / statistics.mean(spent[1 : ENDS + 1]),
            "runs": 1,
        }
        loads = [_load(engine, folder) for _ in range(LOADS)]
    return {
        **numbers,
        "load": statistics.median(load["wall"] for load in loads),
        "load_cpu": statistics.median(load["cpu"] for load in loads),
    }


async def _talk(engine: Any, folder: Path) -> list[float]:
    """Seconds of CPU of each turn."""
    spent: list[float] = []
    async with engine.chat(folder) as turn:
        for question, answer in conversation().items():
            begun = time.process_time()
            check(await turn(question), answer)
            spent.append(time.process_time() - begun)
    return spent


def _load(engine: Any, folder: Path) -> dict[str, float]:
    """Seconds of a fresh process that has the files open and has asked for a conversation that never took place."""
    name = engine.__name__.rpartition(".")[2]
    command = [sys.executable, str(HERE / "loading.py"), name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the conversation cannot be loaded: {done.stderr.strip()[-300:]}")
    report: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    check(report["messages"], 2 * TURNS)
    return report


async def load(engine: Any, folder: Path) -> dict[str, float]:
    """The measured part of such a process."""
    async with engine.reading(folder) as read:
        check(await read(NOBODY), 0)
        wall, cpu = time.perf_counter(), time.process_time()
        messages = await read(THREAD)
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "messages": messages}


def _carry(engine: Any, seconds: float) -> Numbers:
    with _folder() as folder:
        before = 0

        async def work() -> float:
            nonlocal before
            values = [incompressible(number) for number in range(CARRIES)]
            async with engine.carrying(folder) as call:
                check(await call("small"), STEPS)
                before, cpu = written(), time.process_time()
                for value in values:
                    check(await call(value), STEPS)
                return time.process_time() - cpu

        cpu = asyncio.run(work())
        total = written() - before  # with what closing the files moves out of their logs
        return {"written": total / CARRIES, "kept": kept(folder) / CARRIES, "cpu": cpu / CARRIES, "runs": CARRIES}


def _journal(engine: Any, seconds: float) -> Numbers:
    async def work() -> Numbers:
        async with engine.counting(folder, full=False) as call:
            lone = await one_by_one(call, STEPS, seconds)
            bursts = await _bursts(call, seconds)
        return {
            "cpu": lone["cpu"] / STEPS,
            "wall": lone["wall"],
            "cpu_at_once": statistics.mean(cpu for cpu, _ in bursts) / (STEPS * AT_ONCE),
            "runs": lone["runs"] + len(bursts) * AT_ONCE,
        }

    with _folder() as folder:
        return arun(work())


async def _bursts(call: Count, seconds: float) -> list[tuple[float, float]]:
    """Seconds of CPU and wall of many runs at once, some times."""
    spent: list[tuple[float, float]] = []
    begin = time.perf_counter()
    while not spent or time.perf_counter() - begin < seconds:
        spent.append(await _burst(call))
    return spent


async def _burst(call: Count) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    results = await asyncio.gather(*(_as_coroutine(call()) for _ in range(AT_ONCE)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    check(set(results), {STEPS})
    return cpu, wall


async def _as_coroutine(run: Awaitable[int]) -> int:
    return await run


def _durable(engine: Any, seconds: float) -> Numbers:
    async def work() -> Numbers:
        async with engine.counting(folder, full=True) as call:
            for _ in range(3):
                check(await call(), STEPS)
            bursts: list[tuple[float, float]] = []
            begin, before = time.perf_counter(), commits(folder)
            while not bursts or time.perf_counter() - begin < seconds:
                bursts.append(await _burst(call))
            made = (commits(folder) - before) / len(bursts)
            wall = statistics.median(wall for _, wall in bursts)
            return {"wall": wall, "commits": made, "runs": len(bursts)}

    async def against() -> Numbers:
        """Bursts in turn with those of a program that does nothing but make as many commits."""
        from durable.plain_asyncio import committing

        limits, walls, made = [], [], []
        async with engine.counting(folder, full=True) as call, committing(beside) as commit:
            for _ in range(2):
                await _burst(call)
                await commit(AT_ONCE, 10)
            begin = time.perf_counter()
            while len(walls) < 5 or time.perf_counter() - begin < 2 * seconds:
                before = commits(folder)
                walls.append((await _burst(call))[1])
                made.append(commits(folder) - before)
                begun, first = time.perf_counter(), commits(beside)
                await commit(AT_ONCE, made[-1])
                limits.append(time.perf_counter() - begun)
                check(commits(beside) - first, made[-1])
        return {
            "wall": statistics.median(walls),
            "commits": statistics.mean(made),
            "limit": statistics.median(limits),
            "ratio": statistics.median(wall / limit for wall, limit in zip(walls, limits, strict=True)),
            "runs": len(walls),
        }

    with _folder() as folder, _folder() as beside:
        return arun(against() if engine.__name__.endswith("ragweave") else work())


MEASURE = {"conversation": _conversation, "carry": _carry, "durable": _durable, "journal": _journal}
