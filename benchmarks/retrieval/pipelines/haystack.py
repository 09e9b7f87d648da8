"""Haystack: a Pipeline of the two in-memory retrievers and a DocumentJoiner."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from haystack import Document, Pipeline, component
from haystack.components.joiners import DocumentJoiner
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore

from pipelines.protocol import Passages, Search, Vectors

PACKAGES = ("haystack-ai",)
IMPORT = """
from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder, SentenceTransformersTextEmbedder,
)
"""
#: What makes embedders of documents and of questions: a component belongs to one pipeline only.
Embeddings = tuple[Callable[[], Any], Callable[[], Any]]
FUSIONS = ("concatenate", "reciprocal_rank_fusion", "distribution_based_rank_fusion")


@component
class GivenDocuments:
    """Looks the vectors of documents up."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """The documents with their vectors."""
        for document in documents:
            document.embedding = self.vectors[document.content or ""]
        return {"documents": documents}


@component
class GivenText:
    """Looks the vector of a question up."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, Any]:
        """Its vector."""
        return {"embedding": self.vectors[text]}


def given(vectors: Vectors) -> Embeddings:
    """Vectors that were computed before: of documents and of questions."""
    return partial(GivenDocuments, vectors), partial(GivenText, vectors)


def real(model: str) -> Embeddings:
    """sentence-transformers in Haystack's two components."""
    from haystack.utils import ComponentDevice
    from haystack_integrations.components.embedders import sentence_transformers as embedders

    device = ComponentDevice.from_str("cpu")
    return (
        partial(embedders.SentenceTransformersDocumentEmbedder, model=model, device=device, progress_bar=False),
        partial(embedders.SentenceTransformersTextEmbedder, model=model, device=device, progress_bar=False),
    )


def _documents(passages: Passages) -> list[Document]:
    return [Document(id=one.id, content=one.full) for one in passages]


class Built(NamedTuple):
    """The store, and what makes an embedder of questions."""

    store: InMemoryDocumentStore
    embedder: Callable[[], Any]


def build(passages: Passages, embeddings: Embeddings, folder: Path) -> Built:
    """The store in memory; it is kept in `folder`, as it can."""
    store = InMemoryDocumentStore()
    indexing = Pipeline()
    indexing.add_component("embedder", embeddings[0]())
    indexing.add_component("writer", DocumentWriter(store))
    indexing.connect("embedder.documents", "writer.documents")
    indexing.run({"embedder": {"documents": _documents(passages)}})
    store.save_to_disk(str(folder / "store.json"))
    return Built(store, embeddings[1])


def reopen(passages: Passages, embeddings: Embeddings, folder: Path) -> Built:
    """The store that was kept in `folder`."""
    return Built(InMemoryDocumentStore.load_from_disk(str(folder / "store.json")), embeddings[1])


def search(built: Built, fusion: str, depth: int) -> Search:
    """The pipeline of both retrievers and the joiner."""
    pipeline = Pipeline()
    pipeline.add_component("embedder", built.embedder())
    pipeline.add_component("words", InMemoryBM25Retriever(built.store, top_k=depth))
    pipeline.add_component("meaning", InMemoryEmbeddingRetriever(built.store, top_k=depth))
    pipeline.add_component("joiner", DocumentJoiner(join_mode=fusion))
    pipeline.connect("embedder.embedding", "meaning.query_embedding")
    pipeline.connect("words", "joiner")
    pipeline.connect("meaning", "joiner")

    def run(question: str) -> list[str]:
        found = pipeline.run({"embedder": {"text": question}, "words": {"query": question}})
        return [document.id for document in found["joiner"]["documents"]]

    return run


def words(passages: Passages, depth: int) -> Search:
    """InMemoryBM25Retriever alone."""
    store = InMemoryDocumentStore()
    store.write_documents(_documents(passages))
    retriever = InMemoryBM25Retriever(store, top_k=depth)
    return lambda question: [document.id for document in retriever.run(query=question)["documents"]]
