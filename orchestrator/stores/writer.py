"""The one thread that writes a database: it takes what has come meanwhile, from all runs, and commits it at once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from ragweave.orchestrator.errors import JournalError, RunTaken
from ragweave.orchestrator.stores.batches import Append, Batch, Begin, Change, End, Keep, Writing
from ragweave.orchestrator.stores.database import Cursor, Database
from ragweave.orchestrator.stores.packing import Cipher

LINGER = 0.002
"""Seconds to wait for more when nobody waits for the commit."""
GENERATION = "SELECT value FROM facts WHERE name = 'generation'"


class Wait(NamedTuple):
    """Somebody waits until what he has written is committed."""

    run: Writing | None
    future: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop
    safe: bool


class Call(NamedTuple):
    """Something else to be done after what was written before: in a transaction of its own, or in none."""

    function: Callable[..., Any]
    future: Future[Any]
    alone: bool = False
    outside: bool = False


class Writer:
    """Commits changes in the order in which they come; many runs share a commit.

    The thread starts with the first change. It also renews the leases of the runs that go on.
    """

    def __init__(self, database: Database, owner: str, lease: float, cipher: Cipher | None) -> None:
        self.database = database
        self.owner = owner
        self.lease = lease
        self.active: dict[str, Writing] = {}
        self.lost: dict[str, str] = {}
        """Why runs can be written no more, until somebody asks."""
        self._cipher = cipher
        self._queue: SimpleQueue[Change | Wait | Call | None] = SimpleQueue()
        self._hurry = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._tenants: dict[str, int] = {}
        self._generation = -1
        self._renewed = 0.0

    @property
    def busy(self) -> bool:
        """True if something may not be committed yet."""
        return self._thread is not None

    def put(self, change: Change) -> None:
        """Write this soon."""
        if self._thread is None:
            self._start()
        self._queue.put(change)

    async def committed(self, run: Writing | None, *, safe: bool = False) -> None:
        """Wait until everything put so far is committed. Raises RunTaken if the run is lost, JournalError if it cannot
        be written."""
        if self._thread is None:
            self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._queue.put(Wait(run, future, loop, safe))
        self._hurry.set()
        await future

    async def call(self, function: Callable[[Cursor], Any], *, alone: bool = False) -> Any:
        """What a function of a transaction gives; it comes after everything put so far."""
        return await self._called(Call(function, Future(), alone=alone))

    async def outside(self, function: Callable[[], Any]) -> Any:
        """What a function gives that is called while no transaction is open."""
        return await self._called(Call(function, Future(), outside=True))

    async def _called(self, call: Call) -> Any:
        if self._thread is None:
            self._start()
        self._queue.put(call)
        self._hurry.set()
        return await asyncio.wrap_future(call.future)

    def close(self) -> None:
        """Commit what is there, and end the thread."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            self._hurry.set()
            thread.join()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="ragweave journal", daemon=True)
                thread.start()
                self._thread = thread

    def _work(self) -> None:
        opened: JournalError | None = None
        going = True
        while going:
            items: list[Change | Wait | Call] = []
            with contextlib.suppress(Empty):
                first = self._queue.get(timeout=self.lease / 3)
                if first is None:
                    going = False
                else:
                    items.append(first)
                    self._hurry.wait(LINGER)
                    self._hurry.clear()
            with contextlib.suppress(Empty):
                while True:
                    item = self._queue.get_nowait()
                    if item is None:
                        going = False
                    else:
                        items.append(item)
            if not items and not self.active:
                continue
            try:
                self.database.open()
                opened = None
            except JournalError as error:
                opened = error
            self._handle(items, opened)
            self._renew(opened)

    def _handle(self, items: Sequence[Change | Wait | Call], failed: JournalError | None) -> None:
        """Commit changes up to each call, do the call, and so on; then wake who waits."""
        changes: list[Change] = []
        waits: list[Wait] = []
        for item in items:
            if isinstance(item, Wait):
                waits.append(item)
            elif isinstance(item, Call):
                self._commit(changes, waits, failed)
                changes, waits = [], []
                self._do(item, failed)
            else:
                changes.append(item)
        self._commit(changes, waits, failed)

    def _commit(self, changes: list[Change], waits: list[Wait], failed: JournalError | None) -> None:
        error = failed
        if changes and error is None:
            safe = any(wait.safe for wait in waits)
            try:
                self._write(changes, safe=safe)
            except JournalError as raised:
                error = raised
            except Exception as raised:
                error = JournalError(f"the journal cannot be written: {type(raised).__name__}: {raised}")
        if error is not None:
            self._lose(changes, error)
        _wake(waits, error)

    def _write(self, changes: list[Change], *, safe: bool) -> None:
        with self.database.writing(safe=safe) as cursor:
            generation = cursor.rows(GENERATION)[0][0]
            if generation != self._generation:
                if self._generation >= 0:
                    changes = _again(changes)
                    self._tenants.clear()
                self._generation = generation
            batch = Batch(cursor, self.owner, self.lease, self._cipher)
            batch.write(changes, self._tenants)
        for run in batch.moved:
            run.head += 1
        for run in batch.lost:
            self._forget(run, f"run {run.record.run_id} was taken over by another worker")
        for change in changes:
            if isinstance(change, End):
                self.active.pop(change.run.record.run_id, None)

    def _do(self, call: Call, failed: JournalError | None) -> None:
        if not call.future.set_running_or_notify_cancel():
            return
        try:
            if failed is not None:
                raise failed
            if call.outside:
                result = call.function()
            else:
                with self.database.writing(safe=call.alone, alone=call.alone) as cursor:
                    result = call.function(cursor)
        except BaseException as error:
            call.future.set_exception(error)
        else:
            call.future.set_result(result)

    def _lose(self, changes: Sequence[Change], error: JournalError) -> None:
        """What could not be written is gone, and so are the runs that it belongs to."""
        self._tenants.clear()
        for change in changes:
            if isinstance(change, Keep):
                change.encoder.distrust()
            else:
                change.run.encoder.distrust()
                self._forget(change.run, str(error))

    def _forget(self, run: Writing, reason: str) -> None:
        if self.active.pop(run.record.run_id, None) is not None:
            self.lost[run.record.run_id] = reason
        run.lose(reason)

    def _renew(self, failed: JournalError | None) -> None:
        """Say that the runs that go on are still alive, if nothing was said for a third of the lease."""
        now = time.monotonic()
        if failed is not None or not self.active or now - self._renewed < self.lease / 3:
            return
        self._renewed = now
        with contextlib.suppress(JournalError), self.database.writing() as cursor:
            until = cursor.now() + self.lease
            cursor.run("UPDATE runs SET until = ? WHERE owner = ? AND status = 'running'", until, self.owner)


def _again(changes: Sequence[Change]) -> list[Change]:
    """The same changes, with the values that were left out because they were there."""
    for change in changes:
        if isinstance(change, Keep):
            change.encoder.distrust()
        elif not isinstance(change, Begin):
            change.run.encoder.distrust()
    anew: list[Change] = []
    for change in changes:
        if isinstance(change, (Append, Keep)):
            encoder = change.encoder if isinstance(change, Keep) else change.run.encoder
            line = encoder.line(change.record)
            encoder.trust(line)
            anew.append(change._replace(line=line))
        else:
            anew.append(change)
    return anew


def _wake(waits: Sequence[Wait], error: JournalError | None) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[Wait]] = {}
    for wait in waits:
        loops.setdefault(wait.loop, []).append(wait)
    for loop, mine in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_resolve, mine, error)


def _resolve(waits: Sequence[Wait], error: JournalError | None) -> None:
    for wait in waits:
        if wait.future.done():
            continue
        if error is not None:
            wait.future.set_exception(error)
        elif wait.run is not None and wait.run.lost:
            wait.future.set_exception(RunTaken(wait.run.lost))
        else:
            wait.future.set_result(None)
