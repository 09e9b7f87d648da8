"""What is particular to the index 'pgvector': servers, rights, extensions, neighbours, names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragweave.evals.kit.retriever.harness import WordVectors, found, passage
from ragweave.orchestrator.errors import IndexUnusable, MissingExtra, ResourceError
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.indexes import pgtables
from ragweave.retrievers.indexes.hybrid import Hybrid
from ragweave.retrievers.indexes.pgvector import PgVector
from tests.support.postgres import on_server, postgres_schema, postgres_server

__all__ = ["postgres_schema", "postgres_server"]

TEXTS = [
    "Green tea steeps for two minutes in hot water.",
    "Black tea steeps for four minutes in boiling water.",
    "Bread rises for an hour under a cloth, and is baked for forty minutes.",
    "Tomatoes want sun, and water in the evening.",
    "Oil the chain of the bicycle when it squeaks.",
    "The letter was sent on Monday from Lisbon, by bicycle.",
    "Minutes of the meeting: tea was served, and bread, and more tea.",
]


@pytest.fixture
def bare(postgres_server: str, postgres_schema: str) -> Iterator[str]:
    """The address of a database of its own, without pgvector."""

    async def do(connection: Any, statement: str) -> None:
        await connection.execute(statement)

    on_server(postgres_server, lambda connection: do(connection, f"CREATE DATABASE bare_{postgres_schema}"))
    yield postgres_server.replace("/postgres?", f"/bare_{postgres_schema}?")
    drop = f"DROP DATABASE bare_{postgres_schema} WITH (FORCE)"
    on_server(postgres_server, lambda connection: do(connection, drop))


def made(url: str, schema: str, **settings: Any) -> PgVector:
    resources = Resources(folder=Path())
    resources.put("embedders", "given", WordVectors())
    index = PgVector(url=url, namespace=schema, **{"fields": {"year": "int"}, "embedder": "given", **settings})
    index.open(resources)
    return index


async def run(url: str, *statements: str) -> None:
    async def do(connection: Any) -> None:
        for statement in statements:
            await connection.execute(statement)

    on_server(url, do)


async def test_many_vectors_have_an_index_of_neighbours(
    postgres_server: str, postgres_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgtables, "HNSW_FROM", 300)
    index = made(postgres_server, postgres_schema)
    await index.add([passage(f"p{n}", f"number {n} of {n % 7}", year=n) for n in range(200)])
    assert (await index.stats()).how == "exact"
    await index.add([passage(f"p{n}", f"number {n} of {n % 7}", year=n) for n in range(200, 400)])
    assert (await index.stats()).how == "hnsw, by pgvector"
    assert [one.id for one in await index.search("passage number 77 of 0", 1)] == ["p77"]
    # A filter that lets only few through finds them all.
    assert await found(index, index.filter({"year": {">=": 397}})) == ["p397", "p398", "p399"]
    assert len(await found(index)) == 400
    await index.delete(index.filter({"year": {">=": 10}}))
    assert len(await found(index)) == 10
    await index.close()


async def test_it_ranks_as_hybrid_does(postgres_server: str, postgres_schema: str, tmp_path: Path) -> None:
    resources = Resources(folder=tmp_path)
    resources.put("embedders", "given", WordVectors())
    here = Hybrid(index="index", embedder="given", links=False, boosts=0)
    here.open(resources)
    there = made(postgres_server, postgres_schema, fields={})
    documents = [passage(str(n), text).model_copy(update={"title": text[:12]}) for n, text in enumerate(TEXTS)]
    for index in (here, there):
        await index.add(documents)
    for query in (*TEXTS, "how long does tea steep", "bicycle", "minutes of bread", "unknown words only"):
        ours = [one.id for one in await here.search(query, 7)]
        theirs = [one.id for one in await there.search(query, 7)]
        assert ours[:3] == theirs[:3], query
        assert sorted(ours) == sorted(theirs)
    await here.close()
    await there.close()


async def test_words_alone_need_no_embedder(postgres_server: str, postgres_schema: str) -> None:
    index = made(postgres_server, postgres_schema, weight=0, embedder="unknown")
    await index.add([passage(str(n), text) for n, text in enumerate(TEXTS)])
    assert [one.id for one in await index.search("bicycle chain", 5)] == ["4", "5"]
    assert (await index.stats())[:5] == (7, 7, 0, None, 0)
    await index.close()
    said: list[str] = []
    resources = Resources(notice=said.append)
    resources.put("embedders", "given", WordVectors())
    both = PgVector(url=postgres_server, namespace=postgres_schema, embedder="given")
    both.open(resources)
    assert said == ["the index 'passages' in PostgreSQL was built without an embedder: searching by words only"]
    assert (await both.search("bicycle chain", 1))[0].id == "4"
    await both.close()


async def test_tables_of_others_are_not_touched(postgres_server: str, postgres_schema: str) -> None:
    tables = ("indexes", f"{postgres_schema}x_passages")
    await run(postgres_server, *(f"CREATE TABLE public.{table} (name text)" for table in tables))
    index = made(postgres_server, postgres_schema, index=f"{postgres_schema}x")
    assert await index.search("passage", 1) == []
    await index.add([passage("one")])
    assert await found(index) == ["one"]
    await index.close()
    await run(postgres_server, *(f"DROP TABLE public.{table}" for table in tables))


async def test_a_lost_connection_is_made_anew(postgres_server: str, postgres_schema: str) -> None:
    index = made(postgres_server, postgres_schema)
    await index.add([passage("one")])
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ragweave'"
    for number in range(3):
        await run(postgres_server, others)
        assert await found(index) == ["one"]
        await run(postgres_server, others)
        assert await index.add([passage("one", f"number {number}")]) == 0
    await index.close()
    with pytest.raises(IndexUnusable, match="closed"):
        await index.search("passage", 1)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://ann:s3cret@127.0.0.1:1/none", "'postgresql://127.0.0.1:1/none' cannot be used"),
        ("postgresql://ann:s3cret@127.0.0.1:1,127.0.0.1:2/none", "cannot be used"),
    ],
)
def test_a_server_that_is_not_there_is_named(url: str, said: str) -> None:
    with pytest.raises(IndexUnusable, match=said) as told:
        made(url, "some")
    assert "s3cret" not in str(told.value)
    assert "check the address" in told.value.hint
    assert "s3cret" not in repr(PgVector(url=url))


async def test_a_database_that_is_not_there_is_named(postgres_server: str) -> None:
    with pytest.raises(IndexUnusable, match='"nothing" does not exist'):
        made(postgres_server.replace("/postgres?", "/nothing?"), "some")


@pytest.mark.parametrize("url", ["localhost", "postgresql://ann:s3c/ret@host/x", "mysql://host/x"])
def test_an_address_that_is_none_is_not_shown(url: str) -> None:
    with pytest.raises(ResourceError, match=r"address of the retriever 'pgvector'.*postgresql://user") as told:
        made(url, "some")
    assert "s3c" not in str(told.value)


async def test_a_server_without_pgvector_is_told(bare: str, postgres_schema: str) -> None:
    index = made(f"{bare}&extension_control_path=/nowhere", postgres_schema)
    assert await index.search("passage", 1) == []
    with pytest.raises(IndexUnusable, match=r"the server has no pgvector; install it.*type: hybrid"):
        await index.add([passage("one")])
    await index.close()


async def test_a_user_who_may_not_install_it_is_told(bare: str, postgres_schema: str) -> None:
    role = f"plain_{postgres_schema}"
    await run(bare, f"CREATE ROLE {role} LOGIN", f"GRANT CONNECT ON DATABASE bare_{postgres_schema} TO {role}")
    plain = bare.replace("//postgres:@", f"//{role}:@")
    index = made(plain, postgres_schema)
    with pytest.raises(IndexUnusable, match=r"may not install it.*CREATE EXTENSION vector"):
        await index.add([passage("one")])
    await run(bare, "CREATE EXTENSION vector")
    with pytest.raises(IndexUnusable, match="permission denied"):
        await index.add([passage("one")])
    await run(bare, f"CREATE SCHEMA {postgres_schema} AUTHORIZATION {role}")
    assert await index.add([passage("one")]) == 1
    assert await found(index) == ["one"]
    await index.close()
    await run(bare, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


async def test_an_old_pgvector_is_told(bare: str, postgres_schema: str) -> None:
    await run(bare, "CREATE EXTENSION vector", "UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
    with pytest.raises(IndexUnusable, match=r"its pgvector is 0\.7\.4, and 0\.8.*ALTER EXTENSION vector UPDATE"):
        made(bare, postgres_schema)


def test_the_driver_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(MissingExtra, match=r"'pgvector'.*pip install 'ragweave\[postgres\]'"):
        made("postgresql://127.0.0.1:1/none", "some")
