"""What comes from a PostgreSQL server, bounded twice: values are cut before they are sent, and what is sent is counted.

The second wall is for what cannot be cut: plans and errors may hold values, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ragweave.tools.sql.pglex import without_end

BATCH = 4_000_000
"""Bytes that are fetched at a time, at most."""
MOST = 32_000_000
"""Bytes that a server may send for one query, besides what it may fill with values."""
_SMALL = frozenset({
    "bool", "int2", "int4", "int8", "oid", "float4", "float8", "date", "time", "timetz", "timestamp", "timestamptz",
    "interval", "uuid", "money",
})  # fmt: skip
"""Types whose values all have a few bytes."""


class Bounded:
    """A query in which no value is longer than `longest` characters, or four times as many bytes.

    `sql` is the query itself where its types are small. Else each column that may be long is two: its value if it is
    short, and the beginning of its text if not; of bytes, the number is all that is told.
    """

    def __init__(self, sql: str, attributes: Sequence[Any], longest: int) -> None:
        self._types = [attribute.type.name for attribute in attributes]
        self._bytes = max(1, sum(8 if one in _SMALL else longest * 4 + 4 for one in self._types))
        self.sql = sql
        if not _SMALL.issuperset(self._types):
            names = [f"c{at}" for at in range(len(self._types))]
            shown = ", ".join(_cut(name, of_type, longest) for name, of_type in zip(names, self._types, strict=True))
            # OFFSET 0 keeps the server from computing a value once for each place in which its column is written.
            inner = f"SELECT * FROM (\n{without_end(sql)}\n) AS q ({', '.join(names)}) OFFSET 0"
            self.sql = f"SELECT {shown} FROM ({inner}) AS q"

    async def read(self, cursor: Any, most: int, enough: int) -> list[tuple[Any, ...]]:
        """The first rows: `most`, or as many as hold `enough` characters, and perhaps some more."""
        rows: list[tuple[Any, ...]] = []
        step, used = max(1, min(most, BATCH // self._bytes)), 0
        while len(rows) < most and used <= enough:
            found = [self._whole(tuple(row.values())) for row in await cursor.fetch(step)]
            rows += found
            used += sum(len(value) for row in found for value in row if isinstance(value, str))
            if len(found) < step:
                break
        return rows

    def _whole(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row with one value for each column of the query."""
        if _SMALL.issuperset(self._types):
            return values
        left, row = iter(values), list[Any]()
        for of_type in self._types:
            value = next(left)
            if of_type == "bytea":
                value = None if value is None else f"<{value:,} bytes>"
            elif of_type not in _SMALL:
                beginning = next(left)
                value = value if beginning is None else beginning
            row.append(value)
        return tuple(row)


def _cut(name: str, of_type: str, longest: int) -> str:
    if of_type in _SMALL:
        return f"q.{name}"
    if of_type == "bytea":
        return f"octet_length(q.{name})"
    is_short = f"octet_length(q.{name}::text) <= {longest * 4}"
    beginning = f"CASE WHEN NOT {is_short} THEN left(q.{name}::text, {longest + 1}) END"
    return f"CASE WHEN {is_short} THEN q.{name} END, {beginning}"


class Meter(asyncio.Protocol):
    """Counts what a connection gets, and ends it where that is more than `most` bytes; `exceeded` says that it was."""

    def __init__(self, connection: Any, most: int) -> None:
        # Between the transport and asyncpg, which holds all of a message in memory before anybody can look at it.
        self._transport, self._protocol = connection._transport, connection._protocol
        self._left, self.exceeded = most, False
        self._transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """Hand it on, or end the connection."""
        self._left -= len(data)
        if self._left >= 0:
            self._protocol.data_received(data)
        elif not self.exceeded:
            self.exceeded = True
            self._transport.abort()

    def eof_received(self) -> bool | None:
        """As asyncpg does."""
        closes: bool | None = self._protocol.eof_received()
        return closes

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncpg does."""
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """As asyncpg does."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """As asyncpg does."""
        self._protocol.resume_writing()
