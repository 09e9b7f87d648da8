"""The durable store in a PostgreSQL database, for graphs that several machines serve. Needs the extra `postgres`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import threading
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeVar

from ragweave.orchestrator.errors import JournalError, MissingExtra
from ragweave.orchestrator.stores.addresses import read_address
from ragweave.orchestrator.stores.database import MIGRATIONS, Cursor
from ragweave.orchestrator.stores.ownloop import OwnLoop

READERS = 4
"""Connections that read at the same time."""
CONNECT = 10.0
"""Seconds to wait for a connection."""
ANSWER = 60.0
"""Seconds to wait for the answer to one statement."""
AT_ONCE = 16 << 20
"""Bytes of values that are sent in one statement."""
OLDEST = 13
"""The oldest server that can be asked how a transaction ended."""

_WORDS = {"serial": "id BIGSERIAL PRIMARY KEY", "bytes": "BYTEA", "real": "DOUBLE PRECISION"}
_PASSING = ("08", "40", "53", "57P", "57014", "55P03", "25P03")
"""SQLSTATEs, or how they begin, of what may go well the next time: lost connections, deadlocks, a server that stops."""
_T = TypeVar("_T")

# Everything that a transaction needs is set within it, and gone with it: poolers that give each transaction another
# connection are no danger. A worker that hangs in the middle of one must not hold the others up for ever.
_BEGIN = "BEGIN; SET LOCAL lock_timeout = '20s'; SET LOCAL idle_in_transaction_session_timeout = '60s'"
_SAFE = "; SET LOCAL synchronous_commit = on"
_VIEW = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_CLOCK = "extract(epoch FROM clock_timestamp())::float8"
_PATH = "set_config('search_path', $1, true)"
_SHARED = f"SELECT {_PATH}, pg_advisory_xact_lock_shared($2), pg_current_xact_id()::text, {_CLOCK}"
_ALONE = f"SELECT {_PATH}, pg_advisory_xact_lock($2), pg_current_xact_id()::text, {_CLOCK}"
_LOOK = f"SELECT {_PATH}, {_CLOCK}"
_QUEUE = "SELECT pg_advisory_xact_lock(given.key) FROM unnest($1::bigint[]) AS given (key)"
_OUTCOME = "SELECT pg_xact_status($1::text::xid8)"
# Not by to_regclass, which remembers what it has once not found, even where one has waited for it to be made.
_MADE = (
    "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = $1 AND c.relname = 'versions')"
)
_VERSION = "SELECT coalesce(max(version), 0) FROM versions"
_TABLES = "SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') FROM pg_tables WHERE schemaname = $1"
_SIZE = (
    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'"
)
_KEEP = (
    "WITH added AS (INSERT INTO stored (tenant, hash, body) "
    "SELECT tenant, hash, body FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS given (tenant, hash, body) "
    "ORDER BY tenant, hash ON CONFLICT DO NOTHING RETURNING id, tenant, hash), "
    "counted AS (INSERT INTO uses (id, refs) SELECT id, 0 FROM added) SELECT tenant, hash FROM added"
)
_ADVANCE = (
    "UPDATE runs SET head = given.head, until = given.until "
    "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::float8[]) AS given (id, fence, head, until) "
    "WHERE runs.id = given.id AND runs.fence = given.fence RETURNING runs.id"
)


class PostgresDatabase:
    """One schema of a database, which any number of workers on any machines use at once.

    `dsn` is `postgresql://user:password@host:5432/database`; what it leaves out comes from the variables that
    PostgreSQL's own programs read (PGHOST, PGPASSWORD, …) and `~/.pgpass`. The tables are made in `schema` at the first
    use, and brought up to date. Commits are as safe as the server's `synchronous_commit` makes them, those that have to
    be safe at least as `on`. The leases of all workers go by the server's clock.

    Raises MissingExtra without asyncpg, JournalError for a `dsn` or a `schema` that is none.
    """

    def __init__(self, dsn: str, *, schema: str = "ragweave") -> None:
        self._driver = driver = _driver()
        self._errors = (driver.PostgresError, driver.InterfaceError, driver.InternalClientError, OSError)
        self._dsn = dsn
        self.shown, self._secrets = read_address(dsn)
        if not re.fullmatch("[a-z_][a-z0-9_]{0,62}", schema):
            raise JournalError(
                f"{schema!r} cannot be the name of a schema", hint="use up to 63 small letters, digits and underscores"
            )
        self.schema = schema
        self._path = f'"{schema}", pg_temp'
        self._key = self.lock_of("")
        """Of the advisory lock that commits share, and that who removes values has alone."""
        self._lock = threading.Lock()
        self._loop: OwnLoop | None = None
        self._usable = False
        """True once the tables have been found good: what fails then may go well the next time."""
        self._weak = False
        self._writer: Any = None
        self._idle: list[Any] = []
        self._readers = threading.BoundedSemaphore(READERS)

    def lock_of(self, name: str) -> int:
        """The number of an advisory lock of this schema."""
        digest = hashlib.sha256(f"ragweave {self.schema}{name and chr(0)}{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    def exists(self) -> bool:
        """True: only asking the server could tell."""
        return True

    def open(self) -> None:
        """Connect, and bring the tables to the newest version."""
        if self._writer is not None and not self._writer.is_closed():
            return
        with self._explained():
            self._writer = self._connect()

    @contextlib.contextmanager
    def writing(self, *, safe: bool = False, alone: bool = False) -> Iterator[Cursor]:
        """A transaction. None that may name values runs while one that removes them is `alone`."""
        self.open()
        connection, do = self._writer, self._do
        with self._explained():
            try:
                do(connection.execute(_BEGIN + _SAFE if safe and self._weak else _BEGIN))
                opening = _ALONE if alone else _SHARED
                _, _, number, now = do(connection.fetchrow(opening, self._path, self._key))
                yield PostgresCursor(self, connection, now)
            except BaseException:
                self._undo(connection)
                raise
            try:
                do(connection.execute("COMMIT"))
            except BaseException:
                self._drop(connection)
                if not self._committed(number):
                    raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[Cursor]:
        """A view of everything that is committed now."""
        with self._readers, self._explained():
            connection, now = self._view()
            try:
                yield PostgresCursor(self, connection, now)
            finally:
                self._undo(connection)
                if not connection.is_closed():
                    self._idle.append(connection)

    def shrink(self, *, thorough: bool = False) -> int:
        """Give the room of deleted rows back: to the disk at the end of a table, elsewhere to rows to come. Copies of
        them in the server's log and in backups are the server's to remove."""
        self.open()
        with self._explained():
            before = self._do(self._writer.fetchval(_SIZE, self.schema))
            tables = self._do(self._writer.fetchval(_TABLES, self.schema))
            self._do(self._writer.execute(f"VACUUM {tables}", timeout=3600.0))
            after = self._do(self._writer.fetchval(_SIZE, self.schema))
        return max(int(before) - int(after), 0)

    def close(self) -> None:
        """Let go of the connections."""
        with contextlib.ExitStack() as nobody_reads:
            for _ in range(READERS):
                nobody_reads.enter_context(self._readers)
            nobody_reads.enter_context(self._lock)
            if self._loop is None:
                return
            for connection in (*self._idle, self._writer):
                if connection is not None and not connection.is_closed():
                    with contextlib.suppress(Exception):
                        self._do(connection.close(timeout=5.0))
            self._loop.stop()
            self._loop, self._writer, self._idle = None, None, []

    def _drop(self, connection: Any) -> None:
        """Let go of a connection without a word to the server: it may be lost."""

        async def drop() -> None:
            connection.terminate()

        self._do(drop())

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What a coroutine of a connection gives."""
        loop = self._loop
        if loop is None:
            work.close()
            raise self._unusable("it was closed")
        return loop.do(work)

    def _connect(self) -> Any:
        """A connection to a database whose tables are of the newest version."""
        with self._lock:
            if self._loop is None:
                self._loop = OwnLoop()
            connection = self._loop.do(
                self._driver.connect(
                    self._dsn, timeout=CONNECT, command_timeout=ANSWER, server_settings={"application_name": "ragweave"}
                )
            )
            try:
                if not self._usable:
                    self._loop.do(self._prepare(connection))
                    self._usable = True
            except BaseException:
                self._drop(connection)
                raise
            return connection

    async def _prepare(self, connection: Any) -> None:
        """Make the tables, or bring them up to date, while nobody else does, and nobody writes."""
        if connection.get_server_version().major < OLDEST:
            raise self._unusable(f"PostgreSQL is older than version {OLDEST}")
        self._weak = await connection.fetchval("SELECT current_setting('synchronous_commit')") == "off"
        if await self._version(connection) == len(MIGRATIONS):
            return
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", self._key)
            version = await self._version(connection)
            # Asked first: who may use a schema need not have the right to make one.
            if not await connection.fetchval(
                "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", self.schema
            ):
                await connection.execute(f'CREATE SCHEMA "{self.schema}"')
            await connection.execute("SELECT set_config('search_path', $1, true)", self._path)
            if version == 0:
                await connection.execute("CREATE TABLE versions (version BIGINT PRIMARY KEY)")
            for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in statements:
                    await connection.execute(statement.format(**_WORDS))
                await connection.execute("INSERT INTO versions (version) VALUES ($1)", number)

    async def _version(self, connection: Any) -> int:
        """Of the tables as they are; 0 if there are none. Raises JournalError for one that is too new."""
        if not await connection.fetchval(_MADE, self.schema):
            return 0
        async with connection.transaction():
            await connection.execute("SELECT set_config('search_path', $1, true)", self._path)
            version = int(await connection.fetchval(_VERSION))
        if version > len(MIGRATIONS):
            raise self._unusable(
                f"a newer ragweave has written it (format {version}, this one knows {len(MIGRATIONS)})"
            )
        return version

    def _view(self) -> tuple[Any, float]:
        """A connection in a transaction that reads, and the time. One that was lost in the meantime is replaced."""
        for connection in iter(self._idle_one, None):
            with contextlib.suppress(*self._errors):
                return connection, self._look(connection)
            self._drop(connection)
        connection = self._connect()
        try:
            return connection, self._look(connection)
        except BaseException:
            self._drop(connection)
            raise

    def _idle_one(self) -> Any:
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        return None

    def _look(self, connection: Any) -> float:
        self._do(connection.execute(_VIEW))
        _, now = self._do(connection.fetchrow(_LOOK, self._path))
        return float(now)

    def _undo(self, connection: Any) -> None:
        """End a transaction without a commit; a connection that cannot even do that is of no use any more."""
        try:
            self._do(connection.execute("ROLLBACK"))
        except Exception:
            self._drop(connection)

    def _committed(self, number: str) -> bool:
        """How a transaction ended whose commit was sent, and not answered."""
        try:
            self._writer = self._connect()
            for _ in range(100):
                outcome = self._do(self._writer.fetchval(_OUTCOME, number))
                if outcome != "in progress":
                    return bool(outcome == "committed")
                self._do(asyncio.sleep(0.05))
        except self._errors:
            pass
        return False

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (*self._errors, UnicodeEncodeError) as error:
            # What has no state was not said by the server: the connection is gone, or the value (a ValueError) is odd.
            state = getattr(error, "sqlstate", None)
            passing = state.startswith(_PASSING) if state else not isinstance(error, ValueError)
            passing = passing and self._usable
            raise self._unusable(str(error) or type(error).__name__, transient=passing) from None

    def _unusable(self, reason: str, *, transient: bool = False) -> JournalError:
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        return JournalError(
            f"the runs cannot be kept in {self.shown!r}: {reason}",
            hint="check the address, the server and the user's rights, or keep runs in a file with "
            "store: {type: sqlite}",
            transient=transient,
        )


