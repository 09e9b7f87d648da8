"""Faults that depend on the ways through a graph: keys that may be missing (R10), parallel writes (R12), idle loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ragweave.orchestrator.bound import BoundNode, Checked
from ragweave.orchestrator.check_conditions import names_in, place_in
from ragweave.orchestrator.check_places import Findings, quoted
from ragweave.orchestrator.conflicts import Conflict, Parallels, conflicts
from ragweave.orchestrator.dataflow import Effect, Flow, Gap, explain
from ragweave.orchestrator.report import surely
from ragweave.orchestrator.shape import END, START, Shape
from ragweave.orchestrator.spec import Mark, Spec
from ragweave.orchestrator.usage import ERROR, Usage

EVERYTHING = -1
"""The set of all keys: what a node of unknown type is taken to write."""


@dataclass(frozen=True, slots=True)
class KeySets:
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

    given = [*spec.inputs, *(key.name for key in spec.state.values() if key.has_default or key.accumulate)]
    conditions = [0] * len(shape.names)
    for (node, _), condition in checked.conditions.items():
        conditions[node] |= together(condition.keys)
    effects, required, optional = [], [], []
    for name in shape.names:
        bound = nodes.get(name)
        if name in (START, END):
            effects.append(Effect(together(given), together(given)) if name == START else Effect())
            required.append(together(spec.outputs) if name == END else 0)
            optional.append(0)
        elif bound is None:
            effects.append(Effect(EVERYTHING, 0, EVERYTHING))
            required.append(0)
            optional.append(0)
        else:
            effects.append(Effect(together(bound.certain), together(bound.written), bit.get(ERROR, 0)))
            required.append(together(bound.required))
            optional.append(together(bound.optional))
    logs = together(key.name for key in spec.state.values() if key.accumulate)
    return KeySets(keys, tuple(effects), tuple(required), tuple(optional), tuple(conditions), logs)


def check_definite(
    findings: Findings,
    spec: Spec,
    sets: KeySets,
    flow: Flow,
    nodes: Mapping[str, BoundNode],
    table: Usage,
    silent: set[str],
) -> None:
    """R10: required parameters, conditions and outputs read keys that are surely there."""
    shape = flow.shape
    if not table.whole:
        silent = silent | {key for key in sets.keys if key not in table.writers}
    for node in flow.structure.order:
        name = shape.names[node]
        for number in sets.numbers(sets.required[node] & ~flow.at[node]):
            key = sets.keys[number]
            if key in silent or _misspelt_writer(findings, table, key, f"{key} may be unwritten at {name}"):
                continue
            gap = explain(flow, node, 1 << number)
            mark = findings.output(key) if name == END else read_mark(findings, nodes.get(name), name, key)
            way_out = _default_way(
                spec, key, "declare another output" if name == END else f"let {name!r} come after it"
            )
            findings.add("RW202", f"{key} may be unwritten at {name} ({say(flow, gap)}); {way_out}", mark)
        missing = sets.conditions[node] & ~flow.after(node)
        for number in sets.numbers(missing):
            key = sets.keys[number]
            said = f"{key} may be unwritten when {name} decides"
            if key not in silent and not _misspelt_writer(findings, table, key, said):
                _condition_gap(findings, spec, flow, node, key, number)


def _misspelt_writer(findings: Findings, table: Usage, key: str, said: str) -> bool:
    """True if the fault is in a name near to the key that is written for nobody."""
    suspect = table.suspect(key) if table.whole else None
    if suspect is None:
        return False
    word, mention, phrase = suspect
    if word not in table.blamed:
        table.blamed.add(word)
        message = f"{phrase} {word!r}, which nothing reads, and {said}; did you mean {key!r}?"
        findings.add("RW202", message, mention.mark, fix=(word, key))
    return True


def read_mark(findings: Findings, bound: BoundNode | None, name: str, key: str) -> Mark:
    """Where a node's read of a key is written: a rename, `map.over`, or the node."""
    if bound is None:
        return findings.node(name)
    if bound.policies.map is not None and bound.policies.map.over == key:
        return findings.spec.value_mark("nodes", name, "map", "over")
    parameter = next((word for word, other in bound.members[0].reads.items() if other == key), key)
    return findings.read(name, parameter)


