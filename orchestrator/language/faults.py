"""Faults of a file that a resource is made of, such as a prompt, each at its place in that file."""

from __future__ import annotations

import os.path
from typing import Any

from ragweave.orchestrator.errors import Problem
from ragweave.orchestrator.language.report import Report, path
from ragweave.orchestrator.language.spec import Mark, Place


def tell_faults(report: Report, place: Place, error: Any) -> bool:
    """Say what an error tells of a resource's file, or of its text in the graph file; False if it tells nothing."""
    problems: tuple[Problem, ...] = getattr(error, "problems", ())
    if not problems:
        return False
    report.faulty.add((str(place[0]), str(place[1])))
    text_at = report.spec.value_marks.get((*place, "text"))
    inline = text_at is not None or not report.spec.marks
    for problem in problems:
        if not inline:
            file = os.path.join(os.path.dirname(report.spec.file), problem.file)  # noqa: PTH118, PTH120
            report.problems.append(problem._replace(file=os.path.normpath(file)))
            continue
        mark = _within(report, text_at, problem) if text_at is not None and problem.line else text_at
        line = f"line {problem.line} of the text: " if mark == text_at and problem.line > 1 else ""
        report.at(mark or Mark(), problem.code, f"{path(place)}: {line}{problem.message}")
    return True


def _within(report: Report, mark: Mark, problem: Problem) -> Mark:
    """The place in the graph file of a place in a text that it holds as a block or on one line; else the text's."""
    if report.character(mark) == "|":
        first = next((line for line in map(report.line, range(mark.line + 1, mark.line + 99)) if line.strip()), "")
        indent = len(first) - len(first.lstrip())
        return Mark(mark.line + problem.line, indent + problem.column)
    if problem.line != 1:
        return mark
    return Mark(mark.line, mark.column + problem.column - 1 + (report.character(mark) in ("'", '"')))
