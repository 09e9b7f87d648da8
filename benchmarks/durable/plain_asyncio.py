"""The lower limit: coroutines that put a row per step into a queue, and a thread that commits what has come."""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from durable.protocol import STEPS, Count

PACKAGES: tuple[str, ...] = ()
UNSUPPORTED: dict[str, str] = {}


class _Row(NamedTuple):
    run: int
    step: int
    delta: str
    #: Of the last step of a run: who waits for its commit.
    done: asyncio.Future[None] | None


class _Journal:
    """One table in one file in WAL mode, written by one thread. A list that is put says how many rows each of the next
    commits holds; without one, a commit holds what has come."""

    def __init__(self, path: Path, full: bool) -> None:
        self._queue: SimpleQueue[_Row | list[int] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._path, self._full = path, full
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        self.put = self._queue.put

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._full else 'NORMAL'}")
        connection.execute("CREATE TABLE IF NOT EXISTS steps (run INTEGER, step INTEGER, delta TEXT)")
        sizes: list[int] = []
        while (item := self._queue.get()) is not None:
            if isinstance(item, list):
                sizes = item[::-1]
                continue
            rows = [item]
            size = sizes.pop() if sizes else 0
            while not size or len(rows) < size:
                try:
                    more = self._queue.get(block=bool(size))
                except Empty:
                    break
                if not isinstance(more, _Row):
                    self._queue.put(more)
                    break
                rows.append(more)
            self._commit(connection, rows)
        connection.close()

    def _commit(self, connection: sqlite3.Connection, rows: list[_Row]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO steps VALUES (?, ?, ?)", [row[:3] for row in rows])
        connection.execute("COMMIT")
        waiting = [row.done for row in rows if row.done is not None]
        if waiting:
            self._loop.call_soon_threadsafe(_wake, waiting)


def _wake(waiting: list[asyncio.Future[None]]) -> None:
    for future in waiting:
        future.set_result(None)


async def _inc(n: int) -> int:
    return n + 1


def _run(journal: _Journal) -> Count:
    numbers = itertools.count()

    async def call() -> int:
        number, n = next(numbers), 0
        for step in range(STEPS):
            n = await _inc(n)
            last = step == STEPS - 1
            done = asyncio.get_running_loop().create_future() if last else None
            journal.put(_Row(number, step, json.dumps({"n": n}), done))
        assert done is not None
        await done
        return n

    return call


@asynccontextmanager
async def counting(folder: Path, full: bool) -> AsyncIterator[Count]:
    """A commit holds all rows that came while the one before it was made."""
    journal = _Journal(folder / "plain.sqlite", full)
    try:
        yield _run(journal)
    finally:
        journal.close()


@asynccontextmanager
async def committing(folder: Path) -> AsyncIterator[Callable[[int, int], Awaitable[None]]]:
    """A call makes so many runs at once, whose rows it writes in exactly so many commits that wait for the disk."""
    journal = _Journal(folder / "plain.sqlite", full=True)
    run = _run(journal)

    async def burst(runs: int, commits: int) -> None:
        rows = runs * STEPS
        commits = min(commits, rows)
        journal.put([rows * (i + 1) // commits - rows * i // commits for i in range(commits)])
        results = await asyncio.gather(*(run() for _ in range(runs)))
        if set(results) != {STEPS}:
            raise ValueError("a run has not counted its steps")

    try:
        yield burst
    finally:
        journal.close()