class PostgresCursor:
    """Statements of one transaction."""

    def __init__(self, database: PostgresDatabase, connection: Any, now: float) -> None:
        self._connection = connection
        self._do = database._do
        self._lock_of = database.lock_of
        self._now = now

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query finds."""
        return list(map(tuple, self._do(self._connection.fetch(_numbered(sql), *values))))

    def run(self, sql: str, *values: Any) -> int:
        """How many rows a statement has changed."""
        answer: str = self._do(self._connection.execute(_numbered(sql), *values))
        return int(answer.rpartition(" ")[2])

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """A statement for each of these rows."""
        given = list(rows)
        if given:
            self._do(self._connection.executemany(_numbered(sql), given))

    def keep(self, rows: Sequence[tuple[int, bytes, bytes]]) -> set[tuple[int, bytes]]:
        """Insert values that are not there; those that were not."""
        kept: set[tuple[int, bytes]] = set()
        for part in _portions(rows):
            found = self._do(self._connection.fetch(_KEEP, *map(list, zip(*part, strict=True))))
            kept.update((tenant, name) for tenant, name in found)
        return kept

    def advance(self, rows: Sequence[tuple[int, int, int, float]]) -> set[int]:
        """Move runs on whose fence is still the same."""
        if not rows:
            return set()
        found = self._do(self._connection.fetch(_ADVANCE, *map(list, zip(*rows, strict=True))))
        return {key for (key,) in found}

    def queue(self, names: Iterable[str]) -> None:
        """Take a lock for each name, in one order for all workers; they are given back when the transaction ends."""
        keys = sorted(set(map(self._lock_of, names)))
        if keys:
            self._do(self._connection.execute(_QUEUE, keys))

    def now(self) -> float:
        """The server's time at which this transaction began, and had its lock."""
        return self._now


def _driver() -> Any:
    try:
        import asyncpg
    except ImportError:
        raise MissingExtra("the store 'postgres'", "asyncpg", "postgres") from None
    return asyncpg


@lru_cache(maxsize=512)
def _numbered(sql: str) -> str:
    """A statement with `$1`, `$2`, … for its `?`; ours have none in their quotes."""
    first, *rest = sql.split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, start=1))


def _portions(rows: Sequence[tuple[int, bytes, bytes]]) -> Iterator[list[tuple[int, bytes, bytes]]]:
    """Values in the order in which all workers insert them, in parts that are not too large for one message."""
    total = 0
    numbered = []
    for row in sorted(rows, key=lambda row: row[:2]):
        total += len(row[2])
        numbered.append((total // AT_ONCE, row))
    for _, part in groupby(numbered, key=lambda one: one[0]):
        yield [row for _, row in part]
