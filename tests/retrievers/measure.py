"""Retrieval quality on the data sets beside the repository.

    python -m tests.retrievers.measure cookbook clapnq hotpotqa

prints one line for each way to search: recall@5 and nDCG@10 over documents, and for how many questions some, and all,
of the right documents are among the five passages that a reader would get. `--ranking` leaves out what is asked in
several steps, `--sentences` gives each sentence a vector as well. Indexes are kept in build/measure.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.merges import best, rrf
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document
from ragweave.prompts.decomposer import Decomposer
from ragweave.retrievers.chunking import Chunks
from ragweave.retrievers.indexes.indexing import build_index
from ragweave.retrievers.nodes import RerankerNode, RetrieverNode
from tests.retrievers.folders import ROOT, SHARED

Merge = Callable[[list[list[Document]]], list[Document]]


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the files that answer it."""

    text: str
    gold: frozenset[str]


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a ranking is, over all questions."""

    recall: float
    ndcg: float
    some: int
    all: int
    questions: int

    def __str__(self) -> str:
        return (
            f"recall@5 {100 * self.recall:.1f}   nDCG@10 {self.ndcg:.4f}   "
            f"some in 5: {self.some}/{self.questions}   all in 5: {self.all}/{self.questions}"
        )


def questions(name: str) -> list[Question]:
    """The questions of a set that can be answered from its documents."""
    if name == "cookbook":
        rows = _rows(SHARED / "demo_cookbook" / "questions.jsonl")
        rows = [row for row in rows if row["type"] not in ("filter", "abstain")]
        return [Question(row["question"], frozenset(row["gold_docs"])) for row in rows]
    return [
        Question(row["question"], frozenset(f"{gold}.txt" for gold in row["gold_ids"]))
        for row in _rows(SHARED / name / "queries.jsonl")
        if row["gold_ids"] and row.get("answerable", True)
    ]


def documents(name: str, folder: Path, first: int | None = None) -> Path:
    """The documents of a set as a folder of files, made in `folder`: all, or those of the first questions."""
    if name == "cookbook":
        return SHARED / "demo_cookbook" / "recipes"
    folder.mkdir(parents=True, exist_ok=True)
    asked = _rows(SHARED / name / "queries.jsonl")[:first]
    wanted = {key for row in asked for key in (*row["gold_ids"], *row.get("distractor_ids", ()))}
    for row in _rows(SHARED / name / "corpus.jsonl"):
        if first is not None and row["id"] not in wanted:
            continue
        front = f"---\ntitle: {json.dumps(row['title'], ensure_ascii=False)}\n---\n" if "title" in row else ""
        text = row["text"] if "text" in row else "\n".join(" | ".join(map(str.strip, cells)) for cells in row["table"])
        (folder / f"{row['id']}.txt").write_text(front + text, encoding="utf-8")
    return folder


def quality(ranked: Sequence[Sequence[Document]], asked: Sequence[Question]) -> Quality:
    """What these rankings are worth. Passages of one document count once in nDCG, and each for itself in the five."""
    gains, recalled, some, every = 0.0, 0.0, 0, 0
    for found, question in zip(ranked, asked, strict=True):
        sources = list(dict.fromkeys(Path(document.source).name for document in found))[:10]
        gain = sum(1 / math.log2(rank + 2) for rank, source in enumerate(sources) if source in question.gold)
        gains += gain / sum(1 / math.log2(rank + 2) for rank in range(min(10, len(question.gold))))
        recalled += len(set(sources[:5]) & question.gold) / len(question.gold)
        five = {Path(document.source).name for document in found[:5]}
        some += bool(five & question.gold)
        every += question.gold <= five
    return Quality(recalled / len(asked), gains / len(asked), some, every, len(asked))


class Pipeline:
    """Retrieving and reranking over one index, through the nodes that a graph has."""

    def __init__(self, index: Path, **settings: object) -> None:
        spec = ResourceSpec("retrievers", "docs", "hybrid", {"index": str(index), **settings})
        self.ctx = Context(resources=Resources([spec]))

    async def retrieve(self, question: str, query: str | None = None, top_k: int = 20) -> list[Document]:
        """What the retriever node writes."""
        written = await RetrieverNode(retriever="docs", top_k=top_k)(question=question, ctx=self.ctx, query=query)
        return written["documents"]

    async def rerank(
        self, question: str, found: list[Document], parts: list[str] | None = None, top_k: int = 5
    ) -> list[Document]:
        """What the reranker node writes."""
        node = RerankerNode(top_k=top_k)
        return (await node(question=question, documents=found, ctx=self.ctx, queries=parts))["documents"]

    async def plain(self, asked: Sequence[Question]) -> list[list[Document]]:
        """The retriever's order."""
        return [await self.retrieve(question.text) for question in asked]

    async def reranked(self, asked: Sequence[Question]) -> list[list[Document]]:
        """The reranker's order of what the question found."""
        return [await self.rerank(question.text, await self.retrieve(question.text), top_k=20) for question in asked]

    async def decomposed(self, asked: Sequence[Question], rounds: int = 1, merge: Merge = best) -> list[list[Document]]:
        """The decomposer's queries searched, merged and reranked; in a second round, what was found leads on."""
        rankings = []
        for question in asked:
            found: list[Document] = []
            queries: list[str] = []
            for _ in range(rounds):
                written = await Decomposer()(question=question.text, ctx=self.ctx, documents=found)
                queries = written["queries"]
                found = merge([await self.retrieve(question.text, query) for query in queries])
            rankings.append(await self.rerank(question.text, found, queries))
        return rankings


