"""Stores: where journals and cached results live. `Store` is the contract; `memory` is the one that needs no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ragweave.orchestrator.running.events import Event, Record

Status = Literal["running", "done", "parked", "failed", "cancelled"]


@dataclass(slots=True)
class RunRecord:
    """What a store knows of a run beside its events."""

    run_id: str
    thread_id: str = ""
    graph: str = ""
    """The graph's name."""
    status: Status = "running"
    inputs: Mapping[str, Any] = field(default_factory=dict)
    user: str = ""
    """For whom it was started; empty if that was not said."""


class Store(Protocol):
    """Keeps runs. Everything but `writer`'s function may wait for a disk or a network; none may block the event
    loop."""

    immediate: bool
    """True if no method of this store ever waits."""

    async def begin(self, record: RunRecord) -> None:
        """Make a new run known. Its events follow through `writer`."""

    def writer(self, run_id: str) -> Callable[[Record], None]:
        """A function that appends a record to this run's journal, in order, at once and without waiting."""

    async def flush(self, run_id: str) -> None:
        """Return when everything written so far is as durable as this store makes it."""

    async def end(self, run_id: str, status: Status) -> None:
        """Set the status of a run, after a flush."""

    async def record(self, run_id: str) -> RunRecord | None:
        """What is known of a run, or None."""

    async def events(self, run_id: str) -> Sequence[Event]:
        """The journal of a run in order; empty for an unknown one."""

    async def runs(self, *, thread_id: str | None = None, status: Status | None = None) -> Sequence[RunRecord]:
        """Known runs, oldest first, of one thread or in one status if asked."""

    async def cached(self, key: str) -> Mapping[str, Any] | None:
        """A cached result that is still fresh, or None."""

    async def cache(self, key: str, writes: Mapping[str, Any], ttl: float) -> None:
        """Keep a result for `ttl` seconds."""

    async def close(self) -> None:
        """Flush and let go of everything."""
