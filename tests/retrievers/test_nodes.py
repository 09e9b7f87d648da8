"""The two nodes, called as a graph calls them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Reranker, Retriever
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document
from ragweave.retrievers.nodes import RerankerNode, RetrieverNode, keep_leaders


class Listing(Retriever, type="listing"):
    """Finds one passage: what it was asked for."""

    async def search(self, query: str, top_k: int) -> list[Document]:
        """The query itself, and how many were wanted."""
        return [Document(id=query, text=f"{query} / {top_k}")]


def context() -> Context:
    resources = Resources()
    resources.put("retrievers", "recipes", Listing())
    return Context(resources=resources)


def documents(*texts: str) -> list[Document]:
    return [Document(id=str(place), text=text, score=1 - place / 100) for place, text in enumerate(texts)]


async def found(query: str | None, question: str = "What is x?", **settings: bool) -> str:
    node = RetrieverNode(retriever="recipes", top_k=7, **settings)
    written = await node(question=question, ctx=context(), query=query)
    return written["documents"][0].text


async def test_the_retriever_searches_the_question_or_a_part_of_it() -> None:
    assert await found(None) == "What is x? / 7"
    assert await found("") == "What is x? / 7"
    assert await found("What is x?") == "What is x? / 7"
    assert await found("the y of x") == "the y of x What is x? / 7"
    assert await found("the y of x", with_question=False) == "the y of x / 7"


def test_what_the_nodes_read_and_write() -> None:
    reads = {name: read.required for name, read in RetrieverNode.declared.reads.items()}
    assert reads == {"question": True, "query": False}
    reads = {name: read.required for name, read in RerankerNode.declared.reads.items()}
    assert reads == {"question": True, "documents": True, "queries": False}
    assert list(RetrieverNode.declared.writes) == list(RerankerNode.declared.writes) == ["documents"]
    assert RetrieverNode.origin == "retrieved"


async def test_an_unknown_retriever_is_named() -> None:
    with pytest.raises(ResourceError, match="no retriever is named 'recipe'"):
        await RetrieverNode(retriever="recipe")(question="x", ctx=Context())


async def test_the_reranker_keeps_the_best() -> None:
    given_documents = documents("nothing", "still nothing", "cook the rice in milk", "rice")
    written = await RerankerNode(top_k=2)(question="rice in milk", documents=given_documents, ctx=Context())
    assert written["documents"][0].id == "2"
    assert len(written["documents"]) == 2
    assert await RerankerNode()(question="x", documents=[], ctx=Context()) == {"documents": []}


async def test_each_part_of_a_question_keeps_its_best_passage() -> None:
    texts = [f"the long history of the lasagna number {number}" for number in range(8)]
    given_documents = documents(*texts, "white sauce: butter and milk")
    part = await RerankerNode(top_k=3)(
        question="the history of lasagna, and the white sauce",
        documents=given_documents,
        ctx=Context(),
        queries=["the white sauce"],
    )
    assert "8" in [document.id for document in part["documents"]]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.data(), st.integers(1, 10))
def test_leaders_stay_and_order_is_kept(scores: Sequence[float], data: st.DataObject, top_k: int) -> None:
    leaders = data.draw(st.lists(st.integers(0, len(scores) - 1), max_size=4))
    kept = keep_leaders(scores, leaders, top_k)
    assert len(kept) == len(set(kept)) == min(top_k, len(scores))
    assert [scores[place] for place in kept] == sorted((scores[place] for place in kept), reverse=True)
    assert max(scores) == scores[kept[0]]
    if top_k > len(leaders):
        assert set(leaders) <= set(kept)


class Named(Reranker):
    """Scores a passage by how often its text holds the words of the question."""

    async def score(self, question: str, documents: Sequence[Document]) -> list[float]:
        return [document.score + document.text.count(question) for document in documents]


async def test_a_part_that_a_kept_passage_answers_takes_no_place() -> None:
    found = documents("x", "y y y y", "y y y y y", "z")
    resources = Resources()
    resources.put("rerankers", "named", Named())
    node = RerankerNode(reranker="named", top_k=2)

    async def kept(*queries: str) -> list[str]:
        written = await node(question="?", documents=found, ctx=Context(resources=resources), queries=list(queries))
        return [document.id for document in written["documents"]]

    assert await kept() == ["0", "1"]
    assert await kept("y") == ["0", "1"]  # nearly as good for y as the passage 2
    assert await kept("z") == ["0", "3"]
