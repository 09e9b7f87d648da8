"""What the checker must not judge because it was not read right: one fault is one problem, not a chain of them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ragweave.orchestrator import registry
from ragweave.orchestrator.checking.bound import BoundNode, Member
from ragweave.orchestrator.errors import Problem
from ragweave.orchestrator.language.spec import NodeSpec, Place, Spec
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.types import list_of

SECTIONS = ("inputs", "state")
WIRING = ("reads", "writes", "map", "fallback", "race")


@dataclass(slots=True)
class Blind:
    """The keys and nodes about which an earlier problem leaves a doubt; `all_keys` if that may be any key."""

    keys: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    all_keys: bool = False


def blind_spots(spec: Spec, problems: Iterable[Problem]) -> Blind:
    """What earlier errors leave in doubt, by where they stand."""
    blind = Blind()
    errors = [problem for problem in problems if problem.severity == "error" and problem.file == spec.file]
    if not spec.marks:
        blind.all_keys = bool(errors)
        return blind
    tables = (spec.marks, spec.value_marks)
    marks = [(mark.line, mark.column, place) for table in tables for place, mark in table.items() if place]
    marks.sort(key=lambda row: row[:2])  # a place mixes names and numbers, which do not compare
    starts = [(line, column) for line, column, _ in marks]
    for problem in errors:
        at = bisect_right(starts, (problem.line, problem.column)) - 1
        if at >= 0:
            _doubt(blind, spec, marks[at][2], problem)
    return blind


def _doubt(blind: Blind, spec: Spec, place: Place, problem: Problem) -> None:
    if len(place) == 1 and (place[0] in SECTIONS or problem.code == "RW104"):
        blind.all_keys = True
    elif place[0] in SECTIONS:
        name = str(place[1])
        blind.keys.add(name)
        blind.all_keys = blind.all_keys or problem.code == "RW109"
    elif place[0] == "nodes" and len(place) > 2 and (place[2] in WIRING or (problem.fix and problem.fix.new in WIRING)):
        blind.nodes.add(str(place[1]))


def without_echoes(problems: Iterable[Problem]) -> list[Problem]:
    """Problems without those that only follow from another: from a name that is misspelt, or from a value that is no
    YAML of ours."""
    problems = list(problems)
    guessed = [problem for problem in problems if problem.code == "RW114" and problem.fix is None]
    meant = {match[1] for problem in guessed if (match := re.search(r"did you mean '(\w+)'\?", problem.message))}
    unread = {(problem.line, problem.column) for problem in problems if problem.code == "RW102"}

    def follows(problem: Problem) -> bool:
        if problem.code in ("RW115", "RW116"):
            return bool(meant & set(re.findall(r"\w+", problem.message)))
        return problem.code != "RW102" and bool(problem.line) and (problem.line, problem.column) in unread

    return [problem for problem in problems if not follows(problem)]


def known_nodes(spec: Spec, nodes: Mapping[str, BoundNode], blind: Blind) -> dict[str, BoundNode]:
    """The nodes whose reads and writes are known: also those of which only a setting is wrong."""
    known = {}
    for name, entry in spec.nodes.items():
        bound = nodes.get(name) or _by_its_class(entry)
        if bound is not None and name not in blind.nodes:
            known[name] = bound
    return known


def _by_its_class(entry: NodeSpec) -> BoundNode | None:
    """A node that could not be built, if its class alone says what it reads and writes."""
    kind = entry.implementation
    try:
        kind = registry.find("nodes", entry.type) if kind is None and entry.type else kind
    except Exception:  # a plugin may raise anything while it is imported; that was said already
        return None
    if not (isinstance(kind, type) and issubclass(kind, Node) and kind.signature is Node.signature):
        return None
    policies, signature = entry.policies, kind.declared
    if policies.fallback or policies.race:
        return None
    rule = policies.map
    reads = {name: policies.reads.get(name, name) for name in signature.reads if rule is None or name != rule.as_}
    writes = {name: policies.writes.get(name, name) for name in signature.writes}
    required = {key for name, key in reads.items() if signature.reads[name].required}
    if rule is not None:
        required.add(rule.over)
    listed = rule is not None and rule.merge is None
    types = {name: list_of(write.type) if listed else write.type for name, write in signature.writes.items()}
    return BoundNode(
        entry.name,
        (Member(kind.model_construct(), signature, policies, reads, writes),),
        required=frozenset(required),
        optional=frozenset(set(reads.values()) - required),
        certain=frozenset(writes[name] for name, write in signature.writes.items() if write.certain),
        written={writes[name]: types[name] for name in writes},
    )
