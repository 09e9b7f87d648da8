"""Questions to a SQLite file that cannot change it, read beside its tables, or run for long.

SQLite asks an authorizer about every table, column and function while it compiles a statement, so that views, common
table expressions and odd spellings are judged as SQLite itself reads them. Everything is denied but what is listed.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from pydantic import Field

from ragweave.orchestrator.errors import ResourceError, ToolError, did_you_mean
from ragweave.tools.sql.rows import QuerySettings, Rows, missing_tables

LARGEST_VALUE = 500_000
"""Bytes of one value or row: no single call of a function can be stopped, so none may work on more."""
STEPS = 1000
"""Instructions of SQLite's machine between two looks at the clock."""

_FUNCTIONS = """
abs avg ceil ceiling char coalesce concat concat_ws count cume_dist current_date current_time current_timestamp date
datetime dense_rank exp first_value floor format glob group_concat hex ifnull iif instr json json_array
json_array_length json_extract json_group_array json_group_object json_object json_quote json_type json_valid
julianday lag last_value lead length like likelihood likely ln log log10 log2 lower ltrim max min mod nth_value ntile
nullif octet_length percent_rank pi pow power printf quote random rank replace round row_number rtrim sign sqrt
strftime string_agg substr substring sum time timediff total trim trunc typeof unicode unixepoch unlikely upper
-> ->> bm25 highlight snippet match median percentile
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""What a query may call: functions that compute; none that load code or touch files."""
_TABLE_FUNCTIONS = frozenset({"json_each", "json_tree", "generate_series"})
_SHADOWS = ("data", "idx", "content", "docsize", "config", "node", "parent", "rowid", "segments", "segdir", "stat")
_ACTIONS = {
    sqlite3.SQLITE_ATTACH: "ATTACH", sqlite3.SQLITE_DETACH: "DETACH", sqlite3.SQLITE_PRAGMA: "PRAGMA",
    sqlite3.SQLITE_INSERT: "INSERT", sqlite3.SQLITE_UPDATE: "UPDATE", sqlite3.SQLITE_DELETE: "DELETE",
    sqlite3.SQLITE_TRANSACTION: "a transaction", sqlite3.SQLITE_SAVEPOINT: "a savepoint",
    sqlite3.SQLITE_ANALYZE: "ANALYZE", sqlite3.SQLITE_REINDEX: "REINDEX",
}  # fmt: skip
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: LARGEST_VALUE, sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200, sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50, sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000, sqlite3.SQLITE_LIMIT_VDBE_OP: 250_000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 10, sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}  # fmt: skip


class SqliteQueries(QuerySettings):
    """A SQLite file whose tables may be read."""

    path: Path = Field(description="The database file.")
    immutable: bool = Field(
        False, description="The file never changes while it is used: no locks are taken, and none are needed."
    )

    async def query(self, sql: str) -> Rows:
        """The rows of one SELECT. Raises ToolError for anything else, and for what takes longer than `timeout`."""
        with self._open() as connection:
            working = asyncio.create_task(asyncio.to_thread(self._ask, connection, self.check(sql)))
            try:
                # A call of a function cannot be interrupted: it is waited for below, and LARGEST_VALUE bounds it.
                return await asyncio.wait_for(asyncio.shield(working), self.timeout + 1)
            except TimeoutError:
                raise self.slow() from None
            finally:
                if not working.done():
                    connection.interrupt()
                    await asyncio.wait([working])

    async def describe(self) -> str:
        """The tables with their columns, keys and types, for a model that is to write queries."""
        return await asyncio.to_thread(self._describe)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self.path.is_file():
            raise ResourceError(f"there is no database {str(self.path)!r}")
        # The whole path is quoted: a `?` in it would begin other settings.
        options = "mode=ro" + ("&immutable=1" if self.immutable else "")
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(self.path.resolve()))}?{options}",
                uri=True,
                check_same_thread=False,
                isolation_level=None,
                timeout=self.timeout,
            )
        except sqlite3.Error as error:
            raise ResourceError(f"the database {str(self.path)!r} cannot be opened: {error}") from None
        with contextlib.closing(connection):
            yield connection

    def _ask(self, connection: sqlite3.Connection, sql: str) -> Rows:
        guard = self._guarded(connection)
        try:
            cursor = connection.execute(sql)
            if cursor.description is None:
                raise ToolError("only SELECT is allowed")
            return self.cut([column[0] for column in cursor.description], cursor)
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            raise self._told(error, guard) from None

    def _guarded(self, connection: sqlite3.Connection) -> _Guard:
        """The guard of a connection. What SQLite runs from here on is denied unless the guard lets it pass."""
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            there = _tables(connection)
            for name in _TABLE_FUNCTIONS:  # the first use of one declares it, which the guard would take for a change
                with contextlib.suppress(sqlite3.OperationalError):
                    connection.execute(f"SELECT 1 FROM {name}(NULL) LIMIT 1").fetchall()
        except sqlite3.Error as error:
            raise ResourceError(
                f"the database {str(self.path)!r} cannot be read: {error}",
                hint="in a folder that cannot be written to, a database in WAL mode needs `immutable: true`",
            ) from None
        missing_tables(self.tables, there, str(self.path))
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        guard = _Guard(there, self.tables)
        connection.set_authorizer(guard)
        end = time.monotonic() + self.timeout
        connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
        return guard

    def _told(self, error: Exception, guard: _Guard) -> ToolError:
        text = str(error)
        if "interrupted" in text:
            return self.slow()
        if guard.reason:
            return guard.reason
        if "one statement" in text:
            return ToolError("one query holds one statement", hint="leave out what stands after the semicolon")
        if "too big" in text:
            return ToolError(f"a value has more than {LARGEST_VALUE:,} bytes", hint="use substr, or leave it out")
        if (column := text.partition("no such column: ")[2]) and (known := guard.columns_like(column)):
            return ToolError(f"the query cannot be run: {text}{known}")
        if name := text.partition("no such table: ")[2]:
            return ToolError(f"the query cannot be run: {text}{did_you_mean(name, guard.open)}")
        return ToolError(f"the query cannot be run: {text}")

    def _describe(self) -> str:
        with self._open() as connection:
            there = _tables(connection)
            missing_tables(self.tables, there, str(self.path))
            wanted = {name.lower() for name in self.tables}
            shown = [name for name in there if not wanted or name.lower() in wanted]
            return "\n\n".join(_described(connection, name, there[name].kind) for name in shown)