def _condition_gap(findings: Findings, spec: Spec, flow: Flow, node: int, key: str, number: int) -> None:
    name = flow.shape.names[node]
    if flow.effects[node].possible >> number & 1:
        reason = f"{name} may leave it out"
    else:
        reason = say(flow, explain(flow, node, 1 << number))
    way_out = _default_way(spec, key, "decide where it is there")
    for route in spec.exits[name].routes:
        if route.when is None:
            continue
        for word, offset in names_in(route.when):
            if word.split(".")[0] == key:
                mark = place_in(spec.text, spec.value_mark(*route.place, "when"), route.when, offset)
                findings.add("RW202", f"{key} may be unwritten at {name} ({reason}) when it decides; {way_out}", mark)
                return


def _default_way(spec: Spec, key: str, other: str) -> str:
    if key == ERROR:
        return "read `error` only where some on_error leads on every way"
    return f"give state.{key} a default, or {other}"


def say(flow: Flow, gap: Gap) -> str:
    """A gap in words: "s may go to b alone"."""
    shape = flow.shape
    if gap.kind in ("chooses", "fails"):
        routes = shape.routes[gap.node]
        targets = [shape.names[shape.edges[edge].target] for edge in routes[gap.route].edges]
        name = shape.names[gap.node]
        if gap.kind == "fails":
            return f"{name} may fail and go to {targets[0]}"
        elsewhere = {
            shape.names[shape.edges[edge].target]
            for index, route in enumerate(routes)
            if index != gap.route and len(route.edges) > len(targets)
            for edge in route.edges
        }
        alone = " alone" if set(targets) < elsewhere else ""
        return f"{name} may go to {' and '.join(targets)}{alone}"
    if gap.kind == "omits":
        return f"{shape.names[gap.node]} may leave it out"
    names = [shape.names[writer] for writer in gap.writers if writer]
    return f"only {' and '.join(names[:3])} writes it, and no way leads from there" if names else "nothing writes it"


def check_parallel(
    findings: Findings,
    spec: Spec,
    sets: KeySets,
    flow: Flow,
    nodes: Mapping[str, BoundNode],
    table: Usage,
    silent: set[str],
) -> None:
    """R12: a reader that two parallel writes of one key can reach needs a merge."""
    handled = {key.name for key in spec.state.values() if key.merge or key.accumulate} | silent
    numbers = [number for number, key in enumerate(sets.keys) if key not in handled]
    after = tuple(condition & ~effect.certain for condition, effect in zip(sets.conditions, sets.effects, strict=True))
    reads = tuple(
        required | optional | condition
        for required, optional, condition in zip(sets.required, sets.optional, after, strict=True)
    )
    parallels = Parallels(flow.shape, flow.structure)
    for conflict in conflicts(flow.shape, flow.structure, sets.effects, reads, numbers, parallels):
        _conflict(findings, spec, sets, flow, nodes, conflict, table)


def _conflict(
    findings: Findings,
    spec: Spec,
    sets: KeySets,
    flow: Flow,
    nodes: Mapping[str, BoundNode],
    conflict: Conflict,
    table: Usage,
) -> None:
    key = sets.keys[conflict.key]
    writers = quoted([flow.shape.names[writer] for writer in conflict.writers])
    unused = [
        other.name
        for other in spec.state.values()
        if other.merge and not any(other.name in nodes[name].written for name in nodes)
    ]
    near = surely(key, unused)
    if near is not None:
        if near not in table.blamed:
            table.blamed.add(near)
            findings.add(
                "RW205",
                f"state.{near} merges a key that nothing writes, while {writers} may run at the same time and both "
                f"write {key!r}; did you mean {key!r}?",
                findings.key(near),
                fix=(near, key),
            )
        return
    name = flow.shape.names[conflict.reader]
    mark = findings.output(key) if name == END else read_mark(findings, nodes.get(name), name, key)
    both = "both fail and write" if key == ERROR else "both write"
    read_by = "which is an output" if name == END else f"which {name!r} reads"
    findings.add(
        "RW205",
        f"{writers} may run at the same time and {both} {key!r}, {read_by}; "
        f"add state.{key}.merge (rrf, extend, …) or rename one with writes",
        mark,
    )


def check_loops(findings: Findings, sets: KeySets, flow: Flow) -> None:
    """Warn of a loop whose next iteration cannot differ: nothing in it reads what an earlier iteration wrote."""
    shape, structure = flow.shape, flow.structure
    for header, body in structure.loops.items():
        written = 0
        for node in body:
            written |= sets.effects[node].possible | sets.effects[node].failed
        if any(sets.effects[node].certain < 0 for node in body):
            continue
        if not any(_carried(sets, flow, header, body, number) for number in sets.numbers(written)):
            findings.add(
                "RW214",
                f"the loop of {shape.names[header]!r} repeats the same work: nothing in it reads what an earlier "
                f"iteration wrote",
                findings.node(shape.names[header]),
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
