"""Retrievers, graphs and embedders of ours in chains of LangChain."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import pytest

pytest.importorskip("langchain", reason="the extra 'langchain' is not installed")

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from ragweave import Graph
from ragweave.evals.kit.retriever.harness import ACCESS, WordVectors, passage
from ragweave.orchestrator.errors import InputError, OutputError
from ragweave.orchestrator.interop.retriever import LangChainRetriever
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes.hybrid import Hybrid

PASSAGES = [
    passage("p1", "the key is under the mat", owner="acme", seen_by=["ann"]),
    passage("p2", "the key of the garage", owner="beta", seen_by=["ann"]),
]


@pytest.fixture
async def index(tmp_path: Path) -> Hybrid:
    resources = Resources(folder=tmp_path)
    resources.put("embedders", "given", WordVectors())
    index = Hybrid(index="index", embedder="given", fields=ACCESS["fields"])
    index.open(resources)
    await index.add(PASSAGES)
    return index


async def test_an_index_is_a_retriever_of_a_chain(index: Hybrid) -> None:
    retriever = index.as_langchain(top_k=1)
    assert isinstance(retriever, BaseRetriever)
    (one,) = await retriever.ainvoke("passage: key of the garage")
    assert (one.id, one.page_content, one.metadata["source"]) == ("p2", PASSAGES[1].text, "p.md")
    assert one.metadata["score"] > 0
    chain: Any = {"notes": retriever, "question": RunnablePassthrough()} | RunnablePassthrough()
    assert (await chain.ainvoke("passage: key of the garage"))["notes"][0].id == "p2"


def test_a_sync_chain_calls_it_too(index: Hybrid) -> None:
    assert [one.id for one in index.as_langchain().invoke("passage", k=2, where={"owner": "acme"})] == ["p1"]
    with pytest.raises(InputError, match="owned"):
        index.as_langchain().invoke("passage", where={"owned": "acme"})


async def test_access_holds_in_chains(tmp_path: Path, index: Hybrid) -> None:
    resources = Resources(folder=tmp_path)
    resources.put("embedders", "given", WordVectors())
    guarded = Hybrid(index="index", embedder="given", **ACCESS)
    guarded.open(resources)
    retriever = guarded.as_langchain()
    with pytest.raises(InputError, match="tenant"):
        await retriever.ainvoke("passage")
    assert [one.id for one in await retriever.ainvoke("passage", tenant="beta", user="ann")] == ["p2"]


async def test_a_retriever_comes_back_as_it_went(index: Hybrid) -> None:
    found = await LangChainRetriever.of(index.as_langchain()).search("passage: key of the garage", 2)
    assert [(one.id, one.text, one.source) for one in found] == [
        ("p2", PASSAGES[1].text, "p.md"),
        ("p1", PASSAGES[0].text, "p.md"),
    ]


class Found(TypedDict):
    documents: list[Document]


async def test_a_graph_that_finds_documents_is_a_retriever() -> None:
    def find(question: str, most: int) -> Found:
        return {"documents": [Document(id=str(n), text=f"{question} {n}", score=1 / (n + 1)) for n in range(most)]}

    graph = Graph(
        name="finder", inputs={"question": "str", "most": {"type": "int", "default": 2}}, outputs=["documents"],
        nodes={"find": find}, edges=["start -> find -> end"],
    )  # fmt: skip
    retriever = graph.as_retriever()
    assert [one.page_content for one in await retriever.ainvoke("who")] == ["who 0", "who 1"]
    assert [one.page_content for one in await retriever.ainvoke("who", most=1)] == ["who 0"]
    with pytest.raises(OutputError, match=r"'document'.*did you mean 'documents'"):
        graph.as_retriever(output="document")


def test_a_graph_that_needs_more_than_a_question_is_no_retriever() -> None:
    def find(question: str, language: str) -> Found:
        return {"documents": []}

    graph = Graph(
        name="finder", inputs={"question": "str", "language": "str"}, outputs=["documents"],
        nodes={"find": find}, edges=["start -> find -> end"],
    )  # fmt: skip
    with pytest.raises(InputError, match="question, language"):
        graph.as_retriever()


def test_an_embedder_is_embeddings_of_a_store() -> None:
    embedder = WordVectors()
    embeddings = embedder.as_langchain()
    assert isinstance(embeddings, Embeddings)
    texts = ["green tea", "black tea"]
    assert np.allclose(embeddings.embed_documents(texts), embedder.embed(texts))
    assert np.allclose(embeddings.embed_query("tea"), embedder.embed(["tea"])[0])
    assert embeddings.embed_documents([]) == []
    store = InMemoryVectorStore(embeddings)
    store.add_texts(texts)
    assert store.similarity_search("something black", k=1)[0].page_content == "black tea"
