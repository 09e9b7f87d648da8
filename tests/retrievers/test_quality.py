"""Retrieval is good enough on questions that it was not tuned to; `measure.py` prints the whole tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragweave.retrievers.embedders.minilm import MiniLM, available
from ragweave.retrievers.indexes.indexing import build_index
from tests.retrievers.folders import needs_shared
from tests.retrievers.measure import Pipeline, Question, documents, quality, questions

pytestmark = needs_shared
needs_minilm = pytest.mark.skipif(available() is not None, reason="needs the extra 'local'")


@pytest.fixture(scope="module")
def cookbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cookbook")
    build_index(documents("cookbook", folder), folder / "index", MiniLM())
    return folder / "index"


@pytest.fixture(scope="module")
def hotpot(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Question]]:
    """The first 40 questions of HotpotQA and the 400 paragraphs that came with them."""
    folder = tmp_path_factory.mktemp("hotpot")
    build_index(documents("hotpotqa", folder / "documents", first=40), folder / "index", MiniLM())
    return folder / "index", questions("hotpotqa")[:40]


@needs_minilm
async def test_the_cookbook_is_answered_from_five_passages(cookbook: Path) -> None:
    asked = questions("cookbook")
    assert len(asked) == 23
    pipeline = Pipeline(cookbook)
    for ranked in (
        await pipeline.reranked(asked),
        await pipeline.decomposed(asked),
        await pipeline.decomposed(asked, rounds=2),
    ):
        found = quality(ranked, asked)
        assert found.some >= 22, found
        assert found.all >= 20, found


@needs_minilm
async def test_on_the_cookbook_the_hybrid_is_no_worse_than_words(cookbook: Path) -> None:
    asked = questions("cookbook")
    words = quality(await Pipeline(cookbook, weight=0, links=False).plain(asked), asked)
    hybrid = quality(await Pipeline(cookbook).plain(asked), asked)
    assert (hybrid.some, hybrid.all) >= (words.some, words.all)
    assert hybrid.ndcg >= words.ndcg - 0.01


@needs_minilm
async def test_on_two_hop_questions_the_hybrid_beats_both_halves(hotpot: tuple[Path, list[Question]]) -> None:
    index, asked = hotpot
    words = quality(await Pipeline(index, weight=0).plain(asked), asked)
    vectors = quality(await Pipeline(index, weight=1).plain(asked), asked)
    hybrid = quality(await Pipeline(index).plain(asked), asked)
    reranked = quality(await Pipeline(index).reranked(asked), asked)
    assert hybrid.ndcg >= max(words.ndcg, vectors.ndcg) - 0.01, (words, vectors, hybrid)
    assert reranked.ndcg >= hybrid.ndcg - 0.005
    assert reranked.all >= hybrid.all


@pytest.mark.parametrize("name", ["cookbook", "clapnq", "hotpotqa", "musique"])
async def test_the_reranker_does_no_harm_to_a_search_by_words(name: str, tmp_path: Path) -> None:
    build_index(documents(name, tmp_path / "documents"), tmp_path / "index", None)
    asked = questions(name)
    pipeline = Pipeline(tmp_path / "index")
    plain = quality(await pipeline.plain(asked), asked)
    reranked = quality(await pipeline.reranked(asked), asked)
    # What names have brought in shares few words with the question: its place may fall a little.
    assert reranked.ndcg >= plain.ndcg - 0.01
    assert reranked.recall >= plain.recall - 0.01
    assert reranked.some >= plain.some
    assert reranked.all >= plain.all - 1
