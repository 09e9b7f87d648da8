"""Where things stand in a graph file, and the list of problems that grows while it is checked."""

from __future__ import annotations

from typing import Literal

from ragweave.orchestrator.checking.shape import Edge, Shape
from ragweave.orchestrator.errors import Fix, Problem
from ragweave.orchestrator.language.spec import Mark, Spec

Severity = Literal["error", "warning"]


class Findings:
    """Collects the problems of one graph file, each at most once."""

    def __init__(self, spec: Spec, problems: list[Problem]) -> None:
        self.spec = spec
        self.problems = list(problems)
        self.told = 0
        """How many problems were noted here."""
        self._seen = {(problem.line, problem.column, problem.message) for problem in problems}

    def add(
        self, code: str, message: str, mark: Mark, severity: Severity = "error", fix: tuple[str, str] | None = None
    ) -> None:
        """Note a problem at a place; `fix` is what stands there and what should."""
        key = (mark.line, mark.column, message)
        if key in self._seen:
            return
        self._seen.add(key)
        self.told += 1
        repair = None
        if fix is not None and fix[0] and mark.line and self._stands(mark, fix[0]):
            repair = Fix(mark.line, mark.column, *fix)
        self.problems.append(Problem(code, message, self.spec.file, mark.line, mark.column, severity, repair))

    def withdraw(self, code: str, mark: Mark) -> None:
        """Take back an earlier problem that follows from one that is known better now."""
        self.problems = [
            problem
            for problem in self.problems
            if problem.code != code or (problem.line, problem.column) != (mark.line, mark.column) or not mark.line
        ]

    def has(self, *codes: str) -> bool:
        """True if a problem of one of these codes was noted."""
        return any(problem.code in codes for problem in self.problems)

    def sorted(self) -> list[Problem]:
        """All problems in the order of the file; those without a place come last, then those of other files."""
        file = self.spec.file
        return sorted(
            self.problems,
            key=lambda one: ("" if one.file == file else one.file, not one.line, one.line, one.column, one.code),
        )

    def _stands(self, mark: Mark, word: str) -> bool:
        lines = self.spec.text.split("\n", mark.line)
        return len(lines) >= mark.line and lines[mark.line - 1].startswith(word, mark.column - 1)

    # Places of what the checker speaks of.

    def node(self, name: str) -> Mark:
        """The name of a node where it is declared."""
        return self.spec.nodes[name].mark if name in self.spec.nodes else self.spec.mark("nodes")

    def read(self, name: str, parameter: str) -> Mark:
        """Where a node's read gets its name: its rename under `reads`, else the node."""
        place = ("nodes", name, "reads", parameter)
        return self.spec.value_marks.get(place) or self.node(name)

    def write(self, name: str, written: str) -> Mark:
        """Where a node's write gets its name: its rename under `writes`, else the node."""
        place = ("nodes", name, "writes", written)
        return self.spec.value_marks.get(place) or self.node(name)

    def asked(self, name: str, key: str) -> Mark:
        """Where the question of a node's `interrupt` names a key."""
        from ragweave.orchestrator.checking.conditions import place_in  # not for a graph without any

        asked = self.spec.nodes[name].policies.interrupt
        place = ("nodes", name, "interrupt", "question")
        mark = self.spec.value_marks.get(place) or self.spec.value_mark(*place[:-1])
        return (
            place_in(self.spec.text, mark, asked.question, asked.question.find("{" + key + "}") + 1) if asked else mark
        )

    def key(self, name: str) -> Mark:
        """A key under `inputs` or `state`."""
        declared = self.spec.state.get(name) or self.spec.inputs.get(name)
        return declared.mark if declared is not None else self.spec.mark("state")

    def output(self, name: str) -> Mark:
        """An item of `outputs`."""
        if name in self.spec.outputs:
            return self.spec.value_mark("outputs", self.spec.outputs.index(name))
        return self.spec.mark("outputs")

    def exit(self, name: str) -> Mark:
        """The `from` block of a node, or its first mention as a source."""
        return self.spec.exits[name].mark if name in self.spec.exits else self.node(name)

    def edge(self, shape: Shape, edge: Edge) -> Mark:
        """The target of an edge where the edge is written."""
        source, target = shape.names[edge.source], shape.names[edge.target]
        if shape.routes[edge.source][edge.route].error:
            return self.spec.value_mark("nodes", source, "on_error")
        if source not in self.spec.exits or edge.route >= len(self.spec.exits[source].routes):
            return self.exit(source)
        route = self.spec.exits[source].routes[edge.route]
        same = [
            index for index in shape.routes[edge.source][edge.route].edges if shape.edges[index].target == edge.target
        ]
        nth = same.index(edge.number)
        marks = [mark for name, mark in zip(route.targets, route.target_marks, strict=False) if name == target]
        if nth < len(marks):
            return marks[nth]
        return self.spec.mark(*route.place) if route.place else self.exit(source)


def quoted(names: list[str] | tuple[str, ...], word: str = "and") -> str:
    """Names as a text: 'a', 'b' and 'c'."""
    shown = [repr(name) for name in names]
    return f" {word} ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