async def report(name: str, embedder: Embedder, *, only_ranking: bool = False, sentences: bool = False) -> None:
    """Print the table of one set."""
    build = ROOT / "build" / "measure" / name
    index = build / ("sentences" if sentences else "index")
    made = build_index(documents(name, build / "documents"), index, embedder, chunks=Chunks(sentences=sentences))
    print(
        f"{name}: {made.files} files, {made.chunks} passages, {made.vectors} vectors, indexed in {made.seconds:.1f} s"
    )
    asked = questions(name)
    shared: dict[str, object] = {"windows": "sentences"} if sentences else {}
    ways: dict[str, dict[str, object]] = {
        "words": {"weight": 0, "links": False, "boosts": 0},
        "vectors": {"weight": 1, "links": False, "boosts": 0},
        "both, rrf": {"fusion": "rrf", "weight": 0.5, "links": False, "boosts": 0},
        "both, auto": {"links": False, "boosts": 0},
        "  + boosts": {"links": False},
        "  + links": {"boosts": 0},
    }
    for way, settings in ways.items():
        pipeline = Pipeline(index, **shared, **settings)
        print(f"  {way:22}{quality(await pipeline.plain(asked), asked)}", flush=True)
    pipeline = Pipeline(index, **shared)
    print(f"  {'hybrid':22}{quality(await pipeline.plain(asked), asked)}")
    print(f"  {'  + rerank':22}{quality(await pipeline.reranked(asked), asked)}")
    for way, rounds, merge in (
        ()
        if only_ranking
        else (
            ("decomposed, rrf", 1, rrf),
            ("decomposed, best", 1, best),
            ("two rounds, rrf", 2, rrf),
            ("two rounds, best", 2, best),
        )
    ):
        ranked = await pipeline.decomposed(asked, rounds, merge)
        print(f"  {way:22}{quality(ranked, asked)}  (reranked, 5 passages only)", flush=True)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    from ragweave.retrievers.embedders.minilm import MiniLM

    names = [name for name in sys.argv[1:] if not name.startswith("--")]
    for name in names or ["cookbook", "clapnq", "hotpotqa"]:
        asyncio.run(report(name, MiniLM(), only_ranking="--ranking" in sys.argv, sentences="--sentences" in sys.argv))
