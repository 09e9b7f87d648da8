"""Questions to SQLite: every SELECT runs, nothing else does, and nothing runs for long."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragweave.orchestrator.errors import ResourceError, ToolError
from ragweave.tools.sql import Rows, SqliteQueries
from tests.tools.hostile_sql import REFUSED, RUNAWAY, SHOP

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "sql_tools"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs ../shared/data, which is not part of the repository"
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop?mode=rw#.db"
    connection = sqlite3.connect(path)
    connection.executescript(SHOP)
    connection.close()
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT name FROM artist ORDER BY id", [("Bach",), ("Nina",)]),
        ("select count(*) from album;", [(3,)]),
        ("WITH x AS (SELECT 1 AS n UNION ALL SELECT 2) SELECT count(*) FROM x", [(2,)]),
        ("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT sum(i) FROM n", [(10,)]),
        ("SELECT name, count(*) FROM titles GROUP BY name HAVING count(*) > 1", [("Nina", 2)]),
        ("VALUES (1, 'a'), (2, 'b')", [(1, "a"), (2, "b")]),
        ("SELECT strftime('%Y', '2024-02-03'), upper('a'), coalesce(NULL, 'x')", [("2024", "A", "x")]),
        ("SELECT body FROM words WHERE words MATCH 'tea'", [("green tea",)]),
        ("SELECT value FROM json_each('[1, 2]')", [(1,), (2,)]),
        ("SELECT name FROM artist -- a comment; with a semicolon", [("Bach",), ("Nina",)]),
        ("SELECT ';' || \"a b\" FROM \"odd \"\"name\"\"\"", []),
        ("SELECT x'00ff', NULL, 1 = 1", [("<2 bytes>", None, 1)]),
        ("SELECT rank() OVER (ORDER BY price DESC), title FROM album WHERE price > 10", [(1, "Live")]),
    ],
)  # fmt: skip
async def test_a_select_gives_its_rows(shop: Path, sql: str, rows: Sequence[Any]) -> None:
    assert list((await SqliteQueries(path=shop).query(sql)).rows) == list(rows)


async def test_everything_but_a_select_is_refused(shop: Path) -> None:
    before, let_through = digest(shop), []
    for sql in REFUSED:
        try:
            let_through.append((sql, (await SqliteQueries(path=shop).query(sql)).rows))
        except ToolError:
            continue
    assert let_through == []
    assert digest(shop) == before
    assert [path.name for path in shop.parent.iterdir()] == [shop.name]


@pytest.mark.parametrize("sql", RUNAWAY)
async def test_a_query_that_runs_away_is_stopped(shop: Path, sql: str) -> None:
    with pytest.raises(ToolError, match=r"took longer than 0\.2 s|more than 500,000 bytes"):
        await asyncio.wait_for(SqliteQueries(path=shop, timeout=0.2).query(sql), 120)


async def test_only_open_tables_are_read(shop: Path) -> None:
    database = SqliteQueries(path=shop, tables=("artist", "Titles", "words"))
    assert (await database.query("SELECT name FROM ARTIST")).rows == (("Bach",), ("Nina",))
    assert len((await database.query("SELECT * FROM titles")).rows) == 3  # a view reads for its reader
    assert (await database.query("SELECT body FROM words WHERE words MATCH 'tea'")).rows == (("green tea",),)
    for sql in (
        "SELECT * FROM secret",
        "SELECT count(*) FROM secret",
        "SELECT name FROM artist UNION SELECT token FROM secret",
        "SELECT (SELECT token FROM secret) FROM artist",
        "WITH x AS (SELECT * FROM secret) SELECT * FROM x",
        "SELECT * FROM leaked",
        "SELECT title FROM album",
        "SELECT * FROM artist JOIN main.secret",
        'SELECT * FROM "secret"',
    ):
        with pytest.raises(ToolError, match=r"the table '(secret|leaked|album)' is not open; there is: artist, t"):
            await database.query(sql)
    with pytest.raises(ResourceError, match="has no table 'artists'; did you mean 'artist'"):
        await SqliteQueries(path=shop, tables=("artists",)).query("SELECT 1")


async def test_rows_and_values_are_cut_and_it_is_said(shop: Path) -> None:
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    few = await SqliteQueries(path=shop, max_rows=3).query(numbers)
    assert (few.rows, few.truncated, few.note) == (((1,), (2,), (3,)), True, "only the first 3 are shown")
    short = await SqliteQueries(path=shop, max_cell=5).query("SELECT 'abcdefgh', 'abc'")
    assert (short.rows, short.note) == ((("abcde…", "abc"),), "1 long value cut off")
    small = await SqliteQueries(path=shop, max_bytes=100).query(f"SELECT printf('%60d', i) FROM ({numbers})")
    assert len(small.rows) == 1
    assert small.truncated
    whole = await SqliteQueries(path=shop, max_rows=3).query(numbers + " LIMIT 3")
    assert not whole.truncated


async def test_a_model_reads_a_table_and_helpful_errors(shop: Path) -> None:
    database = SqliteQueries(path=shop)
    rows = await database.query("SELECT title, price FROM album ORDER BY id")
    assert rows.text == (
        "| title | price |\n| --- | --- |\n| Fugues \\| and<br>more | 9.5 |\n| Live | 12.0 |\n| NULL | NULL |\n"
        "\n(3 rows)"
    )
    assert Rows(columns=(), rows=()).text == "no columns"
    for sql, message in {
        "SELECT nam FROM artist": "no such column: nam; did you mean 'name'?",
        "SELECT * FROM artists": "no such table: artists; did you mean 'artist'?",
        "SELECT load_extension('x')": "the function 'load_extension' is not open",
        "DROP TABLE artist": "is not allowed; only SELECT is",
        "SELECT 1; SELECT 2": "one query holds one statement; leave out what stands after the semicolon",
        "SELEC 1": 'near "SELEC": syntax error',
        "  ": "the query is empty",
        "SELECT '\0'": "zero character",
        "SELECT " + "1+" * 11_000 + "1": "may have 20,000 characters",
    }.items():
        with pytest.raises(ToolError) as caught:
            await database.query(sql)
        assert message in str(caught.value)


async def test_the_description_is_what_a_query_needs(shop: Path) -> None:
    described = await SqliteQueries(path=shop, tables=("album", "titles", 'odd "name"')).describe()
    assert described == (
        "table album\n  id INTEGER primary key\n  title TEXT\n  artist_id INTEGER -> artist.id\n  price REAL\n\n"
        'view titles\n  title TEXT\n  name TEXT\n\ntable "odd ""name"""\n  "a b" TEXT'
    )
    assert "secret" not in described


