"""Vector stores of LangChain as indexes, against the contract of indexes and in graphs."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("langchain", reason="the extra 'langchain' is not installed")

from langchain_core.documents import Document as TheirDocument
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore

from ragweave import Graph, GraphError
from ragweave.evals.kit.retriever.alone import *  # noqa: F403
from ragweave.evals.kit.retriever.filtering import *  # noqa: F403
from ragweave.evals.kit.retriever.harness import MakeIndex, WordVectors, found, passage
from ragweave.evals.kit.retriever.keeping import *  # noqa: F403
from ragweave.orchestrator.access import Access
from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.errors import InputError, PluginError, ResourceError
from ragweave.orchestrator.interop import register
from ragweave.orchestrator.interop.vectorstore import VectorStoreIndex
from ragweave.orchestrator.registry import find
from ragweave.orchestrator.values import Document
from tests.interop.things import TEXTS, WordCounts

PASSAGES = [passage("p1", "the key is under the mat", year=2020), passage("p2", "the key of the garage", year=2024)]


@pytest.fixture
def make_index() -> MakeIndex:
    stores: dict[int, InMemoryVectorStore] = {}

    def make(embedder: Embedder, place: int = 0, **settings: Any) -> VectorStoreIndex:
        store = stores.setdefault(place, InMemoryVectorStore(embedder.as_langchain()))
        access = settings.pop("access", None)
        return VectorStoreIndex.of(store, **settings, access=access and Access(**access))

    return make


class Hidden(VectorStore):
    """A store that searches, and cannot list or look up what it holds."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.asked: list[int] = []

    def similarity_search(self, query: str, k: int = 4, **_: Any) -> list[TheirDocument]:
        self.asked.append(k)
        return [TheirDocument(text, metadata={"n": n}) for n, text in enumerate(self.texts)][:k]

    def add_texts(self, texts: Any, metadatas: Any = None, **_: Any) -> list[str]:
        self.texts += list(texts)
        return list(map(str, range(len(self.texts))))

    @classmethod
    def from_texts(cls, texts: Any, embedding: Any, metadatas: Any = None, **_: Any) -> Hidden:
        return cls(texts)


def graph_over(store: Any, **settings: Any) -> Graph:
    return Graph(
        inputs={"question": "str"},
        outputs=["documents"],
        retrievers={"notes": store},
        nodes={"find": {"type": "retriever", "retriever": "notes", **settings}},
        edges=["start -> find -> end"],
    )


def test_a_graph_takes_a_store_as_it_is() -> None:
    store = InMemoryVectorStore(WordCounts())
    store.add_documents(
        [TheirDocument(text, id=str(n), metadata={"source": f"{n}.md"}) for n, text in enumerate(TEXTS)]
    )
    found = graph_over(store, top_k=2, where={"source": {"in": ["1.md", "2.md"]}}).run(question="the lamp")["documents"]
    assert [(one.id, one.source) for one in found] == [("1", "1.md"), ("2", "2.md")]
    assert found[0].score > found[1].score


def test_a_filter_by_a_field_that_was_not_declared_is_found_when_the_graph_is_made() -> None:
    store = InMemoryVectorStore(WordCounts())
    with pytest.raises(GraphError, match="'year'"):
        graph_over(store, where={"year": 2024})
    declared = VectorStoreIndex.of(store, fields={"year": "int"})
    assert graph_over(declared, where={"year": 2024}).run(question="x")["documents"] == []
    with pytest.raises(ResourceError, match=r"access\.tenant"):
        VectorStoreIndex.of(store, access=Access(tenant="owner"))


async def test_a_store_that_only_searches_says_what_it_cannot_do() -> None:
    store = Hidden([f"text {n}" for n in range(100)])
    with pytest.raises(GraphError, match="cannot filter"):
        graph_over(store, where={"source": "a"})
    index = VectorStoreIndex.of(store, fields={"n": "int"})
    found = await index.search("text", 3, index.filter({"n": {">=": 90}}))
    assert [one.text for one in found] == ["text 90", "text 91", "text 92"]
    assert store.asked == [32, 128]  # it was asked for more until it had given enough
    assert [one.score for one in await index.search("text", 3)] == [1.0, 1 / 2, 1 / 3]
    with pytest.raises(InputError, match="Hidden cannot be deleted from"):
        await index.delete(index.filter({"n": 1}))
    with pytest.raises(InputError, match="Hidden cannot be counted"):
        await index.stats()
    assert await index.add([Document(id="new", text="text new")]) == 1
    assert store.texts[-1] == "text new"


def test_a_store_is_registered_under_a_name() -> None:
    register("shelf_of_stores", InMemoryVectorStore(WordCounts()))
    made: Any = find("retrievers", "shelf_of_stores")
    assert issubclass(made, VectorStoreIndex)
    with pytest.raises(PluginError, match="under nodes"):
        register("shelf_as_node", InMemoryVectorStore(WordCounts()), kind="nodes")


async def test_chroma_of_langchain() -> None:
    pytest.importorskip("chromadb", reason="the extra 'chroma' is not installed")
    chroma = pytest.importorskip("langchain_chroma", reason="langchain-chroma is not installed")
    from chromadb.config import Settings

    store = chroma.Chroma("notes", WordVectors().as_langchain(), client_settings=Settings(anonymized_telemetry=False))
    index = VectorStoreIndex.of(store, fields={"year": "int", "tags": "list[str]"})
    odd = Document(
        id="\ud800", text="passage \0 of tea", title="T", offsets=(1, 2), metadata={"tags": ["a"], "n": None}
    )
    assert await index.add([*PASSAGES, odd]) == 3
    assert await index.add([odd]) == 0
    best = (await index.search("passage: where is the key of the garage", 1))[0]
    assert (best.id, 0 < best.score <= 1) == ("p2", True)
    assert await found(index, index.filter({"year": {"<": 2024}})) == ["p1"]
    (kept,) = await index.search("passage", 5, index.filter({"tags": "a"}))
    assert kept.model_copy(update={"score": 0.0}) == odd
    assert await index.delete(index.filter({"year": 2020})) == 1
    stats = await index.stats()
    assert (stats.passages, stats.embedder, stats.dimension) == (2, "kit/32", 32)
