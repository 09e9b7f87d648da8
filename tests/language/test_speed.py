"""Graphs of a thousand nodes are read in no time."""

from __future__ import annotations

import time

from ragweave.orchestrator.language.load import load_text
from ragweave.orchestrator.language.settings import bind
from ragweave.orchestrator.resources import Resources

NODES = 1_000
LIMIT = 0.4
"""Seconds of CPU time; it takes 0.08 where this was written."""


def thousand() -> str:
    nodes = (f'  n{i}: {{type: say, text: "Hello {i}.", times: 2, timeout: 30s, retry: 2}}\n' for i in range(NODES))
    edges = (f"  - n{i} -> n{i + 1}\n" for i in range(NODES - 1))
    start, end = "  - start -> n0\n", f"  - n{NODES - 1} -> end\n"
    return "".join(["schema: ragweave/v1\nnodes:\n", *nodes, "edges:\n", start, *edges, end])


def test_a_thousand_nodes_are_loaded_and_bound_at_once() -> None:
    text = thousand()
    times = []
    for _ in range(3):
        before = time.process_time()
        spec, problems = load_text(text)
        bound, more = bind(spec, Resources(environ={}))
        times.append(time.process_time() - before)
        assert problems == more == []
        assert len(bound) == NODES
    assert min(times) < LIMIT


def test_a_thousand_mistakes_are_told_at_once() -> None:
    text = thousand().replace("times: 2", "tims: 2").replace("->", "=>")
    before = time.process_time()
    spec, problems = load_text(text)
    _, more = bind(spec, Resources(environ={}))
    took = time.process_time() - before
    assert len(problems) == NODES + 1
    assert len(more) == NODES
    assert took < 10 * LIMIT