class _Table:
    def __init__(self, name: str, kind: str, columns: list[str]) -> None:
        self.name, self.kind, self.columns = name, kind, columns


def _tables(connection: sqlite3.Connection) -> dict[str, _Table]:
    """The tables and views of the file, without those that SQLite keeps for itself."""
    found = {}
    listed = connection.execute("SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY rowid")
    for name, kind in listed.fetchall():
        if not str(name).lower().startswith("sqlite_"):
            columns = connection.execute("SELECT name FROM pragma_table_info(?)", (name,)).fetchall()
            found[str(name)] = _Table(str(name), str(kind), [str(column) for (column,) in columns])
    return found


class _Guard:
    """SQLite's question "may this be done?", answered; `reason` is what was denied last."""

    def __init__(self, there: dict[str, _Table], wanted: tuple[str, ...]) -> None:
        self._tables = there
        names = {name.lower() for name in there}
        chosen = {name.lower() for name in wanted} or names
        self.open = sorted(name for name in there if name.lower() in chosen)
        # An index for words is a virtual table that reads tables of its own, as the same user.
        shadows = {f"{name}_{suffix}" for name in chosen for suffix in _SHADOWS} & names
        self._readable = chosen | shadows | _TABLE_FUNCTIONS
        self._known = names
        self.reason: ToolError | None = None

    def __call__(self, action: int, one: str | None, two: str | None, _database: str | None, view: str | None) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            return self._read(str(one), str(two), view)
        if action == sqlite3.SQLITE_FUNCTION:
            if str(two).lower() in FUNCTIONS:
                return sqlite3.SQLITE_OK
            return self._deny(f"the function {two!r} is not open", did_you_mean(str(two), FUNCTIONS))
        if action == sqlite3.SQLITE_PRAGMA and (one, two) == ("data_version", None):  # asked by indexes for words
            return sqlite3.SQLITE_OK
        return self._deny(f"{_ACTIONS.get(action, 'what this statement does')} is not allowed", "; only SELECT is")

    def _read(self, table: str, column: str, view: str | None) -> int:
        name = table.lower()
        if name in self._readable or (view and view.lower() in self._readable and name in self._known):
            return sqlite3.SQLITE_OK
        # `count(*)` reads no column, and of a common table expression SQLite then gives the name as if it were a table.
        own = name in self._known or name.startswith(("sqlite_", "pragma_", "dbstat", "bytecode", "tables_used", "fts"))
        if not column and not own:
            return sqlite3.SQLITE_OK
        return self._deny(f"the table {table!r} is not open", did_you_mean(table, self.open))

    def _deny(self, what: str, more: str) -> int:
        self.reason = ToolError(what + more)
        return sqlite3.SQLITE_DENY

    def columns_like(self, column: str) -> str:
        """What could have been meant by a column that is not there."""
        columns = {one for name in self.open for one in self._tables[name].columns}
        return did_you_mean(column.rpartition(".")[2], columns)


def _described(connection: sqlite3.Connection, table: str, kind: str) -> str:
    lines = [f"{kind} {_quoted(table)}"]
    keys = {
        str(row[3]).lower(): f"{_quoted(row[2])}.{_quoted(row[4])}" if row[4] else _quoted(row[2])
        for row in connection.execute(f"PRAGMA foreign_key_list({_quoted(table, always=True)})")
    }
    for _, name, of_type, required, _, primary in connection.execute(
        f"PRAGMA table_info({_quoted(table, always=True)})"
    ):
        words = [_quoted(name), str(of_type).upper(), "primary key" if primary else "not null" if required else ""]
        if str(name).lower() in keys:
            words.append(f"-> {keys[str(name).lower()]}")
        lines.append("  " + " ".join(filter(None, words)))
    return "\n".join(lines)


def _quoted(name: str, *, always: bool = False) -> str:
    """A name as it must be written in a query."""
    if not always and name.isascii() and name.isidentifier():
        return name
    return '"' + str(name).replace('"', '""') + '"'
