"""What a PostgreSQL query would read, judged by the server's own plan of it and by the relations that it names.

A plan names tables, not the views through which they are read. A view that is open may show tables that are not: that
is what its owner made it for, and the server reads them with the owner's rights. So a table that is not open is read
only where the query names a view that is made of it, and does not name the table, or one that it is a part of, itself.
Such a view has to be a security barrier: of any other, errors of a condition tell of the rows that it leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ragweave.orchestrator.errors import ToolError, did_you_mean
from ragweave.tools.sql.pglex import Word, named, words_of

_LONGEST_NAME = 63
"""Bytes of a name that PostgreSQL keeps."""
_PARENTS = (
    "WITH RECURSIVE up AS (SELECT inhrelid, inhparent FROM pg_inherits WHERE inhrelid = $1::text::regclass "
    "UNION SELECT i.inhrelid, i.inhparent FROM pg_inherits i JOIN up ON i.inhrelid = up.inhparent) "
    "SELECT n.nspname, c.relname FROM up JOIN pg_class c ON c.oid = up.inhparent "
    "JOIN pg_namespace n ON n.oid = c.relnamespace"
)
_SYSTEM = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relname = ANY($1::text[]) "
    "ORDER BY relname"
)
# More than the server finds, since letters are compared without their case: nothing that it finds may be missed.
_NAMED = (
    "SELECT DISTINCT c.oid, n.nspname, c.relname, c.relkind = 'v', coalesce((SELECT bool_or(option_value::bool) "
    "FROM pg_options_to_table(c.reloptions) WHERE option_name = 'security_barrier'), false) "
    "FROM unnest($1::text[], $2::text[]) AS t (schema, name) JOIN pg_class c ON lower(c.relname) = lower(t.name) "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') "
    "AND CASE WHEN t.schema = '' THEN pg_table_is_visible(c.oid) ELSE lower(n.nspname) = lower(t.schema) END"
)
_SHOWN = (
    "WITH RECURSIVE shown (view, oid) AS (SELECT view, view FROM unnest($1::oid[]) AS v (view) "
    "UNION SELECT shown.view, below.oid FROM shown, LATERAL ("
    "SELECT d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid "
    "AND d.refclassid = 'pg_class'::regclass WHERE r.ev_class = shown.oid "
    "UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = shown.oid) AS below (oid)) "
    "SELECT shown.view, n.nspname, c.relname FROM shown JOIN pg_class c ON c.oid = shown.oid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm', 'f')"
)

Table = tuple[str, str]
"""Schema and name."""


class _Relation(NamedTuple):
    oid: int
    schema: str
    name: str
    is_view: bool
    is_barrier: bool

    @property
    def table(self) -> Table:
        return self.schema, self.name


class Reading:
    """Which relations are open, and whether a query keeps to them."""

    def __init__(self, connection: Any, schemas: Sequence[str], is_open: Callable[[Table], bool]) -> None:
        self._connection, self._schemas, self._is_open = connection, schemas, is_open

    async def check(self, sql: str, there: Iterable[Table]) -> None:
        """Raise ToolError unless the query only reads, and only what is open. `there` are the tables that messages
        may name."""
        self._known = [name for schema, name in there if self._is_open((schema, name))]
        words = words_of(sql)
        await self._check_system(words)
        explained = await self._connection.prepare(f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) {sql}")
        plan = json.loads(await explained.fetchval())
        relations = await self._relations(named(words))
        for relation in relations:  # also one that is made of functions alone, of which a plan says nothing
            if relation.is_view and not self._is_open(relation.table):
                raise self._closed(relation.name)
        shown = await self._shown([relation for relation in relations if relation.is_view])
        tables = {relation.table for relation in relations if not relation.is_view}
        for node in _nodes(plan[0]["Plan"]):
            if node["Node Type"] in ("ModifyTable", "LockRows"):
                raise ToolError("only SELECT is allowed")
            if "Relation Name" in node:
                await self._check_table((node["Schema"], node["Relation Name"]), tables, shown)
            elif node["Node Type"] in ("Foreign Scan", "Custom Scan"):  # several tables at once, which it does not name
                for table in tables:
                    await self._check_table(table, tables, shown)

    async def closed_views(self, tables: Iterable[Table]) -> list[str]:
        """Those of the views that show what is not open and are no security barrier."""
        found = await self._relations(tables)
        views = [relation for relation in found if relation.is_view and self._is_open(relation.table)]
        return [view.name for view in views if not view.is_barrier and await self._hidden(view)]

    async def _check_table(self, table: Table, named: set[Table], shown: set[Table]) -> None:
        if self._is_open(table):
            return
        parents = [tuple(row) for row in await self._connection.fetch(_PARENTS, _quoted(table))]
        if any(self._is_open(parent) for parent in parents):
            return
        if table not in shown or not named.isdisjoint({table, *parents}):
            raise self._closed(table[1])

    async def _check_system(self, words: list[Word]) -> None:
        """Refuse the server's own views: many are made of functions alone, so that no plan names a table of theirs."""
        names = {word.text for word in words if word.kind in ("word", "name")}
        own = [] if "pg_catalog" in self._schemas else [name for name in names if name.startswith("pg_")]
        found = [name for (name,) in await self._connection.fetch(_SYSTEM, own)] if own else []
        if "information_schema" in names and "information_schema" not in self._schemas:
            found.append("information_schema")
        for name in found:
            raise self._closed(name)

    async def _relations(self, names: Iterable[Table]) -> list[_Relation]:
        cut = [tuple(part.encode()[:_LONGEST_NAME].decode(errors="ignore") for part in name) for name in set(names)]
        if not cut:
            return []
        schemas, relations = zip(*cut, strict=True)
        return [_Relation(*row) for row in await self._connection.fetch(_NAMED, schemas, relations)]

    async def _shown(self, views: list[_Relation]) -> set[Table]:
        """What views show besides what is open. Raises ToolError for one that does not keep the rest to itself."""
        found = set[Table]()
        for view in views:
            hidden = await self._hidden(view)
            if hidden and not view.is_barrier:
                raise ToolError(
                    f"the view {view.name!r} is not open: it shows other tables, and is no security barrier"
                )
            found |= hidden
        return found

    async def _hidden(self, view: _Relation) -> set[Table]:
        rows = await self._connection.fetch(_SHOWN, [view.oid])
        return {(schema, name) for _, schema, name in rows if not self._is_open((schema, name))}

    def _closed(self, name: str) -> ToolError:
        return ToolError(f"the table {name!r} is not open{did_you_mean(name, self._known)}")


def _quoted(table: Table) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in table)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
