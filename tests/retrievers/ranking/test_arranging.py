"""What happens to found passages: feedback, diversity, near-duplicates, and what stands around them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document
from ragweave.retrievers.chunking import Chunks
from ragweave.retrievers.indexes.hybrid import Hybrid
from ragweave.retrievers.indexes.indexing import build_index
from ragweave.retrievers.ranking.diversity import distinct, diverse
from ragweave.retrievers.ranking.feedback import fed_back
from ragweave.retrievers.ranking.neighbours import around, joined, stretches
from tests.retrievers.folders import Letters, write

SENTENCE = "Tea number {0} is brewed for {0} minutes and drunk hot. "
SECTIONS = [f"Section {number}. " + SENTENCE.format(number) * 6 for number in range(1, 6)]
GUIDE = "\n\n".join(SECTIONS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long guide in several passages, and two files that say nearly the same."""
    home = tmp_path_factory.mktemp("arranging")
    files: dict[str, str | bytes] = {
        "guide.txt": GUIDE,
        "one.txt": "Rooibos is no tea at all, and it is brewed for ten minutes by those who drink it.",
        "two.txt": "Rooibos is no tea at all, and it is brewed for ten minutes by those who drink it!",
    }
    write(home / "docs", files)
    build_index(home / "docs", home / "index", Letters(), chunks=Chunks("tokens", 100))
    return home


async def found(folder: Path, query: str, top_k: int = 3, **settings: object) -> list[Document]:
    given_ = {"index": "index", "embedder": "letters", "chunks": "tokens", "chunk_tokens": 100, **settings}
    resources = Resources([ResourceSpec("retrievers", "docs", "hybrid", given_)], folder=folder)
    retriever: Hybrid = resources.get("retrievers", "docs")
    return await retriever.search(query, top_k)


async def test_a_passage_comes_with_its_neighbours_and_exact_offsets(folder: Path) -> None:
    (alone,) = await found(folder, "tea number 3", 1)
    (more,) = await found(folder, "tea number 3", 1, expand="neighbours")
    assert more.id == alone.id
    assert more.score == alone.score
    assert alone.text in more.text
    assert len(more.text) > len(alone.text)
    assert more.offsets is not None
    start, end = more.offsets
    assert len(more.text) == end - start
    assert more.text.split() == GUIDE[start:end].split()


async def test_all_of_a_document_comes_once(folder: Path) -> None:
    several = await found(folder, "tea number 3", 8, expand="parent")
    assert sorted(one.source for one in several) == ["guide.txt", "one.txt", "two.txt"]
    (guide,) = (one for one in several if one.source == "guide.txt")
    assert guide.text.split() == GUIDE.split()


async def test_near_duplicates_are_left_out_and_others_come_up(folder: Path) -> None:
    query = "rooibos is brewed for ten minutes"
    kept = await found(folder, query)
    assert {kept[0].source, kept[1].source} == {"one.txt", "two.txt"}
    dropped = await found(folder, query, duplicates="drop")
    assert dropped[0] == kept[0]
    assert len(dropped) == 3
    assert len({one.source for one in dropped} & {"one.txt", "two.txt"}) == 1


async def test_diversity_puts_unlike_passages_first(folder: Path) -> None:
    query = "rooibos is brewed for ten minutes"
    varied = await found(folder, query, diversity=0.7)
    assert varied[0] == (await found(folder, query))[0]
    assert varied[1].source == "guide.txt"


async def test_feedback_changes_no_more_than_its_share(folder: Path) -> None:
    plain = {one.id: one.score for one in await found(folder, "tea", 9, links=False)}
    fed = {one.id: one.score for one in await found(folder, "tea", 9, links=False, feedback=0.2)}
    assert plain.keys() == fed.keys()
    assert plain != fed
    assert all(abs(score - fed[name]) <= 0.2 for name, score in plain.items())


async def test_each_sentence_may_have_a_vector(tmp_path: Path) -> None:
    write(tmp_path / "docs", {"tea.txt": GUIDE, "table.txt": "Sencha | 70 degrees\nAssam | 100 degrees\n"})
    plain = build_index(tmp_path / "docs", tmp_path / "index", Letters())
    more = build_index(tmp_path / "docs", tmp_path / "index", Letters(), chunks=Chunks(sentences=True))
    assert more.rebuilt == "its documents were cut with other settings"
    assert more.chunks == plain.chunks
    assert more.vectors > plain.vectors + 10
    settings = {"index": "index", "embedder": "letters", "weight": 1, "windows": "sentences"}
    notices: list[str] = []
    resources = Resources(
        [ResourceSpec("retrievers", "docs", "hybrid", settings)], folder=tmp_path, notice=notices.append
    )
    retriever: Hybrid = resources.get("retrievers", "docs")
    (first, *_) = await retriever.search("tea number 4 is brewed for 4 minutes and drunk hot", 2)
    assert first.source == "tea.txt"
    assert notices == []


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=12), st.floats(0, 0.9), st.integers(1, 12))
def test_diverse_choices_are_places_and_begin_with_the_best(scores: list[float], share: float, limit: int) -> None:
    given_ = np.array(scores, np.float32)
    vectors = np.random.default_rng(len(scores)).normal(size=(len(scores), 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen = diverse(given_, vectors, share, limit).tolist()
    assert len(set(chosen)) == len(chosen) == min(limit, len(scores))
    assert given_[chosen[0]] == given_.max()
    if share == 0:
        assert [scores[place] for place in chosen] == sorted(scores, reverse=True)[:limit]
    assert fed_back(given_, vectors, 0) is given_


def test_what_is_not_shown_ends_a_stretch_and_nothing_is_given_twice() -> None:
    assert around(5, 2, 9, 1, lambda row: True) == range(4, 7)
    assert around(5, 2, 9, None, lambda row: row != 3) == range(4, 9)
    assert around(2, 2, 3, None, lambda row: False) == range(2, 3)
    assert list(stretches([5, 4, 8], lambda row: range(row - 2, row + 3))) == [(5, range(3, 8)), (8, range(8, 11))]


def test_passages_that_overlap_or_have_no_offsets_are_joined_too() -> None:
    pieces = [
        Document(id=str(place), text="abcdefgh"[place : place + 4], offsets=(place, place + 4)) for place in (0, 2)
    ]
    assert joined(pieces[1], pieces).text == "abcdef"
    assert joined(pieces[1], pieces).offsets == (0, 6)
    bare = [Document(id="a", text="one"), Document(id="b", text="two")]
    assert joined(bare[0], bare).text == "one\n\ntwo"
    assert joined(bare[0], bare).offsets is None
    assert [one.id for one in distinct([*bare, Document(id="c", text="one"), Document(id="d", text="")])] == [
        "a",
        "b",
        "d",
    ]
