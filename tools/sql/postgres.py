"""Questions to a PostgreSQL server that cannot change it. Needs the extra `postgres`.

The first wall is the role: one that may only read what it should, without powers over the server's files; a superuser
is refused. The second is a transaction that only reads. The third are the functions that a query may call and, by the
server's own plan of the query, the tables that it would read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from pydantic import Field, SecretStr

from ragweave.orchestrator.errors import MissingExtra, ResourceError, ToolError, did_you_mean
from ragweave.tools.sql.pgbounds import MOST, Bounded, Meter
from ragweave.tools.sql.pglex import FUNCTIONS, GRAMMAR, called, words_of
from ragweave.tools.sql.pgplan import Reading, Table
from ragweave.tools.sql.rows import QuerySettings, Rows, missing_tables

CONNECT = 10.0
_BEGINNINGS = frozenset({"select", "with", "values", "table", "("})
_POWERS = (
    "SELECT rolsuper OR rolcreaterole OR rolbypassrls OR rolreplication "
    "OR EXISTS (SELECT FROM pg_roles p WHERE p.rolname IN ('pg_read_server_files', 'pg_write_server_files', "
    "'pg_execute_server_program', 'pg_signal_backend', 'pg_maintain') AND pg_has_role(current_user, p.oid, 'MEMBER')) "
    "FROM pg_roles WHERE rolname = current_user"
)
_TABLES = (
    "SELECT n.nspname, c.relname, c.relkind IN ('v', 'm') FROM pg_class c JOIN pg_namespace n "
    "ON n.oid = c.relnamespace WHERE n.nspname = ANY($1::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
    "AND has_table_privilege(c.oid, 'SELECT') ORDER BY n.nspname, c.relname"
)
_COLUMNS = (
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
    "coalesce(bool_or(k.contype = 'p'), false), "
    "max(CASE WHEN k.contype = 'f' THEN k.confrelid::regclass::text END), col_description(a.attrelid, a.attnum) "
    "FROM pg_attribute a LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND a.attnum = ANY(k.conkey) "
    "WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped "
    "GROUP BY a.attrelid, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attnum ORDER BY a.attnum"
)


class PostgresQueries(QuerySettings):
    """A PostgreSQL database whose tables may be read, by a role that may not do more."""

    url: SecretStr = Field(description="`postgresql://role:password@host/database`; the role must not be a superuser.")
    schemas: tuple[str, ...] = Field(("public",), min_length=1, description="The schemas whose tables may be read.")
    functions: tuple[str, ...] = Field(
        (), description="Functions that queries may call besides the usual ones; the role must be allowed to."
    )

    async def query(self, sql: str) -> Rows:
        """The rows of one SELECT. Raises ToolError for anything else, and for what takes longer than `timeout`."""
        self._check_words(self.check(sql))
        async with self._connected() as connection:
            try:
                async with asyncio.timeout(self.timeout + 1):
                    return await self._ask(connection, sql)
            except TimeoutError:
                raise self.slow() from None

    async def describe(self) -> str:
        """The tables with their columns, keys and types, for a model that is to write queries. Raises ResourceError for
        a view of `tables` that does not keep to itself what it leaves out."""
        async with self._connected() as connection:
            tables = await self._tables(connection)
            await self._check_views(connection, tables)
            return "\n\n".join(
                [await self._described(connection, *table) for table in tables if self._is_open(table[:2])]
            )

    def _check_words(self, sql: str) -> None:
        words = words_of(sql)
        while words and words[-1].text == ";":
            words.pop()
        if any(word.kind == "sign" and word.text == ";" for word in words):
            raise ToolError("one query holds one statement", hint="leave out what stands after the semicolon")
        if not words or words[0].text not in _BEGINNINGS:
            raise ToolError(f"{words[0].text.upper() if words else 'this'} is not allowed; only SELECT is")
        open_functions = FUNCTIONS | {name.lower() for name in self.functions}
        known = open_functions | GRAMMAR
        for name in called(words):
            if name not in known:
                raise ToolError(f"the function {name!r} is not open{did_you_mean(name, open_functions)}")

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        """A connection that can only read, ended with the block. Raises ResourceError for a role with powers."""
        try:
            import asyncpg
        except ImportError:
            raise MissingExtra("asking a PostgreSQL database", "asyncpg", "postgres") from None
        settings = {
            "default_transaction_read_only": "on",
            "standard_conforming_strings": "on",
            "statement_timeout": str(int(self.timeout * 1000)),
            "lock_timeout": str(int(self.timeout * 1000)),
            "idle_in_transaction_session_timeout": str(int(self.timeout * 2000) + 2000),
            "search_path": ", ".join('"' + name.replace('"', '""') + '"' for name in self.schemas),
            "application_name": "ragweave",
        }
        try:
            connection = await asyncpg.connect(
                self.url.get_secret_value(), timeout=CONNECT, server_settings=settings, statement_cache_size=0
            )
        except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # Its message may hold the address with the password in it.
            raise ResourceError(
                f"the database cannot be reached ({type(error).__name__})", hint="check `url`"
            ) from None
        meter = Meter(connection, MOST + 8 * self.max_bytes)
        try:
            if await connection.fetchval(_POWERS):
                raise ResourceError(
                    "this role may do more than read: it is a superuser, or has powers over roles, files or programs",
                    hint="make one that may not: CREATE ROLE reader LOGIN; GRANT SELECT ON … TO reader",
                )
            yield connection
        except BaseException:
            connection.terminate()  # waits for nothing
            if meter.exceeded:
                raise ToolError(f"the query gives more than {MOST // 1_000_000} MB", hint="ask for less") from None
            raise
        await connection.close(timeout=CONNECT)

    async def _ask(self, connection: Any, sql: str) -> Rows:
        with self._telling():
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                tables = await self._tables(connection)
                missing_tables(self.tables, [name for _, name, _ in tables], "the database")
                # Prepared alone: the server takes one statement here, and none that cannot be explained.
                await self._reading(connection).check(sql, [(schema, name) for schema, name, _ in tables])
                statement = await connection.prepare(sql)
                attributes = statement.get_attributes()
                if not attributes:
                    raise ToolError("only SELECT is allowed")
                bounded = Bounded(sql, attributes, min(self.max_cell, self.max_bytes))
                if bounded.sql != sql:
                    statement = await connection.prepare(bounded.sql)
                rows = await bounded.read(await statement.cursor(), self.max_rows + 1, self.max_bytes)
        return self.cut([attribute.name for attribute in attributes], rows)

    def _reading(self, connection: Any) -> Reading:
        return Reading(connection, self.schemas, self._is_open)

    def _is_open(self, table: Table) -> bool:
        schema, name = table
        return schema in self.schemas and (not self.tables or name.lower() in {one.lower() for one in self.tables})

    async def _check_views(self, connection: Any, tables: list[tuple[str, str, bool]]) -> None:
        listed = [(schema, name) for schema, name, is_view in tables if is_view and self._is_open((schema, name))]
        for name in await self._reading(connection).closed_views(listed) if self.tables else ():
            raise ResourceError(
                f"the view {name!r} shows tables that are not open, and a query could learn of what it leaves out",
                hint=f"let its owner say: ALTER VIEW {name} SET (security_barrier = true)",
            )

    async def _tables(self, connection: Any) -> list[tuple[str, str, bool]]:
        return [tuple(row) for row in await connection.fetch(_TABLES, list(self.schemas))]

    async def _described(self, connection: Any, schema: str, table: str, is_view: bool) -> str:
        full = f'"{schema}"."{table}"'.replace('""', '"')
        lines = [f"{'view' if is_view else 'table'} {table if schema == self.schemas[0] else f'{schema}.{table}'}"]
        for name, of_type, required, primary, target, said in await connection.fetch(_COLUMNS, full):
            words = [name, of_type, "primary key" if primary else "not null" if required else ""]
            words += [f"-> {target}"] if target else []
            words += [f"-- {' '.join(said.split())[:200]}"] if said else []
            lines.append("  " + " ".join(filter(None, words)))
        return "\n".join(lines)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Errors of the server, as a model may read them."""
        import asyncpg

        try:
            yield
        except asyncpg.QueryCanceledError:
            raise self.slow() from None
        except asyncpg.PostgresError as error:
            hint = str(getattr(error, "hint", None) or "")
            raise ToolError(f"the query cannot be run: {error.args[0] if error.args else error}", hint=hint) from None
        except (asyncpg.InterfaceError, OSError) as error:
            raise ToolError(f"the connection was lost: {type(error).__name__}", transient=True) from None
