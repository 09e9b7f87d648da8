"""Turns of conversations in a SQLite file, or in this process alone; every row has its tenant, user and thread."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

from ragweave.orchestrator.contracts import Scope
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.localdata import make_file
from ragweave.orchestrator.stores.packing import squeeze, unsqueeze

SPARE = 100
"""Turns that are kept beyond those that are shown: a run that is resumed that late still finds that it has written."""
SWEEP_EVERY = 64
"""After so many turns, threads beyond `max_threads` are forgotten."""
PACK_FROM = 512
"""Bytes from which on a turn is compressed: two pages of the file then hold what three would."""
_BUSY = 10.0
_VERSION = 2

_TABLE = """
CREATE TABLE IF NOT EXISTS turns (
    collection TEXT NOT NULL, tenant TEXT NOT NULL, user TEXT NOT NULL, thread TEXT NOT NULL,
    number INTEGER NOT NULL, key TEXT NOT NULL, messages TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (collection, tenant, user, thread, number),
    UNIQUE (collection, tenant, user, thread, key)
)
"""
# A turn is longer than what SQLite keeps well in an index, which a table without row numbers is: half the file.
_AGAIN = ("ALTER TABLE turns RENAME TO old", _TABLE, "INSERT INTO turns SELECT * FROM old", "DROP TABLE old")
_HERE = "collection = ? AND tenant = ? AND user = ? AND thread = ?"
_NEXT = f"SELECT coalesce(max(number), 0) + 1 FROM turns WHERE {_HERE}"


class Turns:
    """Numbered turns by scope. All methods block, for at most a few milliseconds; any thread may call them.

    The file is made at the first write: what is only read leaves no trace.
    """

    def __init__(self, path: Path | None, collection: str, max_threads: int) -> None:
        self._path, self._collection, self._max_threads = path, collection, max_threads
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._added = 0

    def add(self, scope: Scope, messages: str, key: str, keep: int) -> bool:
        """Put a turn behind the last one and drop those more than `keep` (and some) ago; False if `key` was there."""
        here = (self._collection, *scope)
        with self._lock:
            connection = self._open(write=True)
            assert connection is not None
            with self._explained(), connection:
                connection.execute("BEGIN IMMEDIATE")
                if connection.execute(f"SELECT 1 FROM turns WHERE {_HERE} AND key = ?", (*here, key)).fetchone():
                    return False
                number = connection.execute(_NEXT, here).fetchone()[0]
                row = (*here, number, key, _packed(messages), time.time())
                connection.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
                connection.execute(f"DELETE FROM turns WHERE {_HERE} AND number <= ?", (*here, number - keep - SPARE))
                self._added += 1
                if self._added % SWEEP_EVERY == 0:
                    self._sweep(connection)
        return True

    def last(self, scope: Scope, count: int) -> list[str]:
        """The newest turns, the oldest of them first."""
        with self._lock:
            connection = self._open(write=False)
            if connection is None:
                return []
            with self._explained():
                rows = connection.execute(
                    f"SELECT messages FROM turns WHERE {_HERE} ORDER BY number DESC LIMIT ?",
                    (self._collection, *scope, count),
                ).fetchall()
        return [_unpacked(row[0]) for row in reversed(rows)]

    def seen(self) -> int:
        """A number that changes when another connection has written the file; -1 while there is none."""
        with self._lock:
            connection = self._open(write=False)
            if connection is None:
                return -1
            with self._explained():
                return int(connection.execute("PRAGMA data_version").fetchone()[0])

    def delete(self, scope: Scope) -> int:
        """Drop all turns of a scope, and the bytes that they took; how many there were."""
        with self._lock:
            connection = self._open(write=False)
            if connection is None:
                return 0
            with self._explained(), connection:
                connection.execute("BEGIN IMMEDIATE")
                count = connection.execute(f"DELETE FROM turns WHERE {_HERE}", (self._collection, *scope)).rowcount
            if self._path is not None:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _sweep(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "DELETE FROM turns WHERE (collection, tenant, user, thread) IN (SELECT collection, tenant, user, thread "
            "FROM turns WHERE collection = ? GROUP BY tenant, user, thread ORDER BY max(at) DESC LIMIT -1 OFFSET ?)",
            (self._collection, self._max_threads),
        )

    def _open(self, *, write: bool) -> sqlite3.Connection | None:
        """The connection; None if there is no file and none is needed."""
        if self._connection is None:
            if self._path is not None:
                if not write and not self._path.exists():
                    return None
                try:
                    make_file(self._path)
                except OSError as error:
                    raise self._unusable(error.strerror or str(error)) from None
            with self._explained():
                connection = sqlite3.connect(
                    self._path or ":memory:", timeout=_BUSY, isolation_level=None, check_same_thread=False
                )
                try:
                    self._prepare(connection)
                except BaseException:
                    connection.close()
                    raise
            self._connection = connection
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise self._unusable(f"it was written by a newer version of ragweave (format {version})")
        connection.execute("PRAGMA secure_delete = ON")
        if version < _VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            for statement in (_AGAIN if version == 1 else (_TABLE,)) if version < _VERSION else ():
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")
        connection.execute("PRAGMA synchronous = NORMAL")

    def _explained(self) -> _Explained:
        return _Explained(self)

    def _unusable(self, reason: str) -> ResourceError:
        return ResourceError(
            f"the memory file {str(self._path)!r} cannot be used: {reason}",
            hint='check its folder, or keep turns in this process alone with file: ""',
        )


def _packed(text: str) -> str | bytes:
    data = text.encode()
    return squeeze(data) if len(data) >= PACK_FROM else text


def _unpacked(stored: str | bytes) -> str:
    return stored if isinstance(stored, str) else unsqueeze(stored).decode()


class _Explained:
    """Turns an error of SQLite into one that names the file; a busy file is one that may pass."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            unusable = self._turns._unusable(str(error))
            unusable.transient = "locked" in str(error) or "busy" in str(error)
            raise unusable from None
