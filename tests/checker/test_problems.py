"""Every kind of fault is told once, at the word that has to change, with the way out; one that is sure repairs it."""

from __future__ import annotations

import pytest

from ragweave.orchestrator.checking.check import check
from ragweave.orchestrator.errors import Fix, Problem
from ragweave.orchestrator.language.load import load_text
from ragweave.orchestrator.resources import Resources
from tests.checker.sample import Sample
from tests.checker.samples_conditions import CONDITIONS
from tests.checker.samples_keys import KEYS
from tests.checker.samples_shape import SHAPE
from tests.checker.samples_ways import WARNINGS, WAYS

HEAD = "schema: ragweave/v1"


def problems_of(text: str) -> list[Problem]:
    """What is wrong with a graph file."""
    spec, problems = load_text(text, file="graph.yaml")
    return check(spec, problems, Resources(spec.resources.values())).problems


def place_of(text: str) -> tuple[str, int, int, str]:
    """The text without its marks, and line, column and word between them."""
    at = text.index("⟦")
    word = text[at + 1 : text.index("⟧")]
    return text.replace("⟦", "").replace("⟧", ""), text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at), word


@pytest.mark.parametrize("sample", [*SHAPE, *KEYS, *WAYS, *CONDITIONS, *WARNINGS], ids=lambda sample: sample.name)
def test_a_fault_is_told_once_at_its_word(sample: Sample) -> None:
    head = HEAD if "inputs:" in sample.text else f"{HEAD}\ninputs: {{question: str}}"
    text, line, column, word = place_of(head + sample.text)
    problems = problems_of(text)
    told = [problem for problem in problems if problem.severity == "error" or sample.severity == "warning"]
    assert [problem.code for problem in told] == [sample.code], "\n".join(map(str, problems))
    assert (told[0].line, told[0].column) == (line, column), str(told[0])
    for piece in sample.says:
        assert piece in told[0].message
    if sample.fix is None:
        assert told[0].fix is None
    else:
        assert told[0].fix == Fix(line, column, word, sample.fix)
        repaired = problems_of(_replaced(text, told[0].fix))
        assert [problem for problem in repaired if problem.severity == "error"] == []


def _replaced(text: str, fix: Fix) -> str:
    lines = text.split("\n")
    line = lines[fix.line - 1]
    before, after = line[: fix.column - 1], line[fix.column - 1 :]
    lines[fix.line - 1] = before + fix.new + after.removeprefix(fix.old)
    return "\n".join(lines)
