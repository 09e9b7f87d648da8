"""The one thread that writes a database: it takes what has come meanwhile, from all runs, and commits it at once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from ragweave.orchestrator.errors import JournalError, RunTaken
from ragweave.orchestrator.stores import known
from ragweave.orchestrator.stores.batches import (
    Append,
    Batch,
    Bundles,
    Change,
    End,
    Keep,
    Overtaken,
    Writing,
    taken_over,
)
from ragweave.orchestrator.stores.database import Cursor, Database
from ragweave.orchestrator.stores.encoding import Encoder
from ragweave.orchestrator.stores.packing import Cipher
from ragweave.orchestrator.stores.reading import distrusting
from ragweave.orchestrator.stores.sealing import admit, enter

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

    The thread starts with the first change. It also renews the leases of the runs that go on. If the database is out of
    reach, what has come waits for it, for up to half a lease.
    """

    def __init__(self, database: Database, owner: str, lease: float, cipher: Cipher | None) -> None:
        self.database = database
        self.owner = owner
        self.lease = lease
        self.active: dict[str, Writing] = {}
        self.lost: dict[str, RunTaken] = {}
        """Why runs can be written no more, until somebody asks."""
        self.encoders: dict[str, Encoder] = {}
        """By tenant: all that make lines for this writer."""
        self._cipher = cipher
        self._queue: SimpleQueue[tuple[Change, ...] | Wait | Call | None] = SimpleQueue()
        self._hurry = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._tenants: dict[str, int] = {}
        self._bundles: Bundles = {}
        self._generation = -1
        self._sealed = False
        self._renewed = 0.0

    @property
    def busy(self) -> bool:
        """True if something may not be committed yet."""
        return self._thread is not None

    def put(self, *changes: Change) -> None:
        """Write these soon, in one transaction."""
        if self._thread is None:
            self._start()
        self._queue.put(changes)

    async def committed(self, run: Writing | None, *, safe: bool = False, hurry: bool = True) -> None:
        """Wait until everything put so far is committed, at once if there is `hurry`. Raises RunTaken if the run is
        lost, JournalError if it cannot be written."""
        if self._thread is None:
            self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._queue.put(Wait(run, future, loop, safe))
        if hurry:
            self._hurry.set()
        await future

    async def call(self, function: Callable[[Cursor], Any], *, alone: bool = False) -> Any:
        """What a function of a transaction gives; it comes after everything put so far."""
        return await self._called(Call(function, Future(), alone=alone))

    def later(self, function: Callable[[Cursor], Any]) -> None:
        """Call a function in a transaction of its own that is alone, when it is its turn; nobody waits for it."""
        self._queue.put(Call(function, Future(), alone=True))

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
        with (
            self._starting
        ):  # until it has ended: who uses the store nevertheless must not start a second one beside it
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
        going = True
        while going:
            items: list[Change | Wait | Call] = []
            with contextlib.suppress(Empty):
                going = self._take(self._queue.get(timeout=self.lease / 3), items)
                if going:
                    self._hurry.wait(LINGER)
                    self._hurry.clear()
                while True:
                    going = self._take(self._queue.get_nowait(), items) and going
            self._handle(items)
            self._renew()

    @staticmethod
    def _take(item: tuple[Change, ...] | Wait | Call | None, items: list[Change | Wait | Call]) -> bool:
        """Add what came to the items; False if it was the end."""
        if isinstance(item, (Wait, Call)):
            items.append(item)
        elif item is not None:
            items.extend(item)
        return item is not None

    def _handle(self, items: Sequence[Change | Wait | Call]) -> None:
        """Commit changes up to each call, do the call, and so on; then wake who waits."""
        changes: list[Change] = []
        waits: list[Wait] = []
        for item in items:
            if isinstance(item, Wait):
                waits.append(item)
            elif isinstance(item, Call):
                self._commit(changes, waits)
                changes, waits = [], []
                self._do(item)
            else:
                changes.append(item)
        self._commit(changes, waits)

    def _commit(self, changes: Sequence[Change], waits: Sequence[Wait]) -> None:
        failed = self._keep(changes, safe=any(wait.safe for wait in waits)) if changes else {}
        _wake(waits, failed)

    def _keep(self, changes: Sequence[Change], *, safe: bool) -> dict[Writing, JournalError]:
        """Write changes; what cannot be written does not cost the others theirs. The runs that failed, and why."""
        try:
            self._patiently(lambda: self._write(changes, safe=safe))
        except JournalError as raised:
            error = raised
        except Exception as raised:
            error = JournalError(f"the journal cannot be written: {type(raised).__name__}: {raised}")
        else:
            return {}
        self._distrust()
        parts = _parts(changes)
        failed: dict[Writing, JournalError] = {}
        if len(parts) > 1 and not error.transient:
            for part in parts:
                failed |= self._keep(part, safe=safe)
        else:
            for change in changes:
                if not isinstance(change, Keep):
                    failed[change.run] = error
                    self._forget(change.run, RunTaken(str(error)))
        return failed

    def _patiently(self, function: Callable[[], Any]) -> Any:
        """What a function gives; it is called again while the database is only out of reach."""
        until = time.monotonic() + self.lease / 2
        pause = 0.05
        while True:
            try:
                self.database.open()
                return function()
            except JournalError as error:
                if not error.transient or time.monotonic() + pause > until:
                    raise
                self._distrust()
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _write(self, changes: Sequence[Change], *, safe: bool) -> None:
        going: list[Change] = []
        while going := [change for change in changes if isinstance(change, Keep) or change.run.lost is None]:
            try:
                moved = self._attempt(going, safe=safe)
            except Overtaken as overtaken:
                for run, error in overtaken.runs.items():
                    self._forget(run, error)
                continue
            for run in moved:
                run.head += 1
            for change in going:
                if isinstance(change, End):
                    self.active.pop(change.run.record.run_id, None)
            return

    def _attempt(self, changes: Sequence[Change], *, safe: bool) -> list[Writing]:
        """Commit these changes, all or none; the runs that have one segment more."""
        self._seal()
        with self.database.writing(safe=safe) as cursor:
            self._look(cursor)
            batch = Batch(cursor, self.owner, self.lease, self._cipher, self._bundles, self.active)
            batch.write(_anew(changes), self._tenants)
        self._bundles = batch.bundles
        return batch.moved

    def _do(self, call: Call) -> None:
        if not call.future.set_running_or_notify_cancel():
            return
        try:
            result = self._patiently(lambda: self._called_now(call))
        except BaseException as error:
            call.future.set_exception(error)
        else:
            call.future.set_result(result)

    def _called_now(self, call: Call) -> Any:
        if call.outside:
            return call.function()
        self._seal()
        writing = self.database.writing(safe=call.alone, alone=call.alone)
        with writing as cursor, distrusting(self.database.shown):
            self._look(cursor)
            return call.function(cursor)

    def _seal(self) -> None:
        """Mark a store that holds nothing yet as encrypted, while nobody else writes. Raises JournalError if it is of
        another key, or of none."""
        if self._cipher is not None and not self._sealed:
            with self.database.writing(alone=True) as cursor:
                enter(cursor, self._cipher, self.database.shown)
            self._sealed = True

    def _look(self, cursor: Cursor) -> None:
        """See whether values were deleted meanwhile, or a key was set. Raises JournalError if it is not ours."""
        generation = cursor.rows(GENERATION)[0][0]
        if generation != self._generation:
            admit(cursor, self._cipher, self.database.shown)
            if self._generation >= 0:
                known.forget()
                self._distrust()
            self._generation = generation

    def _distrust(self) -> None:
        """What was there, or was about to be written, may not be there: lines that count on it are made anew."""
        self._tenants.clear()
        self._bundles = {}
        for encoder in list(self.encoders.values()):
            encoder.distrust()

    def _forget(self, run: Writing, error: RunTaken) -> None:
        """Give up a run. Nothing of it is written any more, so that no other run may count on what it has brought."""
        if self.active.pop(run.record.run_id, None) is not None:
            self.lost[run.record.run_id] = error
        run.lose(error)
        self._distrust()

    def _renew(self) -> None:
        """Say that the runs that go on are still alive, if nothing was said for a third of the lease; find out which
        have been taken over."""
        now = time.monotonic()
        runs = [run for run in list(self.active.values()) if run.key]
        if not runs or now - self._renewed < self.lease / 3:
            return
        try:
            self.database.open()
            with self.database.writing() as cursor:
                until = cursor.now() + self.lease
                held = cursor.advance([(run.key, run.fence, run.head, until) for run in runs])
        except Exception:
            return  # said again at the next opportunity; if that comes too late, the next write tells
        self._renewed = now
        for run in runs:
            if run.key not in held:
                self._forget(run, taken_over(run))


