"""The reranker that needs no model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.values import Document
from ragweave.retrievers.ranking.overlap import Overlap


def passage(text: str, title: str = "", score: float = 0.0) -> Document:
    return Document(id=f"{title}{text}{score}", text=text, title=title, score=score)


async def test_more_of_the_question_is_better() -> None:
    scores = await Overlap().score(
        "yeast in the dough", [passage("salt"), passage("dough"), passage("yeast for dough")]
    )
    assert scores[2] == max(scores)


async def test_neighbouring_words_and_titles_count() -> None:
    question = "stone soup from Almeirim"
    apart, together = await Overlap(retrieval=0).score(question, [passage("soup of stone"), passage("a stone soup")])
    assert together > apart
    other, named = await Overlap(retrieval=0).score(
        question, [passage("Boil.", "Soup from Lisbon and Porto"), passage("Boil.", "Stone Soup")]
    )
    assert named > other


async def test_without_shared_words_the_order_stays() -> None:
    ranked = [passage("one", score=0.9), passage("two", score=0.5), passage("three", score=0.1)]
    scores = await Overlap().score("xylophone", ranked)
    assert scores == sorted(scores, reverse=True)
    unscored = await Overlap().score("xylophone", [passage(text) for text in "abc"])
    assert unscored == [0, 0, 0]


@given(
    st.text(max_size=40), st.lists(st.tuples(st.text(max_size=60), st.text(max_size=20), st.floats(-5, 5)), max_size=8)
)
async def test_scores_are_bounded(question: str, texts: list[tuple[str, str, float]]) -> None:
    reranker = Overlap()
    scores = await reranker.score(question, [passage(*text) for text in texts])
    assert len(scores) == len(texts)
    assert all(0 <= score <= 2.2 + 1e-9 for score in scores)
