"""One fault gives one problem: what only follows from another is not told."""

from __future__ import annotations

import pytest

from ragweave.orchestrator.checking.check import check
from ragweave.orchestrator.language.load import load_text
from ragweave.orchestrator.resources import Resources

GRAPH = """\
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
retrievers:
  docs: {type: hybrid, index: index}
nodes:
  find: {type: retriever, retriever: docs, top_k: 5}
  answer: {type: generator}
edges:
  - start -> find -> answer -> end
"""


def found(text: str) -> list[str]:
    """Place and code of every problem."""
    spec, problems = load_text(text)
    checked = check(spec, problems, Resources(spec.resources.values()))
    return [f"{problem.line}:{problem.column} {problem.code}" for problem in checked.problems]


def test_the_graph_is_right() -> None:
    assert found(GRAPH) == []


@pytest.mark.parametrize(
    ("right", "wrong", "problems"),
    [
        ("find", "Find", ["7:3 RW109"]),
        ("find", "find-docs", ["7:3 RW109"]),
        ("{type: hybrid, index: index}", "nothing", ["5:9 RW105"]),
        ("top_k: 5", "top_k: !!int 5", ["7:51 RW102"]),
        ("retriever: docs", "retriever: !x docs", ["7:38 RW102"]),
    ],
)
def test_what_follows_from_a_fault_is_not_told(right: str, wrong: str, problems: list[str]) -> None:
    assert found(GRAPH.replace(right, wrong)) == problems
