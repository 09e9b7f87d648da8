"""The store that needs no file: journals in this process's memory, the newest of them kept."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ragweave.orchestrator.errors import JournalError, unknown_run
from ragweave.orchestrator.running.events import Event, Record
from ragweave.orchestrator.stores import Durability, Removed, RunRecord, Status

FIELDS = len(Event.__slots__)


class MemoryStore:
    """Keeps every run that may go on (running, parked, failed, cancelled) and the last `keep` that are done.

    Runs that may go on are dropped too, the oldest first, once there are `keep_open` of them.
    """

    immediate = True
    live = True

    def __init__(self, keep: int = 100, keep_open: int = 10_000, keep_cached: int = 10_000) -> None:
        self._keep, self._keep_open, self._keep_cached = keep, keep_open, keep_cached
        self._records: dict[str, RunRecord] = {}
        self._events: dict[str, list[Any]] = {}
        # Fields of all records in one flat list: what is no container of its own is no work for the garbage collector.
        self._done: OrderedDict[str, None] = OrderedDict()
        self._open: OrderedDict[str, None] = OrderedDict()
        self._cache: OrderedDict[tuple[str, str], tuple[float, Mapping[str, Any], str]] = OrderedDict()

    async def begin(
        self, record: RunRecord, bundle: str = "", durability: Durability = "async", *, in_turn: bool = False
    ) -> None:
        """Make a new run known."""
        record.begun = record.changed = time.time()
        self._records[record.run_id] = record
        self._events.setdefault(record.run_id, [])

    async def begun(self, run_id: str) -> None:
        """Nobody else can begin one."""

    async def take(self, run_id: str, durability: Durability = "async", *, in_turn: bool = False) -> RunRecord:
        """The run, which no other process can have."""
        if run_id not in self._records:
            raise unknown_run(run_id)
        await self.end(run_id, "running")
        return self._records[run_id]

    def writer(self, run_id: str, blobs: Callable[[str], bytes | None] | None = None) -> Callable[[Record], None]:
        """The `extend` of the run's list. Bytes stay with the graph."""
        return self._events.setdefault(run_id, []).extend

    def watch(self, run_id: str, lost: Callable[[str], None]) -> None:
        """Nobody else can write it."""

    async def flush(self, run_id: str, *, safe: bool = False) -> None:
        """Nothing to wait for."""

    async def end(self, run_id: str, status: Status) -> None:
        """Set the status, and forget the oldest runs beyond what is kept."""
        record = self._records[run_id]
        record.status, record.changed = status, time.time()
        self._done.pop(run_id, None)
        self._open.pop(run_id, None)
        if status == "running":
            return
        kept, most = (self._done, self._keep) if status == "done" else (self._open, self._keep_open)
        kept[run_id] = None
        while len(kept) > most:
            oldest, _ = kept.popitem(last=False)
            del self._records[oldest], self._events[oldest]

    async def record(self, run_id: str) -> RunRecord | None:
        """What is known of a run."""
        return self._records.get(run_id)

    async def events(self, run_id: str) -> Sequence[Event]:
        """The journal, event by event."""
        fields = self._events.get(run_id, [])
        return [Event(*fields[at : at + FIELDS]) for at in range(0, len(fields), FIELDS)]

    def blob(self, digest: str, tenant: str = "") -> bytes | None:
        """None: they are where they were attached."""
        return None

    async def bundle(self, run_id: str) -> str:
        """Nothing is kept: a run ends with the process, and so does its graph."""
        return ""

    async def adopt(self, run_id: str, version: str, bundle: str) -> None:
        """Let a run belong to another version of its graph."""
        self._records[run_id].version = version

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
        wanted = {"thread_id": thread_id, "status": status, "tenant": tenant, "graph": graph}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        found = [
            record
            for record in self._records.values()
            if all(getattr(record, name) == value for name, value in wanted.items())
        ]
        return found if limit is None else found[len(found) - min(limit, len(found)) :]

    async def crashed(self) -> Sequence[RunRecord]:
        """None: what crashes takes its store with it."""
        return ()

    async def cached(self, key: str, tenant: str = "") -> Mapping[str, Any] | None:
        """A cached result that is still fresh."""
        found = self._cache.get((tenant, key))
        if found is None or found[0] < time.monotonic():
            self._cache.pop((tenant, key), None)
            return None
        return found[1]

    async def cache(self, key: str, writes: Mapping[str, Any], ttl: float, *, run_id: str, tenant: str = "") -> None:
        """Keep a result; the oldest make room."""
        self._cache[tenant, key] = (time.monotonic() + ttl, writes, run_id)
        while len(self._cache) > self._keep_cached:
            self._cache.popitem(last=False)

    async def delete(
        self,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        user: str | None = None,
        tenant: str | None = None,
    ) -> Removed:
        """Remove runs and what was cached from them."""
        if run_id is not None:
            gone = {run_id} & self._records.keys()
        elif thread_id is not None:
            gone = {one.run_id for one in await self.runs(thread_id=thread_id, tenant=tenant or "")}
        elif tenant is not None:
            gone = {one.run_id for one in await self.runs(tenant=tenant)}
        else:
            raise JournalError("what is to be deleted: a run, a thread or a tenant?")
        if user is not None:
            gone = {run for run in gone if self._records[run].user == user}
        whole = tenant if run_id is None and thread_id is None and user is None else None
        cached = [key for key, (_, _, run) in self._cache.items() if run in gone or key[0] == whole]
        for key in cached:
            del self._cache[key]
        for run in gone:
            del self._records[run], self._events[run]
            self._done.pop(run, None)
            self._open.pop(run, None)
        return Removed(runs=len(gone), cached=len(cached))

    async def gc(self) -> Removed:
        """Remove cached results that are over; runs beyond those that are kept are removed as others end."""
        now = time.monotonic()
        over = [key for key, (until, _, _) in self._cache.items() if until < now]
        for key in over:
            del self._cache[key]
        return Removed(cached=len(over))

    async def close(self) -> None:
        """Nothing to let go of."""
