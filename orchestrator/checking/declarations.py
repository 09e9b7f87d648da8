"""Faults that depend on the ways through a graph: parallel writes (R12), idle loops; and what such rules look at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ragweave.orchestrator.checking.bound import BoundNode, Checked
from ragweave.orchestrator.checking.conflicts import Conflict, Parallels, conflicts
from ragweave.orchestrator.checking.dataflow import Effect, Flow
from ragweave.orchestrator.checking.places import Findings, quoted
from ragweave.orchestrator.checking.shape import END, START, Route, Shape
from ragweave.orchestrator.checking.usage import ERROR, Usage
from ragweave.orchestrator.errors import closest
from ragweave.orchestrator.language.report import surely
from ragweave.orchestrator.language.spec import Mark, Spec

EVERYTHING = -1
"""The set of all keys: what a node of unknown type is taken to write."""


class KeySets(NamedTuple):
    """Effects and reads of a graph's nodes as sets of numbered keys."""

    keys: tuple[str, ...]
    effects: tuple[Effect, ...]
    required: tuple[int, ...]
    optional: tuple[int, ...]
    conditions: tuple[int, ...]
    """What the conditions of a node read, after its writes."""
    logs: int = 0
    """The keys that accumulate."""

    def numbers(self, bits: int) -> list[int]:
        """The keys of a set, by number."""
        return [number for number in range(len(self.keys)) if bits >> number & 1]


class Ways(NamedTuple):
    """What the rules about ways through a graph look at. They say nothing about `silent` keys."""

    findings: Findings
    spec: Spec
    sets: KeySets
    flow: Flow
    nodes: Mapping[str, BoundNode]
    table: Usage
    silent: set[str]

    def read_mark(self, name: str, key: str) -> Mark:
        """Where a node's read of a key is written: a rename, `map.over`, or the node; for end, the output."""
        if name == END:
            return self.findings.output(key)
        bound = self.nodes.get(name)
        if bound is None:
            return self.findings.node(name)
        if bound.policies.map is not None and bound.policies.map.over == key:
            return self.findings.spec.value_mark("nodes", name, "map", "over")
        asked = bound.policies.interrupt
        if asked is not None and key in asked.keys and key not in bound.read:
            return self.findings.asked(name, key)
        parameter = next((word for word, other in bound.members[0].reads.items() if other == key), key)
        return self.findings.read(name, parameter)


def key_sets(checked: Checked, nodes: Mapping[str, BoundNode], shape: Shape, table: Usage) -> KeySets:
    """Number the keys and turn every node's reads and writes into sets. Conditions that do not compile read nothing."""
    spec = checked.spec
    keys = tuple(dict.fromkeys([*spec.inputs, *spec.state, *table.writers, *table.readers]))
    bit = {key: 1 << number for number, key in enumerate(keys)}

    def together(names: Iterable[str]) -> int:
        found = 0
        for key in names:
            found |= bit.get(key, 0)
        return found

    sure = [name for name, key in spec.inputs.items() if not key.optional]
    given = [*sure, *(key.name for key in spec.state.values() if key.has_default or key.accumulate)]
    conditions = [0] * len(shape.names)
    for (node, _), condition in checked.conditions.items():
        conditions[node] |= together(condition.keys)
    effects, required, optional = [], [], []
    for number, name in enumerate(shape.names):
        bound = nodes.get(name)
        if name in (START, END):
            effects.append(
                Effect(together(given), together({**spec.inputs, **dict.fromkeys(given)}))
                if name == START
                else Effect()
            )
            required.append(together(set(spec.outputs) - spec.loose) if name == END else 0)
            optional.append(0)
        elif bound is None:
            effects.append(Effect(EVERYTHING, 0, EVERYTHING))
            required.append(0)
            optional.append(0)
        else:
            routes = {route: together(keys) for route, keys in later_writes(bound, shape.routes[number])}
            effects.append(Effect(together(bound.certain), together(bound.written), bit.get(ERROR, 0), routes))
            required.append(together(bound.required))
            optional.append(together(bound.optional))
    logs = together(key.name for key in spec.state.values() if key.accumulate)
    return KeySets(keys, tuple(effects), tuple(required), tuple(optional), tuple(conditions), logs)


