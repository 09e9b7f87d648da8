"""ragweave: passages as a folder of files, indexed as `ragweave index` does, searched by the default retriever."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from pipelines.protocol import Passages, Search
from ragweave.orchestrator.contracts import Retriever
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.indexes.indexing import build_index

PACKAGES = ("ragweave",)
IMPORT = """
import ragweave
from ragweave import Graph
"""
FUSIONS = ("hybrid",)


def given(vectors: object) -> str:
    """The default embedder: it has these weights, and makes its own vectors."""
    return "minilm"


def real(model: str) -> str:
    """The default embedder: it has these weights."""
    return "minilm"


def files(passages: Passages, folder: Path) -> Path:
    """A text file for each passage, with its title as front matter."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in passages:
        front = f"---\ntitle: {json.dumps(one.title, ensure_ascii=False)}\n---\n" if one.title else ""
        (folder / f"{one.id}.txt").write_text(front + one.text, encoding="utf-8")
    return folder


def build(passages: Passages, embeddings: str, folder: Path) -> Retriever:
    """The index of the files of the passages, in `folder`."""
    embedder = Resources([]).get("embedders", embeddings)
    build_index(files(passages, folder / "documents"), folder / "index", embedder)
    return reopen(passages, embeddings, folder)


def reopen(passages: Passages, embeddings: str, folder: Path) -> Retriever:
    """The index that was built in `folder`."""
    settings = {"index": str(folder / "index"), "embedder": embeddings}
    retriever: Retriever = Resources([ResourceSpec("retrievers", "docs", "hybrid", settings)]).get("retrievers", "docs")
    return retriever


def search(built: Retriever, fusion: str, depth: int) -> Search:
    """All its defaults; a passage that is kept in pieces may be found twice, and counts once."""
    loop = asyncio.new_event_loop()

    def run(question: str) -> list[str]:
        found = loop.run_until_complete(built.search(question, 2 * depth))
        return list(dict.fromkeys(Path(document.source).stem for document in found))

    return run
