"""The store that outlives its process: journals in a database, written by one thread, read by any."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ragweave.orchestrator.errors import JournalError, RunTaken, ThreadTaken, unknown_run
from ragweave.orchestrator.running.events import Event, Record
from ragweave.orchestrator.stores import KEEP_DAYS, Durability, Removed, RunRecord, Status, deleting, known, reading
from ragweave.orchestrator.stores.batches import Append, Begin, End, Keep, Writing
from ragweave.orchestrator.stores.database import Cursor, Database
from ragweave.orchestrator.stores.encoding import Blobs, Encoder, digest_with
from ragweave.orchestrator.stores.packing import Cipher
from ragweave.orchestrator.stores.sealing import admit
from ragweave.orchestrator.stores.turns import at_turn, thread_of
from ragweave.orchestrator.stores.workers import LEASE, alive, new_owner, shown
from ragweave.orchestrator.stores.writer import Writer

SWEEP_EVERY = 500
"""Runs after which old ones are looked for; the first time after the first one of a process."""
SWEEP_AT_ONCE = 500
"""Of old runs so many are removed at a time: others wait meanwhile."""


class DurableStore:
    """A `Store` over a `Database`. Runs that ended more than `keep_days` ago are removed; those that are parked or go
    on stay. `lease` is in seconds."""

    immediate = False
    live = False

    def __init__(
        self,
        database: Database,
        *,
        keep_days: float = KEEP_DAYS,
        lease: float = LEASE,
        cipher: Cipher | None = None,
    ) -> None:
        self.database = database
        self.keep_days = keep_days
        self._cipher = cipher
        self._digest = digest_with(cipher.secret if cipher is not None else None)
        self._owner = new_owner()
        self._lease = lease
        self._process = os.getpid()
        self._writer = Writer(database, self._owner, lease, cipher)
        self._ended = 0
        self._admitted = False
        """True once it is sure that the store is of our key, or of none as we are."""

    # --- writing ---

    async def begin(
        self, record: RunRecord, bundle: str = "", durability: Durability = "async", *, in_turn: bool = False
    ) -> None:
        """Make a new run known. It is written with its first event: one that has none could not be gone on with.

        Whether its thread is free is looked at now, and again in the transaction that writes it.
        """
        self._look_at_process()
        if record.run_id in self._writer.active:
            raise JournalError(f"there is a run {record.run_id!r} already")
        _check_texts(record)
        if not self._admitted:
            await self._look_at_key()
        since = await self._free(record) if in_turn else None
        self._writer.lost.pop(record.run_id, None)
        record.begun = record.begun or time.time()
        run = Writing(record, self._encoder(record.tenant), durability)
        self._writer.active[record.run_id] = run
        run.begin = Begin(run, bundle, since)

    async def _free(self, record: RunRecord) -> float:
        """When the thread of a run was seen to be free. A database out of reach is waited for, as in writing. Raises
        ThreadTaken."""

        def look(cursor: Cursor) -> tuple[str, float]:
            return at_turn(cursor, record, self._owner, self._writer.active), cursor.now()

        until = time.monotonic() + self._lease / 2
        while True:
            try:
                holder, now = await asyncio.to_thread(self._look, look) or ("", 0.0)
            except JournalError as error:
                if not error.transient or time.monotonic() > until:
                    raise
                await asyncio.sleep(0.2)
                continue
            if holder:
                raise ThreadTaken(record.thread_id, holder)
            return float(now)

    async def begun(self, run_id: str) -> None:
        """Wait for the first commit of a run; with `durability: exit`, which has none before the run ends, make one."""
        run = self._writing(run_id)
        if run.begin is not None:
            await self.flush(run_id)
        else:
            await self._writer.committed(run, hurry=False)

    async def take(self, run_id: str, durability: Durability = "async", *, in_turn: bool = False) -> RunRecord:
        """Make this worker the one that goes on with a run."""
        self._look_at_process()
        if not self.database.exists():
            raise unknown_run(run_id)
        if run_id in self._writer.active:
            raise RunTaken(f"run {run_id!r} goes on in this process")
        found = await self._writer.call(lambda cursor: self._take(cursor, run_id, in_turn))
        record, key, tenant, fence, head = found
        run = Writing(record, self._encoder(record.tenant), durability)
        run.key, run.tenant, run.fence, run.head = key, tenant, fence, head
        self._writer.active[run_id] = run
        return record  # type: ignore[no-any-return]

    def _take(self, cursor: Cursor, run_id: str, in_turn: bool) -> tuple[RunRecord, int, int, int, int]:
        rows = cursor.rows("SELECT id, tenant, owner, until, fence FROM runs WHERE run = ?", run_id)
        if not rows:
            raise unknown_run(run_id)
        key, tenant, owner, until, fence = rows[0]
        now = cursor.now()
        if owner != self._owner and alive(owner, until, now):
            raise RunTaken(
                f"run {run_id!r} goes on in {shown(owner)}",
                hint=f"wait until it has ended; if that process is gone, for {until - now:.0f} s",
            )
        if in_turn:
            self._keep_turn(cursor, reading.records(cursor, "r.id = ?", [key])[0])
        # Where writers run side by side, its worker may have shown a sign of life, or written, since it was looked at.
        held = cursor.rows(
            "UPDATE runs SET owner = ?, until = ?, fence = ?, status = 'running', changed = ? "
            "WHERE id = ? AND fence = ? AND until = ? RETURNING head",
            self._owner, now + self._lease, fence + 1, now, key, fence, until,
        )  # fmt: skip
        if not held:
            raise RunTaken(f"another worker goes on with run {run_id!r} at this moment")
        record = reading.records(cursor, "r.id = ?", [key])[0]
        return record, key, tenant, fence + 1, held[0][0]

    def _keep_turn(self, cursor: Cursor, record: RunRecord) -> None:
        cursor.queue([thread_of(record)])
        holder = at_turn(cursor, record, self._owner, self._writer.active)
        if holder:
            raise ThreadTaken(record.thread_id, holder)

    def writer(self, run_id: str, blobs: Callable[[str], bytes | None] | None = None) -> Callable[[Record], None]:
        """Encodes a record at once, so that a value that cannot be kept is told where it was made."""
        run = self._writing(run_id)
        if blobs is not None:
            run.blobs = Blobs(self._finding(blobs, run.record.tenant), run.blobs.kept if run.blobs else set())
        return self._holding(run) if run.durability == "exit" else self._appending(run)

    def _holding(self, run: Writing) -> Callable[[Record], None]:
        """Holds records back; those that cannot be kept are refused at once."""
        trial = run.encoder.anew()

        def hold(record: Record) -> None:
            trial.trust(trial.line(record))
            run.held.append(record)

        return hold

    def _finding(self, blobs: Callable[[str], bytes | None], tenant: str) -> Callable[[str], bytes | None]:
        """Finds bytes that are at hand, or are stored for another run of the tenant: of a cached result, or a fork."""

        def find(sha256: str) -> bytes | None:
            data = blobs(sha256)
            if data is None:
                with contextlib.suppress(JournalError):
                    data = self.blob(sha256, tenant)
            return data

        return find

    def _appending(self, run: Writing) -> Callable[[Record], None]:
        put, encoder = self._writer.put, run.encoder

        def append(record: Record) -> None:
            with encoder.lock:
                if run.lost is None:  # else refused: what it brings must not be counted on
                    line = encoder.line(record, run.blobs)
                    encoder.trust(line)
                    if run.begin is None:
                        put(Append(run, record, line))
                    else:
                        begin, run.begin = run.begin, None
                        put(begin, Append(run, record, line))

        return append

    def watch(self, run_id: str, lost: Callable[[str], None]) -> None:
        """Tell when a run can be written no more."""
        run = self._writing(run_id)
        run.watchers.append(lost)
        if run.lost is not None:
            lost(run.lost.message)

    async def flush(self, run_id: str, *, safe: bool = False) -> None:
        """Return when everything written so far is committed."""
        run = self._writing(run_id)
        self._release(run)
        await self._writer.committed(run, safe=safe)

    async def end(self, run_id: str, status: Status) -> None:
        """Set the status, give up the lease, and wait for the commit."""
        run = self._writing(run_id)
        self._release(run)
        self._writer.put(End(run, status))
        await self._writer.committed(run)
        run.encoder.forget_texts()
        if self._ended % SWEEP_EVERY == 0 and self.keep_days:
            self._writer.later(lambda cursor: deleting.expire(cursor, self.keep_days, self._cipher, SWEEP_AT_ONCE))
        self._ended += 1

    def _release(self, run: Writing) -> None:
        """Write what was held back."""
        held, run.held[:] = list(run.held), []
        append = self._appending(run)
        for record in held:
            append(record)
        if run.begin is not None:
            begin, run.begin = run.begin, None
            self._writer.put(begin)

    def _writing(self, run_id: str) -> Writing:
        run = self._writer.active.get(run_id)
        if run is None:
            raise self._writer.lost.pop(run_id, RunTaken(f"this worker does not write run {run_id!r}"))
        return run

    def _encoder(self, tenant: str) -> Encoder:
        if tenant not in self._writer.encoders:
            self._writer.encoders[tenant] = Encoder(self._digest)
        return self._writer.encoders[tenant]

    async def _look_at_key(self) -> None:
        """Raises JournalError if the store is of another key: before the run does anything, not when it is written."""
        try:
            await asyncio.to_thread(self._look, lambda cursor: None)
        except JournalError as error:
            if not error.transient:  # else the writer waits until it is within reach, and looks again
                raise

    def _look_at_process(self) -> None:
        if os.getpid() != self._process:
            raise JournalError(
                "a store cannot be shared with a process that was forked from this one",
                hint="load the graph after the fork",
            )

    # --- reading ---

    async def record(self, run_id: str) -> RunRecord | None:
        """What is known of a run."""
        found = await self._read(lambda cursor: reading.records(cursor, "r.run = ?", [run_id]))
        return found[0] if found else None

    async def events(self, run_id: str) -> Sequence[Event]:
        """The journal of a run, with plain JSON in it."""
        run = self._writer.active.get(run_id)
        named: set[bytes] = set()
        found = await self._read(lambda cursor: reading.events(cursor, run_id, self._digest, self._cipher, named))
        if run is not None and named:
            run.blobs = run.blobs or Blobs(lambda sha256: None, set())
            run.blobs.kept.update(named)
        return found or ()

    def blob(self, digest: str, tenant: str = "") -> bytes | None:
        """Bytes that were committed with a run. Raises JournalError for damaged ones."""
        found: bytes | None = self._look(
            lambda cursor: reading.blob(cursor, digest, tenant, self._digest, self._cipher)
        )
        return found

    async def bundle(self, run_id: str) -> str:
        """The files of the graph of a run."""
        return await self._read(lambda cursor: reading.bundle(cursor, run_id, self._digest, self._cipher)) or ""

    async def runs(
        self,
        *,
        thread_id: str | None = None,
        status: Status | None = None,
        tenant: str | None = None,
        graph: str | None = None,
        limit: int | None = None,
    ) -> Sequence[RunRecord]:
        """Known runs that fit, oldest first."""
        chosen = {"r.thread": thread_id, "r.status": status, "t.name": tenant, "r.graph": graph}
        wanted = {column: value for column, value in chosen.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in wanted) or "1 = 1"
        return await self._read(lambda cursor: reading.records(cursor, where, list(wanted.values()), limit)) or ()

    async def crashed(self) -> Sequence[RunRecord]:
        """Runs whose worker is gone: its lease is over, or it ran on this machine and its process has ended."""
        return await self._read(lambda cursor: reading.crashed(cursor, self._owner, set(self._writer.active))) or ()

    async def cached(self, key: str, tenant: str = "") -> Mapping[str, Any] | None:
        """A cached result that is still fresh, as plain JSON."""
        found: Mapping[str, Any] | None = await self._read(
            lambda cursor: reading.cached(cursor, tenant, key, self._digest, self._cipher)
        )
        return found

    async def cache(self, key: str, writes: Mapping[str, Any], ttl: float, *, run_id: str, tenant: str = "") -> None:
        """Keep a result; it is written soon."""
        encoder = self._encoder(tenant)
        record: Record = ("cached", "", "", 0, writes, None, 0, -1, 0, time.time())
        run = self._writer.active.get(run_id)
        blobs = run.blobs if run is not None and run.record.tenant == tenant else None
        with encoder.lock:
            line = encoder.line(record, blobs)
            encoder.trust(line)
            self._writer.put(Keep(run_id, tenant, key, record, line, encoder, ttl, blobs))

    async def _read(self, function: Callable[[Cursor], Any]) -> Any:
        """What a function of a view finds, after what this process has written; None if there is nothing yet."""
        if self._writer.busy:
            await self._writer.committed(None)
        return await asyncio.to_thread(self._look, function)

    def _look(self, function: Callable[[Cursor], Any]) -> Any:
        if not self.database.exists():
            return None
        with self.database.reading() as cursor, reading.distrusting(self.database.shown):
            self._admitted = self._admitted or admit(cursor, self._cipher, self.database.shown)
            return function(cursor)

    # --- removing ---

    async def adopt(self, run_id: str, version: str, bundle: str) -> None:
        """Let a run belong to another version of its graph."""
        await self._writer.call(
            lambda cursor: deleting.adopt(cursor, run_id, version, bundle, self._digest, self._cipher), alone=True
        )

    async def delete(
        self,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        user: str | None = None,
        tenant: str | None = None,
    ) -> Removed:
        """Remove runs with everything that only they use."""
        if not self.database.exists():
            return Removed()
        which = deleting.Which(run_id, thread_id, tenant, user)
        return await self._remove(
            lambda cursor: deleting.delete(cursor, which, self._owner, self._cipher), thorough=True
        )

    async def gc(self) -> Removed:
        """Remove what is older than is kept, cached results that are over, and values that nothing refers to."""
        if not self.database.exists():
            return Removed()
        return await self._remove(lambda cursor: deleting.expire(cursor, self.keep_days, self._cipher))

    async def _remove(self, function: Callable[[Cursor], Removed], *, thorough: bool = False) -> Removed:
        known.forget()
        removed: Removed = await self._writer.call(function, alone=True)
        freed = await self._writer.outside(lambda: self.database.shrink(thorough=thorough and any(removed)))
        return removed._replace(bytes=freed)

    async def close(self) -> None:
        """Commit what is there and let go of the database."""
        if os.getpid() != self._process:
            return
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self.database.close)


def _check_texts(record: RunRecord) -> None:
    """Raises JournalError for a text that databases do not take; run by run, before it meets those of others."""
    for name in ("run_id", "thread_id", "graph", "user", "tenant", "version", "parent"):
        text: str = getattr(record, name)
        if not text.isprintable() and ("\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text)):
            raise JournalError(
                f"the run's {name} {text!r} cannot be kept: it holds half a character, or the character 0"
            )
