"""Stores: where journals and cached results live.

`Store` is the contract; `memory` needs no file, `sqlite` (the default of a graph that has a file) and `postgres` are
durable. A third party implements the contract, or the few methods of `Database` under `DurableStore`, and holds it
against the conformance suite in `evals/kit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from ragweave.orchestrator.running.events import Event, Record

DAY = 86400.0
KEEP_DAYS = 30.0
"""For so long runs are kept after they ended, unless somebody says otherwise."""

Status = Literal["running", "done", "parked", "failed", "cancelled"]
Durability = Literal["sync", "async", "exit"]
"""When a step is on the disk: before the next one starts, while the next one runs, or when the run ends or asks."""


@dataclass(slots=True)
class RunRecord:
    """What a store knows of a run beside its events."""

    run_id: str
    thread_id: str = ""
    graph: str = ""
    """The graph's name."""
    status: Status = "running"
    user: str = ""
    """Who it was started for; empty if nobody said."""
    tenant: str = ""
    """Whose data it is: runs, values and cached results of one tenant are never seen by another."""
    version: str = ""
    """The hash of the graph with which it was begun."""
    parent: str = ""
    """Of a fork, the run and the call from which it goes on, as `run@path`."""
    begun: float = 0.0
    """When it was begun, in seconds since 1970."""
    changed: float = 0.0
    """When its status was last set."""


class Removed(NamedTuple):
    """What a deletion has removed."""

    runs: int = 0
    values: int = 0
    """Stored texts, documents and other values that no run uses any longer."""
    cached: int = 0
    """Cached results."""
    bytes: int = 0
    """By which the files became smaller; 0 where a store cannot tell."""


class Store(Protocol):
    """Keeps runs. Everything but what `writer` gives may wait for a disk or a network; none may block the event loop.

    Only one worker at a time may write a run: `begin` and `take` give it a lease, which the store renews while the run
    goes on. Who has lost it, because it stood still for longer than the lease, is told by `watch`, and what it still
    writes is refused.
    """

    immediate: bool
    """True if no method of this store ever waits."""
    live: bool
    """True if events come back with the objects that were written; else with plain JSON, which the reader gives the
    types that the graph declares."""

    async def begin(
        self, record: RunRecord, bundle: str = "", durability: Durability = "async", *, in_turn: bool = False
    ) -> None:
        """Make a new run known, with what is kept of its graph as one text. Its events follow through `writer`.

        With `in_turn`, it goes on only while no other run of its thread does, of the same graph, tenant and user, in
        any worker that lives: else this raises ThreadTaken. If another one was faster by a moment, that shows when the
        run is first written: it is lost as others are, with a ThreadTaken, nothing of it is kept, and it may begin
        again. A store that is `immediate` lives in one process, where graphs see to it themselves.
        """

    async def begun(self, run_id: str) -> None:
        """Return when it is sure that a run which began `in_turn` goes on alone; nothing is written sooner for it.
        Raises ThreadTaken."""

    async def take(self, run_id: str, durability: Durability = "async", *, in_turn: bool = False) -> RunRecord:
        """Make this worker the one that goes on with a run; its status is then `running`. Raises RunTaken if another
        worker is still at it, JournalError if there is no such run; with `in_turn`, ThreadTaken while another run of
        its thread goes on."""

    def writer(self, run_id: str, blobs: Callable[[str], bytes | None] | None = None) -> Callable[[Record], None]:
        """A function that appends a record to this run's journal, in order, at once and without waiting. It raises
        JournalError for a value that cannot be kept.

        `blobs` finds the bytes of images, sounds and files by their SHA-256 in hexadecimal. Those that the run's values
        name are kept with it; only a store that is `live` may leave them where they are.
        """

    def watch(self, run_id: str, lost: Callable[[str], None]) -> None:
        """Call `lost`, from any thread, with the reason why this run can be written no more."""

    async def flush(self, run_id: str, *, safe: bool = False) -> None:
        """Return when everything written so far is durable; if `safe`, also against a power cut. Raises RunTaken,
        JournalError."""

    async def end(self, run_id: str, status: Status) -> None:
        """Set the status of a run and give up its lease, after a flush."""

    async def record(self, run_id: str) -> RunRecord | None:
        """What is known of a run, or None."""

    async def events(self, run_id: str) -> Sequence[Event]:
        """The journal of a run in order; empty for an unknown one. Raises JournalError for a damaged one."""

    def blob(self, digest: str, tenant: str = "") -> bytes | None:
        """Bytes that were kept with a run of this tenant, by their SHA-256; None if there are none. It may wait, and is
        called in worker threads. Raises JournalError for damaged ones."""

    async def bundle(self, run_id: str) -> str:
        """What was kept of the graph with which a run was begun: one text, as `versions` makes it; empty if nothing."""

    async def adopt(self, run_id: str, version: str, bundle: str) -> None:
        """Let a run that does not go on belong to another version of its graph."""

    async def runs(
        self,
        *,
        thread_id: str | None = None,
        status: Status | None = None,
        tenant: str | None = None,
        graph: str | None = None,
        limit: int | None = None,
    ) -> Sequence[RunRecord]:
        """Known runs that fit, oldest first; of more than `limit` the newest."""

    async def crashed(self) -> Sequence[RunRecord]:
        """Runs that are called running although their worker is gone."""

    async def cached(self, key: str, tenant: str = "") -> Mapping[str, Any] | None:
        """A cached result that is still fresh, or None."""

    async def cache(self, key: str, writes: Mapping[str, Any], ttl: float, *, run_id: str, tenant: str = "") -> None:
        """Keep a result of this run for `ttl` seconds."""

    async def delete(
        self,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        user: str | None = None,
        tenant: str | None = None,
    ) -> Removed:
        """Remove a run, a thread (of one tenant, the empty one unless given) or all of a tenant; with `user` only what
        is this user's, for threads of two users may have one id: its rows, the values that no other run uses, what was
        cached, and the bytes that they took. Raises RunTaken if one of them goes on."""

    async def gc(self) -> Removed:
        """Remove what is older than the store keeps, and what nothing refers to."""

    async def close(self) -> None:
        """Flush and let go of everything."""
