"""SQL of a model: published queries give their rows, and nothing else gets through."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from tables import Line, data, share

from ragweave.orchestrator.errors import ToolError
from ragweave.tools.sql import SqliteQueries
from tests.tools.hostile_sql import REFUSED, RUNAWAY, SHOP


async def queries() -> list[Line]:
    """The questions with at least their accepted queries: each allowed, with the published rows."""
    folder, asked = data("sql_tools"), []
    for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        asked.append([(row["db"], *pair) for pair in zip(row["gold_sql"], row["gold_rows"], strict=True)])
    right, wrong = 0, []
    for pairs in asked:
        good = True
        for database, sql, rows in pairs:
            try:
                found = await SqliteQueries(path=folder / "db" / f"{database}.sqlite", max_rows=1000).query(sql)
            except ToolError as error:
                good = False
                wrong.append(f"SQL, refused: {sql}: {error}")
                continue
            if sorted(map(_shown, found.rows)) != sorted(map(_shown, rows)) or found.truncated:
                good = False
                wrong.append(f"SQL, other rows: {sql}")
        right += good
    count = sum(map(len, asked))
    what = f"SQL: questions whose {count} accepted queries are allowed and equal"
    return [Line(what, "all", share(right, len(asked)), right == len(asked), tuple(wrong))]


async def hostile() -> list[Line]:
    """Statements that write, attach, ask for more than their tables, come in a row, or never end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(SHOP)
        before = _digest(path)
        through = [sql for sql in REFUSED if await _passes(path, sql)]
        on = [sql for sql in RUNAWAY if await _passes(path, sql, seconds=0.2)]
        changed = _digest(path) != before or _files(path.parent) != [path.name]
    told = tuple(f"SQL, let through: {sql}" for sql in (*through, *on))
    return [
        Line(
            "SQL: writes, attaches, pragmas, stacked statements refused",
            "all",
            share(len(REFUSED) - len(through), len(REFUSED)),
            not through,
            told,
        ),
        Line("SQL: runaway queries stopped", "all", share(len(RUNAWAY) - len(on), len(RUNAWAY)), not on),
        Line("SQL: the database after all that", "unchanged", "changed" if changed else "unchanged", not changed),
    ]


async def _passes(path: Path, sql: str, seconds: float = 5.0) -> bool:
    try:
        await SqliteQueries(path=path, timeout=seconds).query(sql)
    except ToolError:
        return False
    return True


def _shown(row: object) -> list[str]:
    assert isinstance(row, (list, tuple))
    return [repr(value) for value in row]


def _files(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
