"""ragweave: passages as a folder of files, indexed as `ragweave index` does, searched by the default retriever."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from pipelines.protocol import Passages, Search, Vectors
from ragweave.orchestrator.contracts import Embedder, Retriever
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.embedders.minilm import MiniLM

PACKAGES = ("ragweave",)
IMPORT = """
import ragweave
from ragweave import Graph
"""
FUSIONS = ("hybrid",)


class LookedUp(MiniLM, type="looked_up"):
    """The default embedder, but that it knows the vectors of the questions."""

    known: ClassVar[dict[str, np.ndarray]] = {}

    def embed_queries(self, texts: Sequence[str]) -> np.ndarray:
        """Their vectors."""
        return np.stack([self.known[text] for text in texts])

    async def embed_query(self, text: str) -> np.ndarray:
        """Its vector."""
        return self.known[text]


class Built(NamedTuple):
    """An index, the embedder that it is searched with, and the passage of each file."""

    folder: Path
    embedder: str
    passages: dict[str, str]


def given(vectors: Vectors) -> str:
    """The default embedder, not these vectors: it has the same weights, and embeds what it has cut."""
    return "minilm"


def looked_up(vectors: Vectors) -> str:
    """Vectors of questions are looked up, for what a search costs without them."""
    LookedUp.known = {text: np.array(vector, dtype=np.float32) for text, vector in vectors.items()}
    return "looked_up"


@lru_cache
def _embedder(name: str) -> Embedder:
    embedder: Embedder = Resources([]).get("embedders", name)
    return embedder


def real(model: str) -> str:
    """The default embedder: it has these weights."""
    return "minilm"


def _name(key: str) -> str:
    """The file of a passage. Its place says nothing: the data sets number the passages of a question in a row."""
    return f"{hashlib.blake2b(key.encode(), digest_size=8).hexdigest()}.txt"


def files(passages: Passages, folder: Path) -> Path:
    """A text file for each passage, with its title as front matter."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in passages:
        front = f"---\ntitle: {json.dumps(one.title, ensure_ascii=False)}\n---\n" if one.title else ""
        (folder / _name(one.id)).write_text(front + one.text, encoding="utf-8")
    return folder


def build(passages: Passages, embeddings: str, folder: Path) -> Built:
    """The index of the files of the passages, in `folder`."""
    from ragweave.retrievers.indexes.indexing import build_index

    build_index(files(passages, folder / "documents"), folder / "index", _embedder(embeddings))
    return reopen(passages, embeddings, folder)


def reopen(passages: Passages, embeddings: str, folder: Path) -> Built:
    """The index that was built in `folder`."""
    return Built(folder / "index", embeddings, {_name(one.id): one.id for one in passages})


def search(built: Built, fusion: str, depth: int) -> Search:
    """All its defaults; a passage that is kept in pieces may be found twice, and counts once."""
    settings = {"index": str(built.folder), "embedder": built.embedder}
    retriever: Retriever = Resources([ResourceSpec("retrievers", "docs", fusion, settings)]).get("retrievers", "docs")
    loop = asyncio.new_event_loop()

    def run(question: str) -> list[str]:
        found = loop.run_until_complete(retriever.search(question, 2 * depth))
        return list(dict.fromkeys(built.passages[document.source] for document in found))

    return run
