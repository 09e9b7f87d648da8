"""Turns of conversations in a SQLite file, or in this process alone; every row has its tenant, user and thread."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from ragweave.orchestrator.contracts import Scope
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.localdata import BUSY, make_file
from ragweave.orchestrator.memory import packs
from ragweave.orchestrator.stores import known
from ragweave.orchestrator.stores.packing import UNREADABLE
from ragweave.orchestrator.values import Message

Turn = TypeVar("Turn")

SPARE = 100
"""Turns that are kept beyond those that are shown: a run that is resumed that late still finds that it has written."""
SWEEP_EVERY = 64
"""After so many turns, threads beyond `max_threads` are forgotten."""
TOGETHER = 16
"""So many turns are put into one piece once they are there, in the row of the last of them."""
_VERSION = 3

_TABLE = """
CREATE TABLE IF NOT EXISTS turns (
    collection TEXT NOT NULL, tenant TEXT NOT NULL, user TEXT NOT NULL, thread TEXT NOT NULL,
    number INTEGER NOT NULL, key TEXT NOT NULL, messages TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (collection, tenant, user, thread, number),
    UNIQUE (collection, tenant, user, thread, key)
)
"""
_WRITTEN = """
CREATE TABLE IF NOT EXISTS written (
    collection TEXT NOT NULL, tenant TEXT NOT NULL, user TEXT NOT NULL, thread TEXT NOT NULL,
    key TEXT NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (collection, tenant, user, thread, key)
) WITHOUT ROWID
"""
"""The keys of turns that lie in the row of a later one."""
# A turn is longer than what SQLite keeps well in an index, which a table without row numbers is: half the file.
_AGAIN = ("ALTER TABLE turns RENAME TO old", _TABLE, "INSERT INTO turns SELECT * FROM old", "DROP TABLE old")
_TABLES = ("turns", "written")
_HERE = "collection = ? AND tenant = ? AND user = ? AND thread = ?"
_NEXT = f"SELECT coalesce(max(number), 0) + 1 FROM turns WHERE {_HERE}"
_SEEN = f"SELECT 1 FROM turns WHERE {_HERE} AND key = ? UNION ALL SELECT 1 FROM written WHERE {_HERE} AND key = ?"
_NEWEST = f"SELECT messages FROM turns WHERE {_HERE} AND number > (SELECT max(number) FROM turns WHERE {_HERE}) - ?"


class Turns:
    """Numbered turns by scope. All methods block, for at most a few milliseconds; any thread may call them.

    The file is made at the first write: what is only read leaves no trace.
    """

    def __init__(self, path: Path | None, collection: str, max_threads: int) -> None:
        self._path, self._collection, self._max_threads = path, collection, max_threads
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._added = 0

    def add(self, scope: Scope, messages: Sequence[Message], key: str, keep: int) -> bool:
        """Put a turn behind the last one and drop those more than `keep` (and some) ago; False if `key` was there."""
        here = (self._collection, *scope)
        turn = packs.pack(messages)
        with self._lock:
            connection = self._open(write=True)
            assert connection is not None
            with self._explained(), connection:
                connection.execute("BEGIN IMMEDIATE")
                if connection.execute(_SEEN, (*here, key, *here, key)).fetchone():
                    return False
                number = connection.execute(_NEXT, here).fetchone()[0]
                row = (*here, number, key, turn, time.time())
                connection.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
                if number % TOGETHER == 0:
                    _put_together(connection, here, number)
                for table in _TABLES:
                    old = (*here, number - keep - SPARE)
                    connection.execute(f"DELETE FROM {table} WHERE {_HERE} AND number <= ?", old)
                self._added += 1
                if self._added % SWEEP_EVERY == 0:
                    self._sweep(connection)
        return True

    def last(self, scope: Scope, count: int, read: Callable[[list[packs.Plain]], list[Turn]]) -> list[Turn]:
        """The newest turns, the oldest of them first, as `read` makes them of plain ones. Raises ResourceError for
        damaged ones."""
        turns = read([])
        seen: dict[str, str] = {}
        with self._lock:
            connection = self._open(write=False)
            if connection is None:
                return turns
            here = (self._collection, *scope)
            with self._explained(), closing(connection.cursor()) as found:
                found.execute(f"{_NEWEST} ORDER BY number", (*here, *here, count))
                # One piece after the other, so that what is only on the way takes the room of one.
                for (piece,) in found:
                    try:
                        turns += read(packs.unpack(piece, seen))
                    except UNREADABLE as error:
                        raise self.damaged(error) from None
        known.learn(scope.tenant, seen)
        return turns[-count:]

    def damaged(self, reason: Exception) -> ResourceError:
        """What is raised for a turn that is none."""
        return self._unusable(f"a turn in it is damaged: {reason}")

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
        here = (self._collection, *scope)
        known.forget()
        with self._lock:
            connection = self._open(write=False)
            if connection is None:
                return 0
            with self._explained(), connection:
                connection.execute("BEGIN IMMEDIATE")
                gone = [connection.execute(f"DELETE FROM {table} WHERE {_HERE}", here).rowcount for table in _TABLES]
            if self._path is not None:
                with self._explained():
                    # Where SQLite moved rows within the file, it left copies behind.
                    connection.execute("VACUUM")
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return sum(gone)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _sweep(self, connection: sqlite3.Connection) -> None:
        scopes = connection.execute(
            "SELECT collection, tenant, user, thread FROM turns WHERE collection = ? "
            "GROUP BY tenant, user, thread ORDER BY max(at) DESC LIMIT -1 OFFSET ?",
            (self._collection, self._max_threads),
        ).fetchall()
        for table in _TABLES:
            connection.executemany(f"DELETE FROM {table} WHERE {_HERE}", scopes)

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
                    self._path or ":memory:", timeout=BUSY, isolation_level=None, check_same_thread=False
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
            for statement in (*(_AGAIN if version == 1 else (_TABLE,)), _WRITTEN):
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


def _put_together(connection: sqlite3.Connection, here: tuple[str, ...], number: int) -> None:
    """Put the last turns into the row of the newest. By their keys it is known that the others were written."""
    those = (*here, number - TOGETHER)
    pieces = connection.execute(f"SELECT messages FROM turns WHERE {_HERE} AND number > ? ORDER BY number", those)
    piece = packs.together(body for (body,) in pieces)
    if piece is None:
        return
    others = f"{_HERE} AND number > ? AND number < ?"
    columns = "collection, tenant, user, thread, key, number"
    connection.execute(f"INSERT INTO written SELECT {columns} FROM turns WHERE {others}", (*those, number))
    connection.execute(f"DELETE FROM turns WHERE {others}", (*those, number))
    connection.execute(f"UPDATE turns SET messages = ? WHERE {_HERE} AND number = ?", (piece, *here, number))


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
