"""How much of what a question of several hops needs is found: `python benchmarks/multihop.py`.

The graph of `examples/multihop`, up to its answer, and simpler ways over the same index, on the example's own questions
(`islands`), HotpotQA, 2WikiMultihopQA and MuSiQue: recall of the right passages among the first 5 and 10, and the share
of questions for which all of them are among the first 10. The last three sets are read from `../shared/data` beside the
repository and are not part of it; one that is not there is left out. All ways have one setting for all sets.

`--choose` tries other settings of the hop. For each set it takes those that are best on the two others, and prints what
they reach on the one left out.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from pydantic import PrivateAttr
from rich.console import Console
from rich.table import Table

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Retriever
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.merges import best
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document
from ragweave.prompts.decomposer import Decomposer
from ragweave.retrievers.nodes import RetrieverNode

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
BUILD = ROOT / "build" / "multihop"
EXAMPLE = ROOT / "examples" / "multihop"
GRAPH = EXAMPLE / "multihop.yaml"
SETS = ("islands", "hotpotqa", "2wikimultihopqa", "musique")
MEASURES = ("recall@5", "recall@10", "all@10")
GOALS = {("musique", "all@10"): 0.45}
SAMPLES = 4_000
# Of the default retriever: what it does with links, names, titles and dates is off.
PLAIN = {"links": False, "boosts": 0, "feedback": 0}
HOPS = {"passages": (2, 3, 5), "max_queries": (4, 6, 8), "decay": (0.8, 0.9, 1.0)}
"""Settings to choose from."""
console = Console(width=150)

Rows = list[dict[str, Any]]
Way = Callable[[str], Awaitable[tuple[list[Document], int, int]]]
"""From a question to the passages, the rounds of searching, and the queries that were searched."""


@dataclass(slots=True)
class Found:
    """What a way found for the questions of a set."""

    scores: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES})
    rounds: int = 0
    queries: int = 0
    cpu: float = 0.0

    def add(self, documents: Sequence[Document], gold: set[str], rounds: int, queries: int, cpu: float) -> None:
        """Count one question."""
        ranked = list(dict.fromkeys(Path(document.source).stem for document in documents))
        for name, value in zip(
            MEASURES,
            (
                len(gold & set(ranked[:5])) / len(gold),
                len(gold & set(ranked[:10])) / len(gold),
                gold <= set(ranked[:10]),
            ),
            strict=True,
        ):
            self.scores[name].append(float(value))
        self.rounds, self.queries, self.cpu = self.rounds + rounds, self.queries + queries, self.cpu + cpu


def read(path: Path) -> Rows:
    """The rows of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def questions(name: str) -> Rows:
    """The questions of a set, with the names of the files that they take as `gold_ids`."""
    if name == "islands":
        return [
            {**row, "gold_ids": [Path(page).stem for page in row["gold_docs"]]}
            for row in read(EXAMPLE / "questions.jsonl")
        ]
    return read(SHARED / name / "queries.jsonl")


def index(name: str) -> Path:
    """The index of a set, built, or brought up to date, below `build`."""
    from ragweave.retrievers.embedders.minilm import MiniLM
    from ragweave.retrievers.indexes.indexing import build_index

    folder = EXAMPLE / "pages" if name == "islands" else BUILD / name / "documents"
    if not folder.is_dir():
        folder.mkdir(parents=True)
        for row in read(SHARED / name / "corpus.jsonl"):
            front = f"---\ntitle: {json.dumps(row['title'], ensure_ascii=False)}\n---\n"
            (folder / f"{row['id']}.txt").write_text(front + row["text"], encoding="utf-8")
    build_index(folder, BUILD / name / "index", MiniLM())
    return BUILD / name / "index"


def context(place: Path, **settings: object) -> Context:
    """What nodes are called with: the default retriever over an index, as `pages`."""
    return Context(
        resources=Resources([ResourceSpec("retrievers", "pages", "hybrid", {"index": str(place), **settings})])
    )


def alone(place: Path, **settings: object) -> Way:
    """The question itself, searched once."""
    ctx, node = context(place, **settings), RetrieverNode(retriever="pages", top_k=20)

    async def find(question: str) -> tuple[list[Document], int, int]:
        return (await node(question=question, ctx=ctx))["documents"], 1, 1

    return find


def decomposed(place: Path) -> Way:
    """The queries of the decomposer, searched once, the best score of each passage."""
    ctx, node = context(place), RetrieverNode(retriever="pages", top_k=20)

    async def find(question: str) -> tuple[list[Document], int, int]:
        queries = (await Decomposer()(question=question, ctx=ctx))["queries"]
        found = await asyncio.gather(*(node(question=question, ctx=ctx, query=query) for query in queries))
        return best([one["documents"] for one in found]), 1, len(queries)

    return find


