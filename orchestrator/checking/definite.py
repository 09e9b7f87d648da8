"""Keys that may be missing where they are read (R10), each told once, with a way on which that happens."""

from __future__ import annotations

from ragweave.orchestrator.checking.dataflow import Flow, Gap, explain
from ragweave.orchestrator.checking.declarations import Ways
from ragweave.orchestrator.checking.places import quoted
from ragweave.orchestrator.checking.shape import END
from ragweave.orchestrator.checking.usage import ERROR
from ragweave.orchestrator.language.spec import Mark

Faults = dict[tuple[int, Gap], list[tuple[int, bool]]]
"""By key and reason, the nodes that lack the key, and whether it is their conditions that read it."""


def check_definite(ways: Ways) -> None:
    """R10: required parameters, conditions and outputs read keys that are surely there.

    Readers that lack a key for one and the same reason are one problem, at the first of them.
    """
    sets, flow = ways.sets, ways.flow
    silent = set(ways.silent)
    if not ways.table.whole:
        silent.update(key for key in sets.keys if key not in ways.table.writers)
    faults: Faults = {}
    told: dict[tuple[int, int], Gap] = {}
    for node in flow.structure.order:
        for number in sets.numbers(sets.required[node] & ~flow.at[node]):
            if sets.keys[number] not in silent:
                gap = told[node, number] = _gap(flow, node, number, told)
                faults.setdefault((number, gap), []).append((node, False))
        for number in sets.numbers(sets.conditions[node] & ~flow.after(node)):
            if sets.keys[number] not in silent:
                omits = flow.effects[node].possible >> number & 1
                gap = Gap("omits", node=node) if omits else _gap(flow, node, number, told)
                faults.setdefault((number, gap), []).append((node, True))
    for (number, gap), readers in faults.items():
        _tell(ways, sets.keys[number], gap, readers)


def _gap(flow: Flow, node: int, number: int, told: dict[tuple[int, int], Gap]) -> Gap:
    """Why a node lacks a key: as its dominator, if that lacks it too and nothing between them writes it."""
    above = flow.structure.dominator[node]
    known = told.get((node, number)) or told.get((above, number))
    if known is not None:
        between = flow.between(above, node) - {node}
        if not any((flow.effects[one].possible | flow.effects[one].failed) >> number & 1 for one in between):
            return known
    return explain(flow, node, 1 << number)


def _tell(ways: Ways, key: str, gap: Gap, readers: list[tuple[int, bool]]) -> None:
    node, decides = readers[0]
    name = ways.flow.shape.names[node]
    where = f"at {name} when it decides" if decides else f"at {name}"
    if _misspelt_writer(ways, key, where):
        return
    others = dict.fromkeys(ways.flow.shape.names[other] for other, _ in readers[1:] if other != node)
    shown = tuple(others)[:3]
    more = f" and {len(others) - len(shown)} more" if len(others) > len(shown) else ""
    also = f" and so at {', '.join(map(repr, shown)) if more else quoted(shown)}{more}" if others else ""
    if key == ERROR:
        way_out = "read `error` only where some on_error leads on every way"
    else:
        other = "decide where it is there" if decides else f"let {name!r} come after it"
        way_out = f"give state.{key} a default, or {'declare another output' if name == END else other}"
    mark = _condition_mark(ways, name, key) if decides else ways.read_mark(name, key)
    reason = say(ways.flow, gap)
    said = f"{key} may be unwritten at {name} ({reason}){' when it decides' if decides else ''}{also}"
    ways.findings.add("RW202", f"{said}; {way_out}", mark)


def _misspelt_writer(ways: Ways, key: str, where: str) -> bool:
    """True if the fault is in a name near to the key that is written for nobody."""
    suspect = ways.table.suspect(key) if ways.table.whole else None
    if suspect is None:
        return False
    word, mention, phrase = suspect
    if word not in ways.table.blamed:
        ways.table.blamed.add(word)
        said = f"{phrase} {word!r}, which nothing reads, and {key} may be unwritten {where}"
        ways.findings.add("RW202", f"{said}; did you mean {key!r}?", mention.mark, fix=(word, key))
    return True


def _condition_mark(ways: Ways, name: str, key: str) -> Mark:
    """Where a condition of a node first names a key."""
    from ragweave.orchestrator.checking.conditions import names_in, place_in  # not for a graph without any

    for route in ways.spec.exits[name].routes:
        for word, offset in names_in(route.when or ""):
            if word.split(".")[0] == key and route.when is not None:
                return place_in(ways.spec.text, ways.spec.value_mark(*route.place, "when"), route.when, offset)
    return ways.findings.exit(name)


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
    names = [shape.names[writer] for writer in gap.writers if writer][:3]
    if not names:
        return "nothing writes it"
    write = "writes" if len(names) == 1 else "write"
    if gap.kind == "unsure":
        return f"{' and '.join(names)} {write} it, but not surely on every way"
    return f"only {' and '.join(names)} {write} it, and no way leads from there"
