"""Documents asked with no graph file: the graph behind `--docs`, its index brought up to date."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragweave.cli.graphs import load_plugins
from ragweave.cli.indexing import Job, build, default_index

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph


def open_docs(documents: Path, plugins: Sequence[str], *, conversing: bool = False) -> Graph:
    """A graph of three nodes over a folder or file: retrieve, rerank, answer; if `conversing`, with the turns before
    in mind. Its index is brought up to date first. Raises RagweaveError.
    """
    load_plugins(plugins)
    graph = _graph_of(documents, conversing=conversing)
    build(Job("documents", documents, default_index(documents), "minilm", graph.resources), quiet=True)
    return graph


def _graph_of(documents: Path, *, conversing: bool = False) -> Graph:
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.language.environment import read_dotenv

    endpoint = {name: f"${{env:CHAT_{name.upper()}:-}}" for name in ("model", "base_url", "api_key")}
    index = default_index(documents)
    nodes: dict[str, Any] = {
        "retrieve": {"type": "retriever", "retriever": "documents", "top_k": 20},
        "rerank": {"type": "reranker", "top_k": 5},
        "answer": {"type": "generator", "model": "chat", "prompt": "answer_with_citations", "retry": 2},
    }
    memories: dict[str, Any] = {}
    if conversing:
        memories = {"history": {"type": "window", "file": str((index.parent / "memory.sqlite").absolute())}}
        nodes["retrieve"]["map"] = {"over": "queries", "as": "query", "merge": "best"}
        nodes = {
            "recall": {"type": "recall", "memory": "history"},
            "decompose": {"type": "decomposer"},
            **nodes,
            "remember": {"type": "remember", "memory": "history"},
        }
    graph = Graph(
        name="documents",
        inputs={"question": "str"},
        outputs=["answer"],
        models={"chat": {"type": "auto", **endpoint}},
        memories=memories,
        retrievers={"documents": {"type": "hybrid", "index": str(index), "documents": str(documents)}},
        nodes=nodes,
        edges=[" -> ".join(["start", *nodes, "end"])],
    )
    graph.resources.environ = {**read_dotenv(Path()), **os.environ}
    return graph
