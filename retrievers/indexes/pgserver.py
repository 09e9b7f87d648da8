"""Connections to a PostgreSQL server with pgvector, for those who block. Needs the extra `postgres`."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from ragweave.orchestrator.errors import IndexUnusable, JournalError, MissingExtra, RagweaveError, ResourceError
from ragweave.orchestrator.stores.addresses import read_address
from ragweave.orchestrator.stores.ownloop import OwnLoop

CONNECTIONS = 8
CONNECT = 10.0
"""Seconds to wait for a connection."""
ANSWER = 60.0
"""Seconds to wait for the answer to one statement."""
OLDEST = (0, 8)
"""The oldest pgvector whose searches go on until a filter has let enough through."""

_LOST = ("08", "57P", "25P03")
"""SQLSTATEs, or how they begin, of connections that are gone: what is read may be read again."""
_PASSING = (*_LOST, "40", "53", "57014", "55P03")
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
_WRITE = "BEGIN; SET LOCAL lock_timeout = '20s'; SET LOCAL idle_in_transaction_session_timeout = '300s'; "
# All of it within the transaction, and gone with it: poolers that give each one another connection are no danger.
_PLANS = "SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_custom_plan; "
_EXTENSION = (
    "SELECT n.nspname, e.extversion FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
    "WHERE e.extname = 'vector'"
)
_AVAILABLE = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')"
_SCHEMA = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)"
_LOCK = "SELECT pg_advisory_xact_lock($1)"
_T = TypeVar("_T")


class Server:
    """The schema `namespace` of a database. `index` is for messages alone. Raises MissingExtra without asyncpg,
    ResourceError for an address that is none."""

    def __init__(self, url: str, namespace: str, index: str) -> None:
        self._driver = _driver()
        self._errors = (
            self._driver.PostgresError,
            self._driver.InterfaceError,
            self._driver.InternalClientError,
            OSError,
            UnicodeEncodeError,
        )
        self._url, self._namespace, self._index = url, namespace, index
        try:
            self.shown, self._secrets = read_address(url)
        except JournalError as error:
            raise ResourceError("the address of the retriever 'pgvector' cannot be read", hint=error.hint) from None
        self._lock = threading.Lock()
        self._loop: OwnLoop | None = None
        self._pool: Any = None
        self._path = ""
        """The search path as SQL, once it is known where the extension lies."""
        self._usable = False

    def do(self, work: Callable[[], Coroutine[Any, Any, _T]], *, again: bool = False) -> _T:
        """What a function gives that asks the server; called `again` if it only reads, and a connection was lost."""
        with self._lock:
            if self._loop is None:
                self._loop = OwnLoop("ragweave pgvector")
            loop = self._loop
        try:
            try:
                return loop.do(work())
            except self._errors as error:
                if not again or not self._is_lost(error):
                    raise
                loop.do(self._expire())  # who lost one has lost them all
                return loop.do(work())
        except RagweaveError:
            raise
        except self._errors as error:
            # What has no state was not said by the server: the connection is gone, or the value (a ValueError) is odd.
            state = getattr(error, "sqlstate", None)
            passing = state.startswith(_PASSING) if state else not isinstance(error, ValueError)
            raise self.unusable(str(error) or type(error).__name__, transient=passing and self._usable) from None

    def unusable(self, reason: str, *, hint: str = "", transient: bool = False) -> IndexUnusable:
        """The error of a server, or of an index in it."""
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        return IndexUnusable(
            f"the index {self._index!r} in {self.shown!r} cannot be used: {' '.join(reason.split())}",
            hint=hint or "check the address, the server and the user's rights",
            transient=transient,
        )

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Any]:
        """A connection that sees everything that is committed now, and nothing of what is later; None where there is no
        pgvector yet, and so no index."""
        async with self._connection() as connection:
            if not await self._found(connection):
                yield None
                return
            await connection.execute(f"{_READ}{_PLANS}SET LOCAL search_path = {self._path}")
            try:
                yield connection
            finally:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[Any]:
        """A transaction of the only one who writes this index, which is committed at the end. Makes the extension and
        the schema where they are not there."""
        await self._wake()
        async with self._connection() as connection:
            await self._prepare(connection)
            await connection.execute(f"{_WRITE}{_PLANS}SET LOCAL search_path = {self._path}")
            try:
                await connection.execute(_LOCK, _number(f"ragweave {self._namespace} {self._index}"))
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            loop, pool = self._loop, self._pool
            self._loop = self._pool = None
        if loop is not None:
            if pool is not None:
                with contextlib.suppress(Exception):
                    loop.do(_closed(pool))
            loop.stop()

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        if self._pool is None:
            self._pool = self._driver.create_pool(
                self._url,
                min_size=0,
                max_size=CONNECTIONS,
                timeout=CONNECT,
                command_timeout=ANSWER,
                server_settings={"application_name": "ragweave"},
            )
        pool = await self._pool  # opens it at the first time only
        async with pool.acquire() as connection:
            self._usable = True
            yield connection

    async def _wake(self) -> None:
        """See to it that a connection which was lost while nobody used it is not the one that is written with."""
        try:
            async with self._connection() as connection:
                await connection.fetchval("SELECT 1")
        except self._errors as error:
            if not self._is_lost(error):
                raise
            await self._expire()

    async def _expire(self) -> None:
        if self._pool is not None:
            await self._pool.expire_connections()

    async def _found(self, connection: Any) -> bool:
        """True if there is a pgvector; where it lies is noted."""
        if self._path:
            return True
        found = await connection.fetchrow(_EXTENSION)
        if found is None:
            return False
        schema, version = found
        if tuple(map(int, version.split(".")[:2])) < OLDEST:
            raise self.unusable(
                f"its pgvector is {version}, and {'.'.join(map(str, OLDEST))} is the oldest that will do",
                hint="install a newer one on the server, then run ALTER EXTENSION vector UPDATE",
            )
        self._path = ", ".join((f'"{self._namespace}"', '"{}"'.format(schema.replace('"', '""')), "pg_temp"))
        return True

    async def _prepare(self, connection: Any) -> None:
        """See to it that the extension and the schema are there, while nobody else does."""
        if await self._found(connection) and await connection.fetchval(_SCHEMA, self._namespace):
            return
        async with connection.transaction():
            await connection.execute(_LOCK, _number("ragweave pgvector"))
            if not await self._found(connection):
                if not await connection.fetchval(_AVAILABLE):
                    raise self.unusable(
                        "the server has no pgvector",
                        hint="install it (packages are named postgresql-17-pgvector, images pgvector/pgvector), or "
                        "keep the index in files with type: hybrid",
                    )
                await self._install(connection)
                await self._found(connection)
            # Asked first: who may use a schema need not have the right to make one.
            if not await connection.fetchval(_SCHEMA, self._namespace):
                await connection.execute(f'CREATE SCHEMA "{self._namespace}"')

    async def _install(self, connection: Any) -> None:
        try:
            await connection.execute("CREATE EXTENSION vector")
        except self._driver.InsufficientPrivilegeError:
            raise self.unusable(
                "its database has no pgvector yet, and this user may not install it",
                hint="have an administrator run CREATE EXTENSION vector in that database",
            ) from None

    def _is_lost(self, error: BaseException) -> bool:
        state = getattr(error, "sqlstate", None)
        # The last is what asyncpg says where a connection broke while it was given back.
        lost = isinstance(error, (ConnectionError, self._driver.InterfaceError, self._driver.InternalClientError))
        return self._usable and (state.startswith(_LOST) if state else lost)


async def _closed(pool: Any) -> None:
    pool.terminate()


def _number(name: str) -> int:
    """Of an advisory lock."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _driver() -> Any:
    try:
        import asyncpg
    except ImportError:
        raise MissingExtra("the retriever type 'pgvector'", "asyncpg", "postgres") from None
    return asyncpg
