"""Tables that an older or a newer version has made."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ragweave.evals.kit.store.harness import MakeStore, Stores, data_of, ended, ids, on_stores, step
from ragweave.evals.kit.store.workers import Talk, at_work, forks
from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.stores.batches import SEGMENT_BITS, segment_place
from ragweave.orchestrator.stores.database import MIGRATIONS
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.packing import pack
from ragweave.orchestrator.stores.postgres import PostgresDatabase
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from tests.support.postgres import on_server

NUMBER = 3 << SEGMENT_BITS
EVENT = b'["finished","","node",1,null,0,-1,0,1700000000.000000,{"said":["hello"]}]'
FIRST_RUN = (
    "INSERT INTO runs (id, run, tenant, person, thread, graph, version, status, begun, changed, owner, until, fence, "
    "head) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
FIRST_ROWS: list[tuple[str, Sequence[Any]]] = [
    ("INSERT INTO tenants (id, name) VALUES (?, ?)", (7, "acme")),
    (FIRST_RUN, (3, "old", 7, "ann", "t", "cookbook", "v", "parked", time.time(), time.time(), "", 0.0, 1, 1)),
    ("INSERT INTO segments (id, body) VALUES (?, ?)", (NUMBER, pack(EVENT, segment_place(NUMBER)))),
]
"""A run as the first version of the tables held it."""
Place = tuple[MakeStore, Callable[[int], None]]
"""Stores of one place, and what gives it a version by force."""


def sqlite_place(folder: Path) -> Place:
    """A file with the first version of the tables."""
    file = folder / "runs.sqlite"
    words = {"serial": "id INTEGER PRIMARY KEY", "bytes": "BLOB", "real": "REAL"}
    with sqlite3.connect(file) as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement.format(**words))
        for sql, row in FIRST_ROWS:
            connection.execute(sql, row)
        connection.execute("PRAGMA user_version = 1")
    connection.close()

    def become(version: int) -> None:
        changed = sqlite3.connect(file)
        changed.execute(f"PRAGMA user_version = {version}")
        changed.close()

    return lambda **_: DurableStore(SqliteDatabase(file)), become


def postgres_place(address: str, schema: str) -> Place:
    """A schema with the first version of the tables."""
    words = {"serial": "id BIGSERIAL PRIMARY KEY", "bytes": "BYTEA", "real": "DOUBLE PRECISION"}

    async def make(connection: Any) -> None:
        await connection.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}")
        for statement in ("CREATE TABLE versions (version BIGINT PRIMARY KEY)", *MIGRATIONS[0]):
            await connection.execute(statement.format(**words))
        for sql, row in FIRST_ROWS:
            first, *rest = sql.split("?")
            await connection.execute(first + "".join(f"${at}{text}" for at, text in enumerate(rest, 1)), *row)
        await connection.execute("INSERT INTO versions VALUES (1)")
        await connection.execute("SELECT setval('runs_id_seq', 3), setval('tenants_id_seq', 7)")

    def become(version: int) -> None:
        on_server(address, lambda connection: connection.execute(f"INSERT INTO {schema}.versions VALUES ({version})"))

    on_server(address, make)
    return lambda **_: DurableStore(PostgresDatabase(address, schema=schema)), become


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return sqlite_place(tmp_path)
    return postgres_place(request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_schema"))


@pytest.fixture
def make_store(place: Place) -> MakeStore:
    return place[0]


@on_stores
async def test_the_first_tables_are_brought_up_to_date_and_keep_their_run(stores: Stores) -> None:
    store = stores()
    assert await data_of(store, "old") == [{"said": "hello"}]
    record = await store.record("old")
    assert record is not None
    assert (record.tenant, record.thread_id, record.user, record.status) == ("acme", "t", "ann", "parked")
    assert record.parent == ""
    assert (await store.take("old")).graph == "cookbook"
    store.writer("old")(step(said="and on"))
    await store.end("old", "done")
    await ended(store, "new", step(said="new"), parent="old@node#1")
    store = await stores.reopened()
    assert ids(await store.runs()) == ["old", "new"]
    assert await data_of(store, "old") == [{"said": "hello"}, {"said": "and on"}]
    assert [record.parent for record in await store.runs()] == ["", "old@node#1"]


@on_stores
async def test_the_first_tables_may_be_written_before_they_are_read(stores: Stores) -> None:
    await ended(stores(), "new", step(said="new"))
    assert ids(await stores().runs()) == ["old", "new"]


def test_newer_tables_are_left_alone(place: Place, make_store: MakeStore) -> None:
    newest = len(MIGRATIONS) + 1
    place[1](newest)

    @on_stores
    async def refused(stores: Stores) -> None:
        for work in (stores().runs(), stores().delete(tenant="acme"), stores().take("old"), ended(stores(), "new")):
            with pytest.raises(JournalError, match=f"newer ragweave.*format {newest}.*knows {newest - 1}"):
                await work

    refused(make_store)


@forks
def test_several_processes_bring_tables_up_to_date_at_once(make_store: MakeStore) -> None:
    async def work(stores: Stores, talk: Talk) -> None:
        name = talk.hear()
        await ended(stores(), name, step(said=name))
        talk.say(ids(await stores().runs()))

    names = ["a", "b", "c"]
    with at_work(make_store, work) as one, at_work(make_store, work) as two, at_work(make_store, work) as three:
        for name, worker in zip(names, (one, two, three), strict=True):
            worker.tell(name)
        for name, worker in zip(names, (one, two, three), strict=True):
            assert {"old", name} <= set(worker.says())
            worker.ended()

    @on_stores
    async def all_there(stores: Stores) -> None:
        assert sorted(ids(await stores().runs())) == ["a", "b", "c", "old"]
        assert await data_of(stores(), "old") == [{"said": "hello"}]

    all_there(make_store)
