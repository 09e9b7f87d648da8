"""Documents that an agent of a bank needs, found by the `search` tool (tau2-bench, banking_knowledge).

No model writes the queries; they are scripted, by one rule that was set before anything was measured: the instructions
of a task's customer are cut into sentences, marks of Markdown dropped, and these in their order into three parts with
as many sentences each (the first ones have one more where that does not come out even). Each part is one query. They
are noisy, as what a customer tells is: much of them is about how to behave. All three are made as one reply of a model
would make them, by a `tool_executor`, and what counts is the documents that its results name.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tables import Line, data

from ragweave import Graph
from ragweave.orchestrator.values import ToolCall

QUERIES = 3
TOP_K = (5, 10)
"""The default of the tool, and twice as many."""
DRAWS = 10_000
_GRAPH = """
schema: ragweave/v1
name: banking
inputs: {{tool_calls: "list[ToolCall]"}}
outputs: [tool_results]
retrievers: {{documents: {{type: hybrid, index: "{index}"}}}}
tools: {{search: {{type: search, retriever: documents, top_k: {top_k}, max_result: 1000000}}}}
nodes: {{act: {{type: tool_executor, tools: [search]}}}}
edges: [start -> act -> end]
"""
_SOURCE = re.compile(r"^\[\d+\] .*\((\d+\.md)(?:, line \d+)?\)$", re.MULTILINE)


async def documents() -> list[Line]:
    """The share of a task's required documents that its three searches find, with the 95% interval of the mean."""
    from ragweave.retrievers.embedders.minilm import MiniLM
    from ragweave.retrievers.indexes.indexing import build_index

    folder, lines = data("tau2_banking"), []
    tasks = [task for task in _rows(folder / "tasks.jsonl") if task["gold_ids"]]
    with tempfile.TemporaryDirectory() as place:
        names = _written(_rows(folder / "corpus.jsonl"), Path(place) / "documents")
        build_index(Path(place) / "documents", Path(place) / "index", MiniLM())
        for top_k in TOP_K:
            async with Graph.parse(_GRAPH.format(index=Path(place) / "index", top_k=top_k)) as graph:
                found = [await _found(graph, queries(task["user_instructions"])) for task in tasks]
            shares = np.array(
                [
                    len(set(task["gold_ids"]) & {names[one] for one in got}) / len(set(task["gold_ids"]))
                    for task, got in zip(tasks, found, strict=True)
                ]
            )
            low, high = _interval(shares)
            each = sum(map(len, found)) / len(found)
            said = (
                f"{shares.mean():.3f} [{low:.3f}, {high:.3f}] of {len(tasks)} tasks, {each:.1f} documents found in each"
            )
            lines.append(Line(f"tau2: required documents found in {QUERIES} searches of {top_k}", "printed", said))
    return lines


def queries(instructions: str) -> list[str]:
    """The queries of a task, at most three."""
    plain = re.sub(r"[*#`]+", "", instructions)
    sentences = [one.strip(" -\t") for one in re.split(r"\n+|(?<=[.!?])\s+", plain)]
    sentences = [one for one in sentences if re.search(r"\w", one)]
    parts, begin = [], 0
    for number in range(QUERIES):
        count = len(sentences) // QUERIES + (number < len(sentences) % QUERIES)
        parts.append(" ".join(sentences[begin : begin + count]))
        begin += count
    return [part for part in parts if part]


async def _found(graph: Graph, asked: list[str]) -> set[str]:
    """The files that the results of these searches name."""
    calls = [ToolCall(id=str(at), name="search", arguments={"query": text}) for at, text in enumerate(asked)]
    results = (await graph.arun(tool_calls=calls))["tool_results"]
    assert len(results) == len(calls)
    assert not any(one.error for one in results), [one.error for one in results]
    return {name for one in results for name in _SOURCE.findall(one.content)}


def _written(corpus: list[dict[str, Any]], folder: Path) -> dict[str, str]:
    """A file for each document; the document of each file."""
    folder.mkdir()
    names = {}
    for number, row in enumerate(corpus):
        name = f"{number:04}.md"
        front = f"---\ntitle: {json.dumps(row['title'], ensure_ascii=False)}\n---\n"
        (folder / name).write_text(front + row["text"], encoding="utf-8")
        names[name] = row["id"]
    return names


def _interval(shares: np.ndarray) -> tuple[float, float]:
    """Where 95% of the means of tasks drawn anew lie (bootstrap)."""
    drawn = np.random.default_rng(0).integers(0, len(shares), (DRAWS, len(shares)))
    low, high = np.quantile(shares[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