def later_writes(bound: BoundNode, routes: Sequence[Route]) -> Iterator[tuple[Route, list[str]]]:
    """For each route of a node, the keys that are surely written if it is taken, for then their list is empty: its
    condition says so, or a route before it would have been taken otherwise."""
    empty: set[str] = set()
    for route in routes:
        asked = _ASKED.fullmatch(route.when or "") if bound.unless and not route.error else None
        here = {asked["key"]} if asked is not None and asked["test"] in _EMPTY else set()
        written = [key for key, other in bound.unless.items() if other in empty | here]
        if written and not route.error:
            yield route, written
        if asked is not None and asked["test"] not in _EMPTY and route.bound is None:
            empty.add(asked["key"])


_ASKED = re.compile(r"\s*size\(\s*(?P<key>\w+)\s*\)\s*(?P<test>> ?0|!= ?0|>= ?1|== ?0|< ?1)\s*")
_EMPTY = ("== 0", "==0", "< 1", "<1")


def check_parallel(ways: Ways) -> None:
    """R12: a reader that two parallel writes of one key can reach needs a merge."""
    sets, flow = ways.sets, ways.flow
    handled = {key.name for key in ways.spec.state.values() if key.merge or key.accumulate} | ways.silent
    numbers = [number for number, key in enumerate(sets.keys) if key not in handled]
    after = tuple(condition & ~effect.certain for condition, effect in zip(sets.conditions, sets.effects, strict=True))
    rows = zip(sets.required, sets.optional, after, strict=True)
    reads = tuple(required | optional | condition for required, optional, condition in rows)
    parallels = Parallels(flow.shape, flow.structure)
    for conflict in conflicts(flow.shape, flow.structure, sets.effects, reads, numbers, parallels):
        _conflict(ways, conflict)


def _conflict(ways: Ways, conflict: Conflict) -> None:
    key = ways.sets.keys[conflict.key]
    names = ways.flow.shape.names
    writers = quoted([names[writer] for writer in conflict.writers])
    written = {word for bound in ways.nodes.values() for word in bound.written}
    near = closest(key, [other.name for other in ways.spec.state.values() if other.merge and other.name not in written])
    if near is not None:
        if near not in ways.table.blamed:
            ways.table.blamed.add(near)
            ways.findings.add(
                "RW205",
                f"state.{near} merges a key that nothing writes, while {writers} may run at the same time and both "
                f"write {key!r}; did you mean {key!r}?",
                ways.findings.key(near),
                fix=(near, key) if surely(key, [near]) else None,
            )
        return
    name = names[conflict.reader]
    both = "both fail and write" if key == ERROR else "both write"
    read_by = "which is an output" if name == END else f"which {name!r} reads"
    ways.findings.add(
        "RW205",
        f"{writers} may run at the same time and {both} {key!r}, {read_by}; "
        f"add state.{key}.merge (rrf, extend, …) or rename one with writes",
        ways.read_mark(name, key),
    )


def check_loops(ways: Ways) -> None:
    """Warn of a loop whose next iteration cannot differ: nothing in it reads what an earlier iteration wrote."""
    sets, flow = ways.sets, ways.flow
    shape, structure = flow.shape, flow.structure
    for header, body in structure.loops.items():
        written = 0
        for node in body:
            written |= sets.effects[node].possible | sets.effects[node].failed
        if any(sets.effects[node].certain < 0 for node in body):
            continue
        if not any(_carried(sets, flow, header, body, number) for number in sets.numbers(written)):
            ways.findings.add(
                "RW214",
                f"the loop of {shape.names[header]!r} repeats the same work: nothing in it reads what an earlier "
                f"iteration wrote",
                ways.findings.node(shape.names[header]),
                "warning",
            )


def _carried(sets: KeySets, flow: Flow, header: int, body: frozenset[int], number: int) -> bool:
    """True if a node of the loop may read a key as the iteration before left it."""
    seen = {header}
    stack = [header]
    while stack:
        node = stack.pop()
        if (sets.required[node] | sets.optional[node]) >> number & 1:
            return True
        if (sets.effects[node].certain & ~sets.logs) >> number & 1:
            continue
        if sets.conditions[node] >> number & 1:
            return True
        for index in flow.shape.out[node]:
            target = flow.shape.edges[index].target
            if target in body and target not in seen:
                seen.add(target)
                stack.append(target)
    return False