async def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    with pytest.raises(ResourceError, match="there is no database"):
        await SqliteQueries(path=missing).query("SELECT 1")
    assert not missing.exists()
    missing.write_text("not a database, but long enough to look like one" * 100)
    with pytest.raises(ResourceError, match="cannot be read: file is not a database"):
        await SqliteQueries(path=missing).query("SELECT 1")
    with pytest.raises(ValidationError):
        SqliteQueries(path=missing, max_rows=0)


async def test_a_query_that_nobody_waits_for_ends(shop: Path) -> None:
    asking = asyncio.create_task(SqliteQueries(path=shop, timeout=600).query(RUNAWAY[0]))
    await asyncio.sleep(0.1)
    start = time.monotonic()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert time.monotonic() - start < 60


async def test_an_immutable_file_needs_no_lock(shop: Path) -> None:
    writer = sqlite3.connect(shop, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    assert (await SqliteQueries(path=shop, immutable=True).query("SELECT count(*) FROM artist")).rows == ((2,),)
    with pytest.raises(ResourceError, match="locked"):
        await SqliteQueries(path=shop, timeout=0.1).query("SELECT count(*) FROM artist")
    writer.close()


def gold() -> list[tuple[str, str, list[list[Any]]]]:
    """Of each published question the accepted queries, each with its rows."""
    lines = (SHARED / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        (one["db"], sql, rows)
        for one in map(json.loads, lines)
        for sql, rows in zip(one["gold_sql"], one["gold_rows"], strict=True)
    ]


@needs_shared
async def test_every_gold_query_runs_and_gives_its_rows() -> None:
    asked = gold()
    assert len(asked) >= 100
    for database, sql, rows in asked:
        path = SHARED / "db" / f"{database}.sqlite"
        found = await SqliteQueries(path=path, max_rows=1000).query(sql)
        key = [[repr(value) for value in row] for row in rows]
        assert sorted([repr(value) for value in row] for row in found.rows) == sorted(key), sql
        assert not found.truncated
