"""LangChain: an EnsembleRetriever over BM25Retriever and Chroma, all with their defaults but for how many are asked."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from langchain_chroma import Chroma
from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.retrievers import BM25Retriever
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from pipelines.protocol import Passages, Search, Vectors

PACKAGES = ("langchain-classic", "langchain-community", "langchain-chroma", "chromadb", "rank-bm25")
IMPORT = """
from langchain_chroma import Chroma
from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.retrievers import BM25Retriever
from langchain_huggingface import HuggingFaceEmbeddings
"""
FUSIONS = ("rrf",)


class Given(Embeddings):
    """Looks texts up."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Their vectors."""
        return [self.vectors[text] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Its vector."""
        return self.vectors[text]


def given(vectors: Vectors) -> Embeddings:
    """Vectors that were computed before."""
    return Given(vectors)


def real(model: str) -> Embeddings:
    """sentence-transformers in LangChain's wrapper."""
    from langchain_huggingface import HuggingFaceEmbeddings

    return HuggingFaceEmbeddings(model_name=model, model_kwargs={"device": "cpu"})


def _documents(passages: Passages) -> list[Document]:
    return [Document(page_content=one.full, metadata={"id": one.id}, id=one.id) for one in passages]


class Built(NamedTuple):
    """Both retrievers' indexes."""

    words: BM25Retriever
    store: Chroma


def build(passages: Passages, embeddings: Embeddings, folder: Path) -> Built:
    """Chroma in `folder`."""
    documents = _documents(passages)
    store = Chroma.from_documents(documents, embeddings, persist_directory=str(folder))
    return Built(BM25Retriever.from_documents(documents), store)


def reopen(passages: Passages, embeddings: Embeddings, folder: Path) -> Built:
    """Chroma as it is in `folder`; BM25Retriever keeps nothing and is made anew."""
    store = Chroma(embedding_function=embeddings, persist_directory=str(folder))
    return Built(BM25Retriever.from_documents(_documents(passages)), store)


def search(built: Built, fusion: str, depth: int) -> Search:
    """The ensemble, weighted evenly."""
    retriever = EnsembleRetriever(
        retrievers=[
            built.words.model_copy(update={"k": depth}),
            built.store.as_retriever(search_kwargs={"k": depth}),
        ],
        weights=[0.5, 0.5],
    )
    return lambda question: [document.metadata["id"] for document in retriever.invoke(question)]


def words(passages: Passages, depth: int) -> Search:
    """BM25Retriever alone."""
    retriever = BM25Retriever.from_documents(_documents(passages), k=depth)
    return lambda question: [document.metadata["id"] for document in retriever.invoke(question)]
