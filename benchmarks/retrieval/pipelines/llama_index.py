"""LlamaIndex: a QueryFusionRetriever over a VectorStoreIndex and BM25Retriever, with no query written by a model."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import TextNode
from llama_index.retrievers.bm25 import BM25Retriever
from pydantic import PrivateAttr

from pipelines.protocol import Passages, Search, Vectors

PACKAGES = ("llama-index-core", "llama-index-retrievers-bm25", "bm25s")
IMPORT = """
from llama_index.core import VectorStoreIndex
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.retrievers.bm25 import BM25Retriever
"""
FUSIONS = ("simple", "reciprocal_rerank", "relative_score", "dist_based_score")


class Given(BaseEmbedding):
    """Looks texts up."""

    _vectors: Any = PrivateAttr()

    def __init__(self, vectors: Vectors) -> None:
        super().__init__(model_name="given")
        self._vectors = vectors

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._vectors[text]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._vectors[query]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._vectors[query]


def given(vectors: Vectors) -> BaseEmbedding:
    """Vectors that were computed before."""
    return Given(vectors)


def real(model: str) -> BaseEmbedding:
    """sentence-transformers in LlamaIndex's wrapper."""
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    return HuggingFaceEmbedding(model_name=model, device="cpu")


def _nodes(passages: Passages) -> list[TextNode]:
    return [TextNode(id_=one.id, text=one.full) for one in passages]


class Built(NamedTuple):
    """The index of vectors, and BM25."""

    index: Any
    words: BM25Retriever


def build(passages: Passages, embeddings: BaseEmbedding, folder: Path) -> Built:
    """Both indexes, kept in `folder`."""
    nodes = _nodes(passages)
    index = VectorStoreIndex(nodes, embed_model=embeddings)
    index.storage_context.persist(str(folder / "vectors"))
    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=10)
    retriever.persist(str(folder / "words"))
    return Built(index, retriever)


def reopen(passages: Passages, embeddings: BaseEmbedding, folder: Path) -> Built:
    """The indexes that were kept in `folder`."""
    storage = StorageContext.from_defaults(persist_dir=str(folder / "vectors"))
    index = load_index_from_storage(storage, embed_model=embeddings)
    return Built(index, BM25Retriever.from_persist_dir(str(folder / "words")))


def search(built: Built, fusion: str, depth: int) -> Search:
    """The fusion of both, with all that they found: it is cut where it is measured."""
    words = copy(built.words)
    words.similarity_top_k = depth
    both = QueryFusionRetriever(
        [built.index.as_retriever(similarity_top_k=depth), words],
        similarity_top_k=2 * depth,
        num_queries=1,
        mode=fusion,
        llm=MockLLM(),
        use_async=False,
    )
    return lambda question: [found.node.node_id for found in both.retrieve(question)]


def words(passages: Passages, depth: int) -> Search:
    """BM25Retriever alone."""
    retriever = BM25Retriever.from_defaults(nodes=_nodes(passages), similarity_top_k=depth)
    return lambda question: [found.node.node_id for found in retriever.retrieve(question)]
