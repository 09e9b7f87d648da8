"""The database under the store 'postgres': connections, locks, addresses."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ragweave.evals.kit.store.harness import LONG, data_of, ended, eventually, ids, step
from ragweave.evals.kit.store.together import TENANTS, turmoil
from ragweave.orchestrator.errors import JournalError, RunTaken, is_transient
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.stores.database import Cursor
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.postgres import PostgresDatabase
from tests.support.postgres import on_server


@pytest.fixture
def databases(postgres_server: str, postgres_schema: str) -> Iterator[list[PostgresDatabase]]:
    """Three of the same schema."""
    three = [PostgresDatabase(postgres_server, schema=postgres_schema) for _ in range(3)]
    yield three
    for database in three:
        database.close()


def cut_off(address: str) -> int:
    """End every connection of ours, as a server does that is stopped; how many there were."""

    async def end(connection: Any) -> int:
        sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'ragweave'"
        return int(await connection.fetchval(sql))

    return on_server(address, end)


def test_values_are_removed_by_one_while_nobody_writes(databases: list[PostgresDatabase]) -> None:
    one, two, third = databases
    order: list[str] = []
    for database in databases:
        database.open()

    def alone() -> None:
        with third.writing(alone=True):
            order.append("alone")

    with one.writing() as first:
        with two.writing():  # beside the first
            waiting = threading.Thread(target=alone)
            waiting.start()
            time.sleep(0.2)
            order.append("written")
        assert first.rows("SELECT value FROM facts WHERE name = ?", "generation") == [(0,)]
        time.sleep(0.1)
        order.append("written, too")
    waiting.join()
    assert order == ["written", "written, too", "alone"]


def test_a_transaction_that_fails_leaves_nothing(databases: list[PostgresDatabase]) -> None:
    database = databases[0]

    def write(fails: Callable[[Cursor], object]) -> None:
        with database.writing() as cursor:
            assert cursor.run("INSERT INTO tenants (name) VALUES (?)", "acme") == 1
            fails(cursor)

    with pytest.raises(KeyError):
        write(lambda _: dict[str, int]()["other than the database's"])
    with pytest.raises(JournalError, match="nowhere"):
        write(lambda cursor: cursor.rows("SELECT name FROM nowhere"))
    with database.reading() as cursor:
        assert cursor.rows("SELECT name FROM tenants") == []


def test_a_view_does_not_change_and_cannot_write(databases: list[PostgresDatabase]) -> None:
    reader, writer, _ = databases
    count = "SELECT count(*) FROM tenants"
    with reader.reading() as cursor:
        assert cursor.rows(count) == [(0,)]
        with writer.writing() as other:
            other.many("INSERT INTO tenants (name) VALUES (?)", [("a",), ("b",)])
        assert cursor.rows(count) == [(0,)]
        assert abs(cursor.now() - time.time()) < 60
    with reader.reading() as cursor:
        assert cursor.rows(count) == [(2,)]
    with pytest.raises(JournalError, match="read-only"), reader.reading() as cursor:
        cursor.run("DELETE FROM tenants")


def test_many_may_read_at_once(databases: list[PostgresDatabase]) -> None:
    database = databases[0]
    met = threading.Barrier(4, timeout=60)

    def read() -> None:
        with database.reading() as cursor:
            met.wait()
            assert cursor.rows("SELECT name FROM tenants") == []

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert not met.broken


def test_safe_commits_wait_for_the_disk_though_the_server_does_not(databases: list[PostgresDatabase]) -> None:
    database = databases[0]
    asked = "SELECT current_setting('synchronous_commit')"
    lazily = f"{database._dsn}&options=-csynchronous_commit%3Doff"
    lazy = PostgresDatabase(lazily, schema=database.schema)
    for one, safe, setting in ((database, False, "on"), (lazy, False, "off"), (lazy, True, "on"), (lazy, False, "off")):
        with one.writing(safe=safe) as cursor:
            assert cursor.rows(asked) == [(setting,)]
    lazy.close()


async def test_lost_connections_are_made_anew_and_runs_go_on(
    postgres_server: str, databases: list[PostgresDatabase]
) -> None:
    store = DurableStore(databases[0])
    await store.begin(RunRecord("run"))
    write = store.writer("run")
    for number in range(4):
        write(step(number, said=f"{number} {LONG}"))
        await store.flush("run")
        assert len(await store.events("run")) == number + 1
        assert cut_off(postgres_server) >= 1
    write(step(4, said=LONG))
    await store.end("run", "done")
    assert len(await store.events("run")) == 5
    await store.close()


async def test_a_commit_that_was_cut_off_is_written_once(
    postgres_server: str, databases: list[PostgresDatabase]
) -> None:
    store = DurableStore(databases[0])
    await store.runs()
    going = True

    def cut() -> None:
        pause = 0.1
        while going:
            cut_off(postgres_server)
            time.sleep(pause)
            pause *= 1.1  # at last long enough for any machine to commit meanwhile

    cutting = threading.Thread(target=cut)
    cutting.start()
    try:
        for run in range(12):
            await ended(store, f"run {run}", *(step(number, said=f"{run} {LONG}") for number in range(5)))
    finally:
        going = False
        cutting.join()
    for run in range(12):
        assert await data_of(store, f"run {run}") == [{"said": f"{run} {LONG}"}] * 5
    await store.close()


async def test_a_run_goes_on_while_the_server_is_away_but_not_for_ever(
    postgres_server: str, databases: list[PostgresDatabase], skip: Callable[[float], None]
) -> None:
    store = DurableStore(databases[0], lease=120.0)
    await store.begin(RunRecord("run"))
    await store.flush("run")
    told: list[str] = []
    store.watch("run", told.append)
    good, databases[0]._dsn = databases[0]._dsn, "postgresql:///postgres?host=/nowhere"
    cut_off(postgres_server)
    store.writer("run")(step(said="kept"))
    await asyncio.sleep(0.3)
    assert told == []
    databases[0]._dsn = good
    await store.flush("run")
    assert await data_of(store, "run") == [{"said": "kept"}]

    databases[0]._dsn = "postgresql:///postgres?host=/nowhere"
    cut_off(postgres_server)
    store.writer("run")(step(said="lost"))
    flushing = asyncio.ensure_future(store.flush("run"))
    await asyncio.sleep(0.3)
    assert told == []
    skip(100)
    with pytest.raises(JournalError) as failed:
        await flushing
    assert is_transient(failed.value)
    assert len(told) == 1
    with pytest.raises(RunTaken):
        store.writer("run")
    databases[0]._dsn = good
    await store.take("run")
    store.writer("run")(step(said="and on"))
    await store.end("run", "done")
    assert await data_of(store, "run") == [{"said": "kept"}, {"said": "and on"}]
    await store.close()


async def test_a_server_that_was_never_there_is_not_waited_for() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = DurableStore(PostgresDatabase(f"postgresql://ann:pass%40word@127.0.0.1:{port}/runs"))
    with pytest.raises(JournalError, match=f"'postgresql://127.0.0.1:{port}/runs'") as refused:
        await store.runs()
    with pytest.raises(JournalError) as again:
        await ended(store, "run")
    for told in (refused.value, again.value):
        assert not is_transient(told)
        assert "pass" not in str(told)
    await store.close()


async def test_what_has_no_rights_is_told_without_its_password(postgres_server: str, postgres_schema: str) -> None:
    role = f"guest_{postgres_schema}"
    made = f"CREATE ROLE {role} LOGIN PASSWORD 'hidden'"
    on_server(postgres_server, lambda connection: connection.execute(made))
    guest = postgres_server.replace("postgres:@", f"{role}:hidden@")
    store = DurableStore(PostgresDatabase(guest, schema=postgres_schema))
    with pytest.raises(JournalError, match="permission denied") as refused:
        await ended(store, "run")
    assert "hidden" not in str(refused.value) + repr(refused.value.__context__)
    await store.close()


@pytest.mark.parametrize(
    "dsn",
    [
        "secret", "mysql://ann:secret@host/runs", "postgresql://ann:secret@host:port/runs", "host=h password=secret",
        "postgresql://ann:sec/secret@host/runs", "postgresql://ann:sec#secret@host/runs", "postgresql://ann:secret@[h/runs",
        "postgresql://ann:sec?secret@host/runs",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_read_is_not_shown(dsn: str) -> None:
    with pytest.raises(JournalError, match="cannot be read") as refused:
        PostgresDatabase(dsn)
    assert "secret" not in str(refused.value)
    assert "sec" not in str(refused.value)


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        (
            "postgresql://ann:s%20ecret@db.example.org:5432/runs?sslmode=require",
            "postgresql://db.example.org:5432/runs",
        ),
        ("postgres://ann@[::1]:5432/runs", "postgresql://[::1]:5432/runs"),
        ("postgresql://ann:s@a@one:5432,two:5433/runs", "postgresql://one:5432,two:5433/runs"),
        ("postgresql:///runs?host=/run/postgresql&password=secret", "postgresql:///run/postgresql/runs"),
        ("postgresql://", "postgresql://"),
    ],
)
def test_an_address_is_shown_without_what_is_secret(dsn: str, shown: str) -> None:
    database = PostgresDatabase(dsn)
    assert database.shown == shown
    told = str(database._unusable("'s ecret', 's%20ecret', 'secret' and 's@a'"))
    assert told.count("***") == (2 if "%20" in dsn else len(database._secrets))


@pytest.mark.parametrize("schema", ["", "Runs", "a-b", "a b", 'a"; DROP TABLE runs; --', "1a", "a" * 64, "a\n"])
def test_a_schema_has_a_plain_name(schema: str) -> None:
    with pytest.raises(JournalError, match="schema"):
        PostgresDatabase("postgresql://localhost/runs", schema=schema)


async def test_schemas_keep_apart(postgres_server: str, postgres_schema: str) -> None:
    stores = [DurableStore(PostgresDatabase(postgres_server, schema=f"{postgres_schema}_{part}")) for part in "ab"]
    for part, store in zip("ab", stores, strict=True):
        await ended(store, part, step(said=LONG))
    assert [ids(await store.runs()) for store in stores] == [["a"], ["b"]]
    await stores[0].delete(tenant="")
    assert await data_of(stores[1], "b") == [{"said": LONG}]
    for store in stores:
        await store.close()


async def test_a_store_may_be_used_again_after_it_was_closed(databases: list[PostgresDatabase]) -> None:
    store = DurableStore(databases[0])
    for number in range(3):
        await ended(store, f"run {number}", step(said=LONG))
        await store.close()
    assert len(await store.runs()) == 3
    await store.close()


async def test_after_a_turmoil_every_value_is_counted(databases: list[PostgresDatabase]) -> None:
    from ragweave.evals.kit.store.harness import Stores

    address, schema = databases[0]._dsn, databases[0].schema
    stores = Stores(lambda **_: DurableStore(PostgresDatabase(address, schema=schema)))
    await turmoil(stores, 6)
    store = await stores.reopened()
    for tenant in TENANTS:
        for record in await store.runs(tenant=tenant):
            await store.delete(run_id=record.run_id)

    async def nothing_left() -> bool:
        with databases[1].reading() as cursor:
            return cursor.rows("SELECT count(*) FROM stored") == [(0,)]

    assert await eventually(nothing_left, 1)
    await stores.close()
