"""What an index holds is there when its process is not: each test reads with an index that was opened later, or that
another one has written beside."""

from __future__ import annotations

import asyncio

import pytest

from ragweave.evals.kit.retriever.harness import ACCESS, FIELDS, Indexes, WordVectors, found, on_indexes, passage
from ragweave.orchestrator.errors import IndexUnusable, InputError

_PASSAGES = [passage(f"p{n}", f"number {n}", year=2000 + n, tags=[f"t{n % 3}"]) for n in range(10)]


@on_indexes
async def test_what_was_added_is_there_afterwards(indexes: Indexes) -> None:
    index = indexes()
    await index.add(_PASSAGES)
    before = await index.search("passage number 4", 10)
    stats = await index.stats()
    index = await indexes.reopened()
    assert await index.search("passage number 4", 10) == before
    after = await index.stats()
    assert after[:5] == stats[:5]
    assert await found(index, index.filter({"tags": "t1"})) == ["p1", "p4", "p7"]


@on_indexes
async def test_what_was_deleted_stays_deleted(indexes: Indexes) -> None:
    index = indexes()
    await index.add(_PASSAGES)
    await index.delete(index.filter({"year": {">": 2002}}))
    await index.add([passage("p1", "replaced")])
    index = await indexes.reopened()
    assert await found(index) == ["p0", "p1", "p2"]
    assert "passage replaced" in [one.text for one in await index.search("passage", 10)]
    assert await found(index, index.filter({"year": 2001})) == []


@on_indexes
async def test_one_sees_what_another_has_written(indexes: Indexes) -> None:
    one, other = indexes(), indexes()
    await one.add(_PASSAGES)
    assert len(await found(other)) == 10
    await other.delete(other.filter({"year": {"<": 2005}}))
    assert await found(one) == ["p5", "p6", "p7", "p8", "p9"]
    await one.add([passage("new")])
    assert (await other.search("passage new", 1))[0].id == "new"
    assert (await one.stats()).passages == (await other.stats()).passages == 6


@on_indexes
async def test_two_writers_lose_nothing(indexes: Indexes) -> None:
    async def add(index_number: int) -> None:
        for n in range(3):
            batch = [passage(f"{index_number}-{n}-{m}") for m in range(3)]
            for _ in range(200):
                try:
                    assert await writers[index_number].add(batch) == 3
                    break
                except IndexUnusable:  # the other one is writing, which an index may refuse
                    await asyncio.sleep(0.02)
            else:
                pytest.fail("an index that nobody writes is still locked")

    writers = [indexes(), indexes()]
    await asyncio.gather(add(0), add(1))
    index = await indexes.reopened()
    assert len(await found(index)) == 18
    assert (await index.stats()).passages == 18


@pytest.mark.parametrize("embedder", [WordVectors(named="other"), WordVectors(length=16)], ids=["model", "dimension"])
@on_indexes
async def test_vectors_of_another_model_are_refused(indexes: Indexes, embedder: WordVectors) -> None:
    index = indexes()
    await index.add(_PASSAGES)
    await indexes.close()
    with pytest.raises(IndexUnusable) as refused:
        await indexes(embedder=embedder).search("passage", 3)
    assert "kit/32" in str(refused.value)
    assert embedder.identity in str(refused.value)
    assert refused.value.hint
    await indexes.close()
    with pytest.raises(IndexUnusable):
        await indexes(embedder=embedder).add([passage("new")])
    assert len(await found(await indexes.reopened())) == 10


@on_indexes
async def test_fields_may_be_declared_later(indexes: Indexes) -> None:
    index = indexes(fields={"year": "int"})
    await index.add(_PASSAGES)
    with pytest.raises(InputError, match="tags"):
        index.filter({"tags": "t1"})
    index = await indexes.reopened(fields={"tags": "list[str]", "year": "str"})
    assert await found(index, index.filter({"tags": "t1", "year": {"in": ["2001", "2004"]}})) == ["p1", "p4"]
    await index.add([passage("new", tags=["t1"])])
    assert await found(index, index.filter({"tags": "t1"})) == ["new", "p1", "p4", "p7"]
    index = await indexes.reopened(fields=dict(FIELDS))
    assert await found(index, index.filter({"tags": "t1"})) == ["new", "p1", "p4", "p7"]
    assert await found(index, index.filter({"year": {">": 2007}})) == ["p8", "p9"]


@on_indexes
async def test_access_is_kept_over_what_was_there_before(indexes: Indexes) -> None:
    index = indexes(fields={})
    await index.add([passage("a", owner="acme", seen_by=["ann"]), passage("b", owner="beta", seen_by=["ann"])])
    index = await indexes.reopened(**ACCESS)
    assert await found(index, index.allowed("acme", "ann")) == ["a"]
    assert await found(index, index.allowed("beta", "ann")) == ["b"]
