"""Edges in brackets that YAML split at their commas: `[start -> a, b -> end]` is two items, `start -> a` and
`b -> end`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from ragweave.orchestrator.checking.places import Findings
from ragweave.orchestrator.checking.shapes import UNNAMED, check_shape
from ragweave.orchestrator.checking.structure import analyse
from ragweave.orchestrator.errors import Fix, Problem
from ragweave.orchestrator.language.edges import NO_ARROW, read_edges, shape_of
from ragweave.orchestrator.language.report import Report
from ragweave.orchestrator.language.spec import Mark, Spec
from ragweave.orchestrator.language.yamltext import lines_of, read

MOST = 8
"""Commas up to which every way of reading them is tried."""
FOLLOWS = ("RW113", "RW401", "RW402")
Spans = list[tuple[int, int]]


def tell_split_edges(findings: Findings) -> None:
    """Say which edges were split, in place of what follows from it.

    That is sure if the edges have a fault as YAML reads them, and none if as few commas as possible are taken for
    commas of edges.
    """
    spec = findings.spec
    of_edges = [problem for problem in findings.problems if problem.severity == "error" and _of_edges(spec, problem)]
    if not of_edges or not all(_may_follow(problem) for problem in of_edges):
        return
    line, mark, items = _plain_items(spec)
    if len(items) < 2:
        return
    readings = list(_readings(spec, [line[start:end] for start, end in items]))
    if not readings:
        return
    findings.problems = [problem for problem in findings.problems if problem not in of_edges]
    groups = readings[0]
    for first, last in groups:
        if first == last:
            continue
        (start, _), (_, end) = items[first], items[last]
        written = line[start:end]
        whole = f'"{written}"'
        read_as = " and ".join(repr(line[one:other]) for one, other in items[first : last + 1])
        message = f"edges[{first}]: in [ ] YAML splits at each comma, so this is read as {read_as}; quote it: {whole}"
        sure = len(readings) == 1
        fix = Fix(mark.line, start + 1, written, whole) if sure else None
        findings.problems.append(Problem("RW113", message, spec.file, mark.line, start + 1, fix=fix))


def _of_edges(spec: Spec, problem: Problem) -> bool:
    if problem.code == "RW113":
        return problem.line >= spec.mark("edges").line
    return problem.code in FOLLOWS and UNNAMED not in problem.message


def _may_follow(problem: Problem) -> bool:
    return problem.code != "RW113" or NO_ARROW in problem.message


def _plain_items(spec: Spec) -> tuple[str, Mark, Spans]:
    """The line of the edges, where they start, and from where to where each item goes; none if one of them is quoted or
    on another line."""
    nothing: Spans = []
    mark = spec.value_mark("edges")
    lines = lines_of(spec.text)
    line = lines[mark.line - 1] if 0 < mark.line <= len(lines) else ""
    data = read(spec.text).data
    edges = data.get("edges") if isinstance(data, dict) else None
    if line[mark.column - 1 : mark.column] != "[" or not isinstance(edges, list):
        return line, mark, nothing
    spans = []
    for number, item in enumerate(edges):
        at = spec.value_mark("edges", number)
        if not isinstance(item, str) or at.line != mark.line or not line.startswith(item, at.column - 1):
            return line, mark, nothing
        spans.append((at.column - 1, at.column - 1 + len(item)))
    return line, mark, spans


def _readings(spec: Spec, items: Sequence[str]) -> Iterator[list[tuple[int, int]]]:
    """The ways of joining items at commas that make sound edges, of those the ones that join the fewest."""
    gaps = range(len(items) - 1)
    found = False
    for count in range(1, len(items)) if len(gaps) <= MOST else (1, len(gaps)):
        for joined in combinations(gaps, count):
            groups = _groups(len(items), joined)
            if _is_sound(spec, [", ".join(items[first : last + 1]) for first, last in groups]):
                found = True
                yield groups
        if found:
            return


def _groups(count: int, joined: Sequence[int]) -> list[tuple[int, int]]:
    """The first and last item of each edge, if the gaps after the `joined` items are commas of edges."""
    groups: list[tuple[int, int]] = []
    for number in range(count):
        if number and number - 1 in joined:
            groups[-1] = (groups[-1][0], number)
        else:
            groups.append((number, number))
    return groups


def _is_sound(spec: Spec, edges: Sequence[str]) -> bool:
    """True if these edges have no fault, apart from nodes that none of them names."""
    named = set(re.findall(r"\w+", " ".join(edges))) | {node.policies.on_error for node in spec.nodes.values()}
    nodes = {name: node for name, node in spec.nodes.items() if name in named}
    other = replace(spec, nodes=nodes, exits={}, marks={}, value_marks={}, text="")
    report = Report(other)
    read_edges(report, edges)
    if report.problems:
        return False
    shape = shape_of(other)
    return check_shape(Findings(other, []), shape, analyse(shape))
