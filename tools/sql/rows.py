"""What a query gives, cut to what a model can read; and the settings that all databases share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from ragweave.orchestrator.errors import ResourceError, ToolError, did_you_mean

LONGEST_SQL = 20_000


class Rows(BaseModel):
    """Rows of a query. Numbers, texts, booleans and None are as they are; everything else is told as text."""

    model_config = ConfigDict(frozen=True)

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool = False
    """There are more rows, or values were cut off; `text` says which."""
    note: str = ""

    @property
    def text(self) -> str:
        """A table in Markdown, as a model reads it."""
        if not self.columns:
            return "no columns"
        lines = [self.columns, *self.rows]
        table = ["| " + " | ".join(_cell(value) for value in line) + " |" for line in lines]
        table.insert(1, "|" + " --- |" * len(self.columns))
        count = f"{len(self.rows)} row{'' if len(self.rows) == 1 else 's'}"
        return "\n".join([*table, "", f"({'; '.join(filter(None, [count, self.note]))})"])


class QuerySettings(BaseModel):
    """What every database that a model may ask has to say."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    tables: tuple[str, ...] = Field((), description="The tables and views that may be read; empty: all of them.")
    max_rows: PositiveInt = Field(100, description="Rows that a query gives at most.")
    max_cell: PositiveInt = Field(2_000, description="Characters of one value at most; the rest is cut off.")
    max_bytes: PositiveInt = Field(50_000, description="Characters of all values together at most.")
    timeout: PositiveFloat = Field(5.0, description="Seconds that a query may take.")

    def cut(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Rows:
        """The first rows, as far as the limits go; `rows` is read no further than that."""
        kept: list[tuple[Any, ...]] = []
        used, cells, note = 0, 0, ""
        for row in rows:
            if len(kept) == self.max_rows:
                note = f"only the first {self.max_rows} are shown"
                break
            values = tuple(plain(value) for value in row)
            short = tuple(self._short(value) for value in values)
            used += sum(len(value) if isinstance(value, str) else 8 for value in short)
            if used > self.max_bytes and kept:
                note = f"only the first {len(kept)} are shown, they hold {self.max_bytes:,} characters"
                break
            cells += sum(one is not other for one, other in zip(values, short, strict=True))
            kept.append(short)
        notes = [note, f"{cells} long value{'' if cells == 1 else 's'} cut off" if cells else ""]
        told = "; ".join(filter(None, notes))
        return Rows(columns=tuple(columns), rows=tuple(kept), truncated=bool(told), note=told)

    def _short(self, value: Any) -> Any:
        longest = min(self.max_cell, self.max_bytes)
        return value[:longest] + "…" if isinstance(value, str) and len(value) > longest else value

    def check(self, sql: str) -> str:
        """The statement, if it may be sent at all. Raises ToolError."""
        if len(sql) > LONGEST_SQL:
            raise ToolError(f"a query may have {LONGEST_SQL:,} characters, and this has {len(sql):,}")
        if not sql.strip():
            raise ToolError("the query is empty")
        if "\0" in sql:
            raise ToolError("the query holds a zero character")
        return sql

    def slow(self) -> ToolError:
        """The error of a query that took too long."""
        return ToolError(
            f"the query took longer than {self.timeout:g} s and was stopped",
            hint="ask for less: fewer tables, a condition, no endless recursion",
        )


def missing_tables(wanted: Iterable[str], there: Iterable[str], where: str) -> None:
    """Raises ResourceError for a table of the settings that the database does not have."""
    known = sorted(there)
    for name in wanted:
        if name.lower() not in {one.lower() for one in known}:
            raise ResourceError(f"{where} has no table {name!r}{did_you_mean(name, known)}")


def plain(value: Any) -> Any:
    """A value of a database as JSON has it; bytes are only counted."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value):,} bytes>"
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _cell(value: Any) -> str:
    text = "NULL" if value is None else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\r", "").replace("\n", "<br>")
