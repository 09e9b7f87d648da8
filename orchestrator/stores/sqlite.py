"""The durable store in a SQLite file, beside the graph unless said otherwise."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.localdata import BUSY, make_file
from ragweave.orchestrator.stores.database import MIGRATIONS, Cursor

# Numbers are never used again: a worker that lost a run long ago must not find another one under its number.
_WORDS = {"serial": "id INTEGER PRIMARY KEY AUTOINCREMENT", "bytes": "BLOB", "real": "REAL"}


class SqliteDatabase:
    """One file, in WAL mode: many readers beside one writer. Several processes may use it at once.

    A commit is safe when the process is killed. Against a power cut it is safe if it has to be (around effects), or
    always if `full`.
    """

    def __init__(self, path: Path, *, full: bool = False) -> None:
        self.path = path
        self.shown = str(path)
        self._full = full
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.Lock()
        self._safe = full

    def exists(self) -> bool:
        """True if there is a file."""
        return self.path.is_file()

    def open(self) -> None:
        """Make or open the file."""
        if self._writer is not None:
            return
        try:
            make_file(self.path)
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None
        with self._explained():
            connection = self._connect()
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._writer = connection

    @contextlib.contextmanager
    def writing(self, *, safe: bool = False, alone: bool = False) -> Iterator[Cursor]:
        """A transaction of the one writer: no other one runs meanwhile, so that `alone` is always given."""
        assert self._writer is not None
        connection = self._writer
        with self._explained():
            if self._safe != (safe or self._full):
                self._safe = safe or self._full
                connection.execute(f"PRAGMA synchronous = {'FULL' if self._safe else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteCursor(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[Cursor]:
        """A view of the file as it is now."""
        with self._reading, self._explained():
            if self._reader is None:
                self._reader = self._connect()
                self._migrate_if_old(self._reader)
            self._reader.execute("BEGIN")
            try:
                yield SqliteCursor(self._reader)
            finally:
                self._reader.execute("ROLLBACK")

    def shrink(self, *, thorough: bool = False) -> int:
        """Move everything into the main file, and give free pages back. If `thorough`, the file is written anew: where
        SQLite moved rows from one page to another, it leaves copies behind that `secure_delete` does not see."""
        assert self._writer is not None
        with self._explained():
            before = self._size()
            # `execute` would stop at the first page.
            self._writer.executescript("VACUUM" if thorough else "PRAGMA incremental_vacuum")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return max(before - self._size(), 0)

    def close(self) -> None:
        """Let go of the file; SQLite then puts what is left in its log into the main file."""
        with self._reading:
            reader, self._reader = self._reader, None
            writer, self._writer = self._writer, None
        for connection in (reader, writer):
            if connection is not None:
                connection.close()

    def _size(self) -> int:
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=BUSY, isolation_level=None, check_same_thread=False)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA secure_delete = ON")
        if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise self._unusable("its file system does not allow the write-ahead log")
        self._migrate_if_old(connection)
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._full else 'NORMAL'}")
        self._safe = self._full

    def _migrate_if_old(self, connection: sqlite3.Connection) -> None:
        newest = len(MIGRATIONS)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > newest:
            raise self._unusable(f"a newer ragweave has written it (format {version}, this one knows {newest})")
        if version == newest:
            return
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        try:
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    # Another type than INTEGER would put an index of the numbers beside the table.
                    made = statement.format(**_WORDS).replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
                    connection.execute(made)
            connection.execute(f"PRAGMA user_version = {newest}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._unusable(str(error)) from None

    def _unusable(self, reason: str) -> JournalError:
        return JournalError(
            f"the runs cannot be kept in {self.shown!r}: {reason}",
            hint="check the folder, name another file with store: {type: sqlite, path: …}, or keep runs in memory with "
            "store: {type: memory} or RAGWEAVE_STORE=memory in the environment",
        )


class SqliteCursor:
    """Statements of one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query finds."""
        return self._connection.execute(sql, values).fetchall()

    def run(self, sql: str, *values: Any) -> int:
        """How many rows a statement has changed."""
        return self._connection.execute(sql, values).rowcount

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """A statement for each of these rows."""
        self._connection.executemany(sql, rows)

    def keep(self, rows: Sequence[tuple[int, bytes, bytes]]) -> set[tuple[int, bytes]]:
        """Insert values that are not there; those that were not."""
        sql = "INSERT INTO stored (tenant, hash, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        added = set()
        for tenant, name, body in rows:
            done = self._connection.execute(sql, (tenant, name, body))
            if done.rowcount:
                self._connection.execute("INSERT INTO uses (id, refs) VALUES (?, 0)", (done.lastrowid,))
                added.add((tenant, name))
        return added

    def advance(self, rows: Sequence[tuple[int, int, int, float]]) -> set[int]:
        """Move runs on whose fence is still the same."""
        sql = "UPDATE runs SET head = ?, until = ? WHERE id = ? AND fence = ?"
        execute = self._connection.execute
        return {run for run, fence, head, until in rows if execute(sql, (head, until, run, fence)).rowcount}

    def queue(self, names: Iterable[str]) -> None:
        """Nothing to wait for: only one transaction writes at a time."""

    def now(self) -> float:
        """The time of this machine, which all processes of the file share."""
        return time.time()