def _parts(changes: Sequence[Change]) -> list[list[Change]]:
    """Changes that have to be written together: those of a run."""
    parts: dict[int, list[Change]] = {}
    for change in changes:
        parts.setdefault(id(change if isinstance(change, Keep) else change.run), []).append(change)
    return list(parts.values())


def _anew(changes: Sequence[Change]) -> list[Change]:
    """The same changes, with the values that were left out because they seemed to be there."""
    fresh: dict[Encoder, Encoder] = {}
    anew: list[Change] = []
    for change in changes:
        if isinstance(change, (Append, Keep)):
            encoder = change.encoder if isinstance(change, Keep) else change.run.encoder
            if change.line.trusting != encoder.distrusted:
                mine = fresh.setdefault(encoder, encoder.anew())
                blobs = change.blobs if isinstance(change, Keep) else change.run.blobs
                line = mine.line(change.record, blobs)
                mine.trust(line)
                change = change._replace(line=line)
        anew.append(change)
    return anew


def _wake(waits: Sequence[Wait], failed: Mapping[Writing, JournalError]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[Wait]] = {}
    for wait in waits:
        loops.setdefault(wait.loop, []).append(wait)
    for loop, mine in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_resolve, mine, failed)


def _resolve(waits: Sequence[Wait], failed: Mapping[Writing, JournalError]) -> None:
    for wait in waits:
        if wait.future.done():
            continue
        if wait.run is None:
            wait.future.set_result(None)
        elif wait.run in failed:
            wait.future.set_exception(failed[wait.run])
        elif wait.run.lost is not None:
            wait.future.set_exception(wait.run.lost)
        else:
            wait.future.set_result(None)
