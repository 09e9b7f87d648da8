"""The store that needs no file: journals in this process's memory, the newest of them kept."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ragweave.orchestrator.running.events import Event, Record
from ragweave.orchestrator.stores import RunRecord, Status

FIELDS = len(Event.__slots__)


class MemoryStore:
    """Keeps every run that may go on (running, parked, failed, cancelled) and the last `keep` that are done.

    Runs that may go on are dropped too, the oldest first, once there are `keep_open` of them.
    """

    immediate = True

    def __init__(self, keep: int = 100, keep_open: int = 10_000, keep_cached: int = 10_000) -> None:
        self._keep, self._keep_open, self._keep_cached = keep, keep_open, keep_cached
        self._records: dict[str, RunRecord] = {}
        self._events: dict[str, list[Any]] = {}
        # Fields of all records in one flat list: what is no container of its own is no work for the garbage collector.
        self._done: OrderedDict[str, None] = OrderedDict()
        self._open: OrderedDict[str, None] = OrderedDict()
        self._cache: OrderedDict[str, tuple[float, Mapping[str, Any]]] = OrderedDict()

    async def begin(self, record: RunRecord) -> None:
        """Make a new run known."""
        self._records[record.run_id] = record
        self._events.setdefault(record.run_id, [])

    def writer(self, run_id: str) -> Callable[[Record], None]:
        """The `extend` of the run's list."""
        return self._events.setdefault(run_id, []).extend

    async def flush(self, run_id: str) -> None:
        """Nothing to wait for."""

    async def end(self, run_id: str, status: Status) -> None:
        """Set the status, and forget the oldest runs beyond what is kept."""
        self._records[run_id].status = status
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

    async def runs(self, *, thread_id: str | None = None, status: Status | None = None) -> Sequence[RunRecord]:
        """Known runs, oldest first."""
        return [
            record
            for record in self._records.values()
            if (thread_id is None or record.thread_id == thread_id) and (status is None or record.status == status)
        ]

    async def cached(self, key: str) -> Mapping[str, Any] | None:
        """A cached result that is still fresh."""
        found = self._cache.get(key)
        if found is None or found[0] < time.monotonic():
            self._cache.pop(key, None)
            return None
        return found[1]

    async def cache(self, key: str, writes: Mapping[str, Any], ttl: float) -> None:
        """Keep a result; the oldest make room."""
        self._cache[key] = (time.monotonic() + ttl, writes)
        while len(self._cache) > self._keep_cached:
            self._cache.popitem(last=False)

    async def close(self) -> None:
        """Nothing to let go of."""
