"""Load and bind a text, as the tests of the language want it."""

from __future__ import annotations

from collections.abc import Mapping

from ragweave.orchestrator.checking.bound import BoundNode
from ragweave.orchestrator.errors import Problem
from ragweave.orchestrator.language.load import load_text
from ragweave.orchestrator.language.settings import bind
from ragweave.orchestrator.language.spec import Spec
from ragweave.orchestrator.resources import Resources

FRAME = {
    "schema": "schema: ragweave/v1\n",
    "inputs": "inputs: {question: str}\n",
    "outputs": "outputs: [answer]\n",
    "nodes": "nodes: {greet: {type: say, text: Hello.}}\n",
    "edges": "edges: [start -> greet -> end]\n",
}


def whole(piece: str) -> str:
    """A piece of a graph file with, below it, the sections that it leaves out."""
    present = {line.split(":")[0] for line in piece.splitlines()}
    missing = [text for key, text in FRAME.items() if key not in present]
    return piece + ("" if piece.endswith("\n") else "\n") + "".join(missing)


def opened(text: str, environ: Mapping[str, str] | None = None) -> tuple[Spec, dict[str, BoundNode], list[Problem]]:
    """The spec, the nodes and all problems of a graph file, in order."""
    spec, problems = load_text(text)
    bound, more = bind(spec, Resources(spec.resources.values(), environ=environ or {}))
    return spec, bound, sorted([*problems, *more], key=lambda problem: (problem.line, problem.column, problem.code))


def places(problems: list[Problem]) -> list[str]:
    """`line:column code` of each problem."""
    return [f"{problem.line}:{problem.column} {problem.code}" for problem in problems]