class Remembering(Retriever):
    """A retriever that searches for each query once."""

    _inner: Any = PrivateAttr()
    _known: dict[tuple[str, int], list[Document]] = PrivateAttr(default_factory=dict)

    def over(self, inner: Retriever) -> Remembering:
        """Of these passages."""
        self._inner = inner
        return self

    async def search(self, query: str, top_k: int) -> list[Document]:
        """What the inner one finds, or found before."""
        if (query, top_k) not in self._known:
            self._known[query, top_k] = await self._inner.search(query, top_k)
        return self._known[query, top_k]


def hopping(place: Path, retriever: Retriever | None = None, **settings: object) -> Way:
    """The example's graph without its answer, over another `retriever` if one is given; its hop may have `settings`."""
    raw = yaml.safe_load(GRAPH.read_text(encoding="utf-8"))
    del raw["nodes"]["answer"], raw["nodes"]["tell"]
    raw["nodes"]["hop"].update(settings)
    raw["outputs"] = ["documents", "chain"]
    raw["retrievers"]["pages"] = {"type": "hybrid", "index": str(place)}
    raw["edges"] = [edge for edge in raw["edges"] if edge != "answer -> tell -> end"]
    raw["edges"][-1]["routes"][-1]["to"] = "end"
    graph = Graph.parse(yaml.safe_dump(raw))
    if retriever is not None:
        graph.resources.put("retrievers", "pages", retriever)

    async def find(question: str) -> tuple[list[Document], int, int]:
        rounds, queries, documents = 0, 0, []
        async for event in graph.stream(question=question):
            if event.kind == "finished" and event.node == "search":
                rounds, queries = rounds + 1, queries + len(event.data["found"])
            elif event.kind == "run_done":
                documents = event.data["result"]["documents"]
        return documents, rounds, queries

    return find


async def measure(way: Way, asked: Rows) -> Found:
    """Each question in its turn; the first once more before, so that what is loaded once is not counted."""
    await way(asked[0]["question"])
    found = Found()
    for row in asked:
        begin = time.process_time()
        documents, rounds, queries = await way(row["question"])
        found.add(documents, set(row["gold_ids"]), rounds, queries, time.process_time() - begin)
    return found


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean and its 95% interval, by resampling the questions."""
    rng = np.random.default_rng(0)
    drawn = np.asarray(values)[rng.integers(0, len(values), (SAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(np.mean(values)), float(low), float(high)


def table(name: str, ways: dict[str, Found]) -> Table:
    """A line for each way; in the last column, what all@10 gains over the default retriever, question by question."""
    count = len(ways["hybrid"].scores["all@10"])
    shown = Table(title=f"{name}, {count} questions, 95% intervals", title_justify="left")
    for title in ("way", *MEASURES, "rounds", "queries", "CPU ms", "all@10 over hybrid"):
        shown.add_column(title, justify="left" if title == "way" else "right")
    base = np.asarray(ways["hybrid"].scores["all@10"])
    for way, found in ways.items():
        cells = ["{:.3f} [{:.3f}, {:.3f}]".format(*interval(found.scores[one])) for one in MEASURES]
        gain = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*interval(list(np.asarray(found.scores["all@10"]) - base)))
        counts = [f"{found.rounds / count:.1f}", f"{found.queries / count:.1f}", f"{found.cpu / count * 1000:.1f}"]
        shown.add_row(way, *cells, *counts, "" if way == "hybrid" else gain)
    return shown


def write_readme(ways: dict[str, Found], right: int) -> None:
    """Put the figures of the example's own questions between the marks in its README."""
    count = len(ways["hybrid"].scores["all@10"])
    lines = [f"| {count} questions | " + " | ".join(MEASURES) + " | searches | CPU ms |", "|---|---|---|---|---|---|"]
    for way, found in ways.items():
        means = " | ".join(f"{np.mean(found.scores[one]):.3f}" for one in MEASURES)
        lines.append(f"| {way} | {means} | {found.queries / count:.1f} | {found.cpu / count * 1000:.0f} |")
    low, high = interval(ways["multi-hop graph"].scores["all@10"])[1:]
    lines += [
        "",
        f"(all@10 of the graph: 95% between {low:.2f} and {high:.2f}; right answers of `extractive`: {right}.)",
    ]
    page, begin, end = EXAMPLE / "README.md", "<!-- figures:begin -->", "<!-- figures:end -->"
    head, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(head + begin + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1], encoding="utf-8")


