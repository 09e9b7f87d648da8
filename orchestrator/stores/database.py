"""What `DurableStore` needs of a database. Everything here blocks, and is called in worker threads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
        "INSERT INTO facts VALUES ('generation', 0)",
        "CREATE TABLE tenants ({serial}, name TEXT NOT NULL UNIQUE)",
        (
            "CREATE TABLE runs ({serial}, run TEXT NOT NULL UNIQUE, tenant BIGINT NOT NULL, person TEXT NOT NULL, "
            "thread TEXT NOT NULL, graph TEXT NOT NULL, version TEXT NOT NULL, bundle {bytes}, status TEXT NOT NULL, "
            "begun {real} NOT NULL, changed {real} NOT NULL, owner TEXT NOT NULL, until {real} NOT NULL, "
            "fence BIGINT NOT NULL, head BIGINT NOT NULL)"
        ),
        "CREATE INDEX runs_of_thread ON runs (tenant, thread)",
        "CREATE INDEX runs_by_status ON runs (status, changed)",
        # A run's segments lie one behind the other under the numbers run * 2**24 + 0, 1, 2, …
        "CREATE TABLE segments (id BIGINT PRIMARY KEY, body {bytes} NOT NULL)",
        (
            "CREATE TABLE stored ({serial}, tenant BIGINT NOT NULL, hash {bytes} NOT NULL, body {bytes} NOT NULL, "
            "UNIQUE (tenant, hash))"
        ),
        # Apart from the bodies: SQLite writes the whole of a row anew when a number in it changes.
        "CREATE TABLE uses (id BIGINT PRIMARY KEY, refs BIGINT NOT NULL)",
        "CREATE INDEX uses_none ON uses (refs) WHERE refs <= 0",
        (
            "CREATE TABLE cached (tenant BIGINT NOT NULL, key TEXT NOT NULL, run TEXT NOT NULL, "
            "expires {real} NOT NULL, body {bytes} NOT NULL, PRIMARY KEY (tenant, key))"
        ),
    ),
    ("ALTER TABLE runs ADD COLUMN parent TEXT NOT NULL DEFAULT ''",),
    # One row if what is kept is encrypted: something that only its key opens.
    ("CREATE TABLE seals (mark {bytes} NOT NULL)",),
    ("CREATE INDEX runs_going_on ON runs (thread) WHERE status = 'running' AND thread <> ''",),
)
"""What makes each version of the tables from the one before; the number of versions is the newest.

`{serial}`, `{bytes}` and `{real}` stand for what a database calls its own number, bytes and double precision.
"""


class Cursor(Protocol):
    """A transaction. Statements are constant, with `?` for the values that are bound."""

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query finds."""

    def run(self, sql: str, *values: Any) -> int:
        """How many rows a statement has changed."""

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """A statement for each of these rows of values."""

    def keep(self, rows: Sequence[tuple[int, bytes, bytes]]) -> set[tuple[int, bytes]]:
        """Insert (tenant, hash, body) into `stored`, with no references in `uses`; those that were not there before."""

    def advance(self, rows: Sequence[tuple[int, int, int, float]]) -> set[int]:
        """Set `head` and `until` of runs, given as (id, fence, head, until), whose fence is still this; their ids."""

    def queue(self, names: Iterable[str]) -> None:
        """Wait until no other transaction goes on that has named one of these; those that name them then wait for this
        one."""

    def now(self) -> float:
        """The time that leases go by: one clock for all workers of the database."""


class Database(Protocol):
    """A database with the tables of `MIGRATIONS`."""

    shown: str
    """How messages name it."""

    def exists(self) -> bool:
        """False if nothing was ever written: then reading finds nothing, and makes no file."""

    def open(self) -> None:
        """Connect, and bring the tables to the newest version. Raises JournalError for a newer one, or if it cannot be
        used."""

    def writing(self, *, safe: bool = False, alone: bool = False) -> AbstractContextManager[Cursor]:
        """A transaction that is committed at its end: `safe` against a power cut, `alone` while it removes values. It
        is undone, and raised again as a JournalError, if something goes wrong. One thread at a time uses it."""

    def reading(self) -> AbstractContextManager[Cursor]:
        """A view in which nothing changes; any thread may use it."""

    def shrink(self, *, thorough: bool = False) -> int:
        """Give the room of what was deleted back; bytes that it freed. If `thorough`, overwrite it too, every copy that
        can be reached, however long that takes."""

    def close(self) -> None:
        """Let go of the connections."""
