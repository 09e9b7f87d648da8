"""What holds for every index, even one that lives and dies with its process: search, add, delete and count."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from ragweave.evals.kit.retriever.harness import REFUSED, Indexes, MakeIndex, WordVectors, found, on_indexes, passage
from ragweave.orchestrator.errors import IndexUnusable, InputError, NodeError
from ragweave.orchestrator.values import Document

_TEXTS = {
    "tea": "Green tea steeps for two minutes in hot water.",
    "bread": "Bread rises for an hour under a cloth.",
    "garden": "Tomatoes want sun, and water in the evening.",
    "bicycle": "Oil the chain when it squeaks.",
    "letter": "The letter was sent on Monday from Lisbon.",
}
_PASSAGES = [passage(key, text) for key, text in _TEXTS.items()]


@on_indexes
async def test_an_index_that_was_never_written_holds_nothing(indexes: Indexes) -> None:
    index = indexes()
    with contextlib.suppress(IndexUnusable):  # it may also say that there is none yet
        assert await index.search("tea", 10) == []
    with contextlib.suppress(IndexUnusable):
        stats = await index.stats()
        assert (stats.passages, stats.documents, stats.vectors) == (0, 0, 0)
    assert await index.delete(index.filter({"source": "a.md"})) == 0


@on_indexes
async def test_the_best_passage_comes_first(indexes: Indexes) -> None:
    index = indexes()
    assert await index.add(_PASSAGES) == 5
    for one in _PASSAGES:
        best = (await index.search(one.text, 3))[0]
        assert best.id == one.id
        assert best.text == one.text


@on_indexes
async def test_scores_say_the_order(indexes: Indexes) -> None:
    index = indexes()
    await index.add(_PASSAGES)
    scores = [one.score for one in await index.search("passage: does tea need hot water?", 5)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]


@on_indexes
async def test_no_more_than_top_k_are_found(indexes: Indexes) -> None:
    index = indexes()
    await index.add(_PASSAGES)
    everything = [one.id for one in await index.search("passage about water", 5)]
    assert sorted(everything) == sorted(_TEXTS)
    for top_k in (1, 2, 5, 6, 1000):
        assert [one.id for one in await index.search("passage about water", top_k)] == everything[:top_k]
    assert await index.search("passage about water", 0) == []


@on_indexes
async def test_the_same_question_finds_the_same(indexes: Indexes) -> None:
    index = indexes()
    await index.add(_PASSAGES)
    first = await index.search("passage: when to water tomatoes", 4)
    assert [await index.search("passage: when to water tomatoes", 4) for _ in range(3)] == [first] * 3


@on_indexes
async def test_a_blank_query_finds_nothing(indexes: Indexes) -> None:
    index = indexes()
    await index.add(_PASSAGES)
    for query in ("", " ", "\n\t ", "\u3000"):
        assert await index.search(query, 10) == []


@on_indexes
async def test_no_query_is_too_odd(indexes: Indexes) -> None:
    index = indexes()
    await index.add(_PASSAGES)
    for query in ("\ud800 tea", "tea\0", "🍵" * 2000, "' OR 1=1; --", '$where {} \\ " %s', "tea " * 20_000):
        assert len(await index.search(query, 10)) <= 5


@on_indexes
async def test_adding_says_how_many_are_new(indexes: Indexes) -> None:
    index = indexes()
    assert await index.add([]) == 0
    assert await index.add(_PASSAGES[:2]) == 2
    assert await index.add(_PASSAGES[:3]) == 1
    assert await index.add(_PASSAGES) == 2
    assert await found(index) == sorted(_TEXTS)


@on_indexes
async def test_a_passage_takes_the_place_of_one_with_the_same_id(indexes: Indexes) -> None:
    index = indexes()
    old = passage("one", "old", language="de", year=1999, tags=["a"])
    await index.add([old, passage("two", "other")])
    new = Document(id="one", text="passage new", title="Title", source="elsewhere.md", metadata={"draft": True})
    assert await index.add([new]) == 0
    assert await found(index) == ["one", "two"]
    kept = {document.id: document for document in await index.search("passage", 10)}["one"]
    assert kept.model_copy(update={"score": 0.0}) == new
    # Nothing is left of what it was: neither its fields nor its source.
    for gone in ({"language": "de"}, {"year": 1999}, {"tags": "a"}, {"source": old.source}):
        assert "one" not in await found(index, index.filter(gone))
    assert await found(index, index.filter({"draft": True, "source": "elsewhere.md"})) == ["one"]


@on_indexes
async def test_a_long_passage_is_replaced_by_a_short_one(indexes: Indexes) -> None:
    index = indexes()
    await index.add([passage("one", "Rhubarb grows in spring. " * 400 + "The word is xylophone."), passage("two")])
    assert (await index.search("xylophone", 1))[0].id == "one"
    before = (await index.stats()).vectors
    await index.add([passage("one", "short")])
    stats = await index.stats()
    assert stats.passages == 2
    assert stats.vectors <= before
    assert [one.text for one in await index.search("passage short", 1)] == ["passage short"]
    assert await found(index, query="passage xylophone") == ["one", "two"]


@on_indexes
async def test_of_two_with_one_id_the_last_is_kept(indexes: Indexes) -> None:
    index = indexes()
    assert await index.add([passage("one", "first"), passage("two"), passage("one", "last")]) == 2
    assert sorted(one.text for one in await index.search("passage", 10)) == ["passage last", "passage two"]


@on_indexes
async def test_all_are_added_or_none(indexes: Indexes) -> None:
    index = indexes()
    await index.add([passage("one", "old")])
    with pytest.raises(NodeError):
        await index.add([passage("one", "new"), passage("two"), passage("three", REFUSED)])
    assert [one.text for one in await index.search("passage", 10)] == ["passage old"]
    assert (await index.stats()).passages == 1
    assert await index.add([passage("two")]) == 1


@on_indexes
async def test_deleted_passages_are_gone(indexes: Indexes) -> None:
    index = indexes()
    await index.add([passage(f"p{n}", year=2000 + n) for n in range(10)])
    assert await index.delete(index.filter({"year": {"<": 2004}})) == 4
    assert await found(index) == [f"p{n}" for n in range(4, 10)]
    assert (await index.stats()).passages == 6
    assert await index.delete(index.filter({"year": {"<": 2004}})) == 0
    assert await index.add([passage("p1", year=2001)]) == 1
    assert await index.delete(index.filter({"source": "p.md"})) == 7
    assert await found(index) == []
    assert (await index.stats()).passages == 0


@on_indexes
async def test_deleting_everything_is_refused(indexes: Indexes) -> None:
    index = indexes()
    await index.add(_PASSAGES)
    with pytest.raises(InputError):
        await index.delete(())
    assert len(await found(index)) == 5


@on_indexes
async def test_it_counts_what_it_holds(indexes: Indexes) -> None:
    index = indexes()
    await index.add([passage("a1"), passage("a2"), passage("b1"), Document(id="none", text="passage of no source")])
    stats = await index.stats()
    assert stats.passages == 4
    assert stats.documents in (2, 3)  # what has no source is a document of its own, or none
    assert stats.vectors >= 4
    assert stats.embedder
    assert stats.dimension == WordVectors().dimension
    assert stats.bytes is None or stats.bytes > 0
    assert stats.how
    await index.delete(index.filter({"source": "a.md"}))
    assert (await index.stats()).passages == 2


@on_indexes
async def test_searches_while_others_add(indexes: Indexes) -> None:
    index = indexes()
    await index.add([passage("first", year=0)])
    done: set[int] = set()

    async def add(batch: int) -> None:
        await index.add([passage(f"{batch}-{n}", year=batch) for n in range(8)])
        done.add(batch)

    async def look() -> None:
        for _ in range(4):
            before = set(done)
            seen = [document.metadata["year"] for document in await index.search("passage", 1000)]
            for batch in range(1, 5):
                assert seen.count(batch) in ((8,) if batch in before else (0, 8))
            assert seen.count(0) == 1
            await asyncio.sleep(0)

    await asyncio.gather(*(add(batch) for batch in range(1, 5)), *(look() for _ in range(4)))
    assert len(await found(index)) == 33


def test_it_is_used_from_several_threads_and_loops(make_index: MakeIndex) -> None:
    index = make_index(WordVectors())

    def use(number: int) -> list[str]:
        async def do() -> list[str]:
            await index.add([passage(f"p{number}")])
            return [one.id for one in await index.search(f"passage p{number}", 10)]

        return asyncio.run(do())

    try:
        with ThreadPoolExecutor(4) as threads:
            for number, ids in enumerate(threads.map(use, range(8))):
                assert f"p{number}" in ids
        assert len(asyncio.run(found(index))) == 8
    finally:
        asyncio.run(index.close())


@on_indexes
async def test_places_have_nothing_in_common(indexes: Indexes) -> None:
    one, other = indexes(place=1), indexes(place=2)
    await one.add(_PASSAGES)
    await other.add([passage("other")])
    assert await found(other) == ["other"]
    await other.delete(other.filter({"source": "o.md"}))
    assert len(await found(one)) == 5