async def answers(place: Path, asked: Rows) -> int:
    """How many answers of the whole graph hold the right one as a word."""
    raw = yaml.safe_load(GRAPH.read_text(encoding="utf-8"))
    raw["retrievers"]["pages"] = {"type": "hybrid", "index": str(place)}
    right = 0
    async with Graph.parse(yaml.safe_dump(raw)) as graph:
        for row in asked:
            said = (await graph.arun(question=row["question"]))["answer"].text
            right += any(re.search(rf"\b{re.escape(answer)}\b", said, re.IGNORECASE) for answer in row["answers"])
    return right


async def plain(place: Path) -> Retriever:
    """The default retriever without what it does for links and names itself: scores of words and vectors, added."""
    return await context(place, **PLAIN).retriever("pages")


async def compare(sets: Sequence[str], limit: int | None, write: bool) -> list[str]:
    """Print a table for each set. The goals that were missed."""
    missed = []
    for name in sets:
        place, asked = index(name), questions(name)[:limit]
        ways = {
            "dense alone": alone(place, weight=1, **PLAIN),
            "BM25": alone(place, weight=0, **PLAIN),
            "words + vectors": alone(place, **PLAIN),
            "graph over these": hopping(place, await plain(place)),
            "hybrid": alone(place),
            "decomposed once": decomposed(place),
            "multi-hop graph": hopping(place),
        }
        found = {way: await measure(find, asked) for way, find in ways.items()}
        console.print(table(name, found))
        if name == "islands":
            right = await answers(place, asked)
            console.print(f"answers of the model extractive: {right} of {len(asked)} hold the right one\n")
            if write:
                write_readme(found, right)
        for (which, measured), goal in GOALS.items():
            reached = float(np.mean(found["multi-hop graph"].scores[measured]))
            if which == name and reached < goal:
                missed.append(f"{name}: {measured} is {reached:.3f}, below {goal}")
    return missed


async def choose(sets: Sequence[str], limit: int | None) -> None:
    """Print, for each set, what the settings reach that are best on the others."""
    settings = [dict(zip(HOPS, values, strict=True)) for values in product(*HOPS.values())]
    reached: dict[str, list[dict[str, float]]] = {}
    for name in sets:
        place, asked = index(name), questions(name)[:limit]
        reached[name] = []
        retriever = Remembering().over(await context(place).retriever("pages"))
        for one in settings:
            found = await measure(hopping(place, retriever, **one), asked)
            reached[name].append({key: float(np.mean(values)) for key, values in found.scores.items()})
    shown = Table("left out", "chosen on the others", *MEASURES, "lowest and highest all@10 of all settings")
    for name in sets:
        others = [other for other in sets if other != name]
        worth = [sum(sum(reached[other][at].values()) for other in others) for at in range(len(settings))]
        at = int(np.argmax(worth))
        every = [one["all@10"] for one in reached[name]]
        cells = [f"{reached[name][at][key]:.3f}" for key in MEASURES]
        shown.add_row(name, str(settings[at]), *cells, f"{min(every):.3f} {max(every):.3f}")
    console.print(shown)
    total = [sum(sum(reached[name][at].values()) for name in sets) for at in range(len(settings))]
    for at in np.argsort(total)[::-1][:5]:
        console.print(f"best on all: {settings[at]} {total[at] / len(sets) / len(MEASURES):.4f}")


def main(
    only: Annotated[list[str] | None, typer.Option("--set", help=f"Only this set, of {', '.join(SETS)}.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first questions of each set.")] = None,
    write: Annotated[bool, typer.Option(help="Write the figures of the example's questions into its README.")] = False,
    choosing: Annotated[bool, typer.Option("--choose", help="Try other settings of the hop.")] = False,
) -> None:
    """Print how much each way finds. Ends with an error if a goal is missed."""
    for name in ("CHAT_MODEL", "CHAT_BASE_URL", "CHAT_API_KEY"):
        os.environ.pop(name, None)  # the figures are those of the rules
    there = [name for name in only or SETS if name == "islands" or (SHARED / name).is_dir()]
    for name in only or SETS:
        if name not in there:
            console.print(f"{name} is left out: {SHARED / name} is not there", soft_wrap=True)
    if choosing:
        asyncio.run(choose([name for name in there if name != "islands"], limit))
        return
    missed = asyncio.run(compare(there, limit, write)) if there else []
    for line in missed:
        console.print(f"[red]missed[/] {line}", highlight=False)
    raise typer.Exit(int(bool(missed)))


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
