"""Questions to a real PostgreSQL server, by a role that may only read."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from ragweave.orchestrator.errors import ResourceError, ToolError
from ragweave.tools.sql import PostgresQueries
from ragweave.tools.sql.pglex import called, named, words_of
from tests.support.postgres import on_server, postgres_server

__all__ = ["postgres_server"]

SETUP = """
CREATE SCHEMA shop;
CREATE SCHEMA hidden;
CREATE TABLE shop.artist (id int PRIMARY KEY, name text NOT NULL);
COMMENT ON COLUMN shop.artist.name IS 'as printed on the sleeve';
CREATE TABLE shop.album (id int PRIMARY KEY, title text, artist_id int REFERENCES shop.artist (id), price numeric(8, 2),
                         released date);
CREATE TABLE shop.secret (token text);
CREATE TABLE hidden.salary (amount int);
CREATE TABLE shop.sale (day date, total int) PARTITION BY RANGE (day);
CREATE TABLE shop.sale_2024 PARTITION OF shop.sale FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO shop.artist VALUES (1, 'Bach'), (2, 'Nina');
INSERT INTO shop.album VALUES (1, 'Fugues', 1, 9.50, '2001-02-03'), (2, 'Live', 2, 12, NULL);
INSERT INTO shop.secret VALUES ('hunter2');
INSERT INTO shop.sale VALUES ('2024-05-06', 7);
CREATE FUNCTION shop.peek() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT token FROM shop.secret';
CREATE VIEW shop.mine WITH (security_barrier) AS SELECT token FROM shop.secret WHERE token LIKE 'public%';
CREATE VIEW shop.leaky AS SELECT token FROM shop.secret WHERE lower(upper(lower(token))) LIKE 'public%';
CREATE VIEW shop.pay WITH (security_barrier) AS SELECT count(*) AS people FROM hidden.salary;
CREATE VIEW shop.sales WITH (security_barrier) AS SELECT total FROM shop.sale;
CREATE VIEW shop.all_of_it WITH (security_barrier) AS SELECT * FROM shop.mine;
CREATE VIEW shop.trick AS SELECT shop.peek() AS token;
CREATE MATERIALIZED VIEW shop.kept AS SELECT count(*) AS artists FROM shop.artist;
CREATE ROLE reader LOGIN;
GRANT USAGE ON SCHEMA shop, hidden TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shop, hidden TO reader;
GRANT INSERT, UPDATE, DELETE ON shop.artist TO reader;
GRANT CREATE, TEMP ON DATABASE postgres TO reader;
"""


@pytest.fixture(scope="module")
def reader(postgres_server: str) -> Iterator[str]:
    """The address of the server for a role that may read, and even write one table."""

    async def make(connection: Any) -> None:
        await connection.execute(SETUP)

    async def drop(connection: Any) -> None:
        await connection.execute("DROP SCHEMA shop, hidden CASCADE; DROP OWNED BY reader; DROP ROLE reader")

    on_server(postgres_server, make)
    yield (
        postgres_server.replace("postgres:@", "reader:@")
        if "postgres:@" in postgres_server
        else as_role(postgres_server)
    )
    on_server(postgres_server, drop)


def as_role(address: str) -> str:
    """The address with the role in place of the superuser."""
    scheme, rest = address.split("://", 1)
    return f"{scheme}://reader@{rest.rpartition('@')[2]}"


@pytest.fixture
def shop(reader: str) -> PostgresQueries:
    return PostgresQueries(url=SecretStr(reader), schemas=("shop",), timeout=60)


async def test_selects_give_their_rows(shop: PostgresQueries) -> None:
    for sql, rows in {
        "SELECT name FROM artist ORDER BY id": (("Bach",), ("Nina",)),
        "SELECT title, price, released FROM album ORDER BY id;": (
            ("Fugues", "9.50", "2001-02-03"),
            ("Live", "12.00", None),
        ),
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT sum(i) FROM n": ((10,),),
        "SELECT count(*) FILTER (WHERE price > 10) FROM shop.album AS a (i, t, ar)": ((1,),),
        "SELECT total FROM sale": ((7,),),
        "VALUES (1, 'a')": ((1, "a"),),
        "SELECT /* a /* nested */ comment; */ E'it\\'s', 'a''b' -- ; end": (("it's", "a'b"),),
        "SELECT array_agg(id ORDER BY id) FROM artist": (("[1, 2]",),),
        "SELECT to_char(released, 'YYYY') FROM album WHERE released IS NOT NULL": (("2001",),),
    }.items():
        assert (await shop.query(sql)).rows == rows, sql
    cut = await PostgresQueries(url=shop.url, schemas=("shop",), max_rows=2).query("SELECT generate_series(1, 1000000)")
    assert (cut.rows, cut.truncated) == (((1,), (2,)), True)


REFUSED = """
INSERT INTO artist VALUES (3, 'x')
UPDATE artist SET name = 'x'
DELETE FROM artist
WITH x AS (DELETE FROM artist RETURNING *) SELECT * FROM x
WITH x AS (INSERT INTO artist VALUES (3, 'x') RETURNING *) SELECT * FROM x
SELECT * FROM artist FOR UPDATE
SELECT * INTO stolen FROM artist
CREATE TABLE x (a int)
CREATE TEMP TABLE x (a int)
DROP TABLE artist
TRUNCATE artist
ALTER ROLE reader SUPERUSER
COPY artist TO '/tmp/x'
COPY artist TO PROGRAM 'id'
COPY artist FROM '/etc/passwd'
SET default_transaction_read_only = off
SET ROLE postgres
RESET ALL
BEGIN
COMMIT
DO 'BEGIN END'
CALL x()
VACUUM
LISTEN x
NOTIFY x
LOCK TABLE artist
EXPLAIN ANALYZE DELETE FROM artist
EXPLAIN SELECT 1
PREPARE x AS SELECT 1
EXECUTE x
SELECT 1; SELECT 2
SELECT 1; DROP TABLE artist
SELECT set_config('transaction_read_only', 'off', false)
SELECT set_config('statement_timeout', '0', false)
SELECT pg_sleep(10)
SELECT pg_read_file('/etc/passwd')
SELECT pg_ls_dir('/')
SELECT lo_import('/etc/passwd')
SELECT lo_export(1, '/tmp/x')
SELECT pg_terminate_backend(1)
SELECT pg_advisory_lock(1)
SELECT nextval('x')
SELECT query_to_xml('SELECT * FROM hidden.salary', true, true, '')
SELECT "query_to_xml"('SELECT 1', true, true, '')
SELECT pg_catalog.query_to_xml('SELECT 1', true, true, '')
SELECT query_to_xml ('SELECT 1', true, true, '')
SELECT query_to_xml/**/('SELECT 1', true, true, '')
WITH query_to_xml (a) AS (SELECT 1) SELECT query_to_xml('SELECT 1', true, true, '') FROM query_to_xml
SELECT * FROM artist, query_to_xml('SELECT 1', true, true, '') AS (a int)
SELECT table_to_xml('shop.secret', true, true, '')
SELECT ts_stat('SELECT token FROM shop.secret')
SELECT dblink('x', 'y')
SELECT peek()
SELECT shop.peek()
SELECT U&"query\\005fto\\005fxml"('SELECT 1', true, true, '')
SELECT $$x$$
SELECT $1
SELECT * FROM hidden.salary
SELECT * FROM pg_shadow
SELECT * FROM pg_catalog.pg_class
SELECT * FROM information_schema.tables
SELECT rolname FROM pg_roles
SELECT pid, query FROM pg_stat_activity
SELECT name, setting FROM "pg_settings"
SELECT * FROM pg_catalog.pg_locks
TABLE pg_cursors
SELECT 1 WHERE EXISTS (SELECT FROM pg_timezone_names)
SELECT * FROM information_schema.information_schema_catalog_name
SELECT 1 FROM artist WHERE EXISTS (SELECT 1 FROM hidden.salary)
SELECT repeat('a', 900000000) || repeat('a', 900000000)
SELECT 'open
SELECT /* open
""".strip().splitlines()


# What reads a table that is not open beside a view of it that is.
AROUND = """
SELECT * FROM secret
SELECT * FROM mine, secret
SELECT * FROM mine JOIN shop.secret AS s ON true
SELECT * FROM mine WHERE EXISTS (SELECT FROM ONLY "secret")
SELECT (SELECT max(token) FROM SECRET) FROM mine
SELECT * FROM mine UNION TABLE secret
SELECT * FROM mine AS "where", secret
SELECT * FROM mine, /* where */ secret
SELECT *, 1 AS from FROM mine a JOIN mine b ON a.token IS DISTINCT FROM b.token, (secret CROSS JOIN artist)
SELECT (SELECT 1 FROM mine JOIN mine b ON percentile_disc(0) WITHIN GROUP (ORDER BY m.token) > '', secret) FROM mine m
WITH mine AS (SELECT * FROM secret) SELECT * FROM mine
SELECT * FROM leaky
SELECT * FROM all_of_it
SELECT * FROM mine, all_of_it
SELECT * FROM trick
SELECT * FROM mine, pay
SELECT * FROM hidden.salary, mine
""".strip().splitlines()


async def test_everything_else_is_refused(shop: PostgresQueries, postgres_server: str) -> None:
    let_through = []
    for sql in REFUSED:
        try:
            let_through.append((sql, (await shop.query(sql)).rows))
        except ToolError:
            continue
    assert let_through == []

    async def count(connection: Any) -> Any:
        return await connection.fetchval("SELECT string_agg(name, ',' ORDER BY id) FROM shop.artist")

    assert on_server(postgres_server, count) == "Bach,Nina"


async def test_a_view_that_is_listed_shows_what_its_owner_shows(reader: str) -> None:
    def opened(*tables: str) -> PostgresQueries:
        return PostgresQueries(url=SecretStr(reader), schemas=("shop",), tables=tables)

    assert (await opened("mine").query("SELECT count(*) FROM mine")).rows == ((0,),)
    assert (await opened("all_of_it").query("SELECT count(*) FROM shop.all_of_it AS x")).rows == ((0,),)
    assert (await opened("pay").query("SELECT people FROM pay")).rows == ((0,),)
    assert (await opened("sales", "artist").query("SELECT total FROM sales JOIN artist ON id = 1")).rows == ((7,),)
    assert (await opened("kept").query("SELECT artists FROM kept")).rows == ((2,),)
    assert "view mine" in await opened("mine").describe()
    for sql in AROUND:
        with pytest.raises(ToolError, match="is not open"):
            await opened("mine").query(sql)
    for sql in ("SELECT * FROM sales, sale", "SELECT * FROM sales, sale_2024", "SELECT total FROM sale"):
        with pytest.raises(ToolError, match="'sale_2024' is not open"):
            await opened("sales").query(sql)


async def test_a_view_that_could_tell_of_what_it_leaves_out_is_not_open(reader: str) -> None:
    # The server asks the cheaper condition first, and that is the query's: the error names the token.
    leaking = "SELECT * FROM leaky WHERE token::int = 1"
    shop = PostgresQueries(url=SecretStr(reader), schemas=("shop",))
    with pytest.raises(ToolError, match="hunter2"):
        await shop.query(leaking)  # where the table is open, too
    listed = PostgresQueries(url=SecretStr(reader), schemas=("shop",), tables=("leaky",))
    with pytest.raises(ToolError, match="'leaky' is not open: it shows other tables, and is no security barrier"):
        await listed.query(leaking)
    with pytest.raises(ResourceError, match=r"ALTER VIEW leaky SET \(security_barrier = true\)"):
        await listed.describe()
    barred = PostgresQueries(url=SecretStr(reader), schemas=("shop",), tables=("mine",))
    assert (await barred.query("SELECT * FROM mine WHERE token::int = 1")).rows == ()


async def test_a_value_is_cut_where_it_lies(shop: PostgresQueries) -> None:
    short = PostgresQueries(url=shop.url, schemas=("shop",), max_cell=50, timeout=20)
    await short.query("SELECT 'what is loaded once'")
    tracemalloc.start()
    try:
        # Not written as constants, which the server computes while it makes its plan, and writes into it.
        rows = await short.query(
            "SELECT id, repeat('x', 100000000 * id) AS long, repeat('é', 40), repeat('y', 51)::bytea FROM artist"
        )
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows.columns == ("id", "long", "repeat", "repeat")
    assert rows.rows[0] == (1, "x" * 50 + "…", "é" * 40, "<51 bytes>")
    assert rows.note == "2 long values cut off"
    assert most < 5_000_000
    many = await PostgresQueries(url=shop.url, schemas=("shop",), max_bytes=1000).query(
        "SELECT repeat('z', 1000000) FROM generate_series(1, 100000)"
    )
    assert (len(many.rows), many.truncated) == (1, True)


async def test_what_a_server_sends_is_bounded(reader: str) -> None:
    shop = PostgresQueries(url=SecretStr(reader), schemas=("shop",), timeout=60)
    tracemalloc.start()
    try:
        with pytest.raises(ToolError, match="the query gives more than 32 MB; ask for less"):
            await shop.query("SELECT repeat('x', 60000000)")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 90_000_000


async def test_values_of_all_types_are_what_they_were(shop: PostgresQueries) -> None:
    for sql, row in {
        "SELECT id, id, name FROM artist ORDER BY name DESC -- ;": (2, 2, "Nina"),
        "SELECT ROW(1, 'a'), ARRAY['a', NULL], ARRAY[[1], [2]] ; ; ": ('[1, "a"]', '["a", null]', "[[1], [2]]"),
        "SELECT '{\"a\": [1]}'::json, '{\"a\": 1}'::jsonb, NULL::text, NULL::bytea": (
            '{"a": [1]}', '{"a": 1}', None, None,
        ),
        "SELECT 1.50, 'NaN'::numeric, true, '1 day'::interval, DATE '2024-01-02'": (
            "1.50", "NaN", True, "1 day, 0:00:00", "2024-01-02",
        ),
        "SELECT power(10::numeric, 20000)": ("1" + "0" * 1999 + "…",),
        "TABLE artist": (1, "Bach"),
        "(VALUES ('b', 1), ('a', 2)) ORDER BY 1": ("a", 2),
    }.items():  # fmt: skip
        assert (await shop.query(sql)).rows[0] == row, sql


async def test_a_query_that_runs_away_is_stopped(reader: str) -> None:
    shop = PostgresQueries(url=SecretStr(reader), schemas=("shop",), timeout=0.3)
    runaway = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
    with pytest.raises(ToolError, match=r"took longer than 0\.3 s"):
        await asyncio.wait_for(shop.query(runaway), 120)


async def test_only_open_tables_are_read(reader: str) -> None:
    shop = PostgresQueries(url=SecretStr(reader), schemas=("shop",), tables=("artist", "sale"))
    assert len((await shop.query("SELECT * FROM artist")).rows) == 2
    assert (await shop.query("SELECT total FROM sale WHERE day > '2024-01-01'")).rows == ((7,),)
    for sql in ("SELECT * FROM secret", "SELECT (SELECT max(token) FROM shop.secret) FROM artist", "TABLE secret"):
        with pytest.raises(ToolError, match="the table 'secret' is not open; there is: artist, sale"):
            await shop.query(sql)
    with pytest.raises(ResourceError, match="has no table 'artists'; did you mean 'artist'"):
        await PostgresQueries(url=SecretStr(reader), schemas=("shop",), tables=("artists",)).query("SELECT 1")
    peeking = PostgresQueries(url=SecretStr(reader), schemas=("shop",), functions=("peek",))
    assert (await peeking.query("SELECT peek()")).rows == (("hunter2",),)


async def test_a_role_with_powers_is_refused(postgres_server: str) -> None:
    with pytest.raises(ResourceError, match=r"superuser.*GRANT SELECT ON"):
        await PostgresQueries(url=SecretStr(postgres_server)).query("SELECT 1")
    unreachable = PostgresQueries(url=SecretStr("postgresql://me:sesame@127.0.0.1:1/x"))
    with pytest.raises(ResourceError) as caught:
        await unreachable.query("SELECT 1")
    assert "sesame" not in f"{caught.value} {unreachable!r}"


async def test_the_description_is_what_a_query_needs(reader: str) -> None:
    shop = PostgresQueries(url=SecretStr(reader), schemas=("shop",), tables=("artist", "album"))
    assert await shop.describe() == (
        "table album\n  id integer primary key\n  title text\n  artist_id integer -> artist\n  price numeric(8,2)\n"
        "  released date\n\ntable artist\n  id integer primary key\n  name text not null -- as printed on the sleeve"
    )


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT f(1), 'g(2)', \"h\" (3) -- i(4)", ["f", "h"]),
        ("SELECT E'a\\'f(1)', g(2)", ["g"]),
        ("SELECT 'a\\', f(1), '')", ["f"]),
        ("SELECT a/* f( /* */ */.f(1)", ["f"]),
        ("SELECT 1e5f(2)", ["f"]),
        ("SELECT t.F (1)", ["f"]),
    ],
)
def test_calls_are_seen_as_the_server_sees_them(sql: str, names: list[str]) -> None:
    assert called(words_of(sql)) == names


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT a, b FROM c WHERE d", {"c"}),
        ('SELECT a FROM c AS x, "D".e JOIN f USING (g) ORDER BY h', {"c", "as", "x", "D.e", "join", "f", "using", "g"}),
        ("SELECT a FROM shop.where, secret LIMIT 1", {"shop.where", "secret"}),
        ("SELECT a FROM (b CROSS JOIN c) UNION TABLE d", {"b", "cross", "join", "c", "table", "d"}),
        ("SELECT extract(year FROM a), b FROM c", {"a", "c"}),
        ("SELECT a FROM b JOIN c ON b.x = c.y, d", {"b", "join", "c", "on", "b.x", "c.y", "d"}),
        ("SELECT (SELECT a FROM b WHERE c), d", {"b"}),
    ],
)
def test_every_name_that_may_be_a_table_is_seen(sql: str, names: set[str]) -> None:
    found = {".".join(filter(None, name)) for name in named(words_of(sql))}
    assert found - {"from"} == names
