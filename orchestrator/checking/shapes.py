"""Faults of shape (R1 to R4, R17) in plain words, each at the place in the file that has to change."""

from __future__ import annotations

from ragweave.orchestrator.checking.places import Findings, quoted
from ragweave.orchestrator.checking.shape import END, START, Edge, Shape
from ragweave.orchestrator.checking.structure import Fault, Structure

UNNAMED = "no edge names"


def check_shape(findings: Findings, shape: Shape, structure: Structure) -> bool:
    """Note every fault of shape. True if the rules about state can be looked at: nothing here would mislead them."""
    before = findings.told
    faults: dict[str, list[Fault]] = {}
    for fault in structure.faults:
        faults.setdefault(fault.kind, []).append(fault)
    unreachable = [fault.node for fault in faults.get("unreachable", ())]
    stuck = [fault.node for fault in faults.get("dead_end", ())]
    _error_ways(findings, shape, structure)
    cyclic: set[int] = set()
    for fault in faults.get("two_entries", ()):
        cyclic.update(fault.edges)
        _two_entries(findings, shape, fault)
    _bounds(findings, shape, structure, cyclic, whole=not unreachable)
    if findings.told == before and not findings.has("RW117"):
        _reachability(findings, shape, unreachable, stuck)
    if findings.told == before and not unreachable and not stuck:
        for fault in faults.get("fork_leaves", ()) or faults.get("fork_open", ()):
            _fork(findings, shape, structure, fault)
    return findings.told == before and not structure.faults


def _error_ways(findings: Findings, shape: Shape, structure: Structure) -> None:
    """R17: on_error leads forward, to a node that has no other edge from here."""
    for node, routes in enumerate(shape.routes):
        for route in routes:
            if not route.error:
                continue
            edge = shape.edges[route.edges[0]]
            name, target = shape.names[node], shape.names[edge.target]
            if edge.number in structure.back:
                way_out = "" if target in (name, START) else f", or use retry to call {name!r} again"
                findings.add(
                    "RW410",
                    f"on_error of {name!r} goes back to {target!r}; name a node that comes after {name!r}{way_out}",
                    findings.edge(shape, edge),
                )
            elif any(shape.edges[other].target == edge.target for other in shape.out[node] if other != edge.number):
                findings.add(
                    "RW411",
                    f"an edge leads from {name!r} to {target!r} already, so {target!r} could not tell success "
                    f"from failure; name another node in on_error, or remove the edge",
                    findings.edge(shape, edge),
                )


def _reachability(findings: Findings, shape: Shape, unreachable: list[int], stuck: list[int]) -> None:
    """Nodes off every path from start to end. What only follows from another such node is not told again."""
    lost = set(unreachable)
    roots = [node for node in unreachable if not any(shape.edges[edge].source in lost for edge in shape.into[node])]
    roots = roots or [node for node in unreachable if _is_header(shape, node, lost)][:1] or unreachable[:1]
    for node in [node for node in roots if node > 1 and not shape.out[node] and not shape.into[node]]:
        name = shape.names[node]
        way_out = f"join it, such as `start -> {name}` and `{name} -> end`, or remove it"
        findings.add("RW401", f"{UNNAMED} {name!r}; {way_out}", findings.node(name))
        roots.remove(node)
    leaves = [node for node in stuck if not any(shape.edges[edge].target != node for edge in shape.out[node])]
    leaves = leaves or stuck[:1]
    if len(roots) == 1 and len(leaves) == 1:
        source, target = shape.names[leaves[0]], shape.names[roots[0]]
        mark = findings.spec.mark("edges") if leaves[0] == 0 else findings.node(source)
        findings.add(
            "RW401",
            f"nothing follows {source!r}, and nothing leads to {target!r}; an edge is missing, such as "
            f"`{source} -> {target}`",
            mark,
        )
        return
    for node in roots:
        _unreached(findings, shape, node)
    for node in leaves:
        _endless(findings, shape, node)


def _is_header(shape: Shape, node: int, lost: set[int]) -> bool:
    """True if only routes that go back lead to a lost node from others."""
    entering = [shape.edges[edge] for edge in shape.into[node]]
    return all(shape.routes[edge.source][edge.route].bound for edge in entering if edge.source in lost)


def _unreached(findings: Findings, shape: Shape, node: int) -> None:
    name = shape.names[node]
    if name == END:
        findings.add("RW402", "no way leads to end; add an edge, such as `… -> end`", findings.spec.mark("edges"))
        return
    sources = sorted({shape.names[shape.edges[edge].source] for edge in shape.into[node]} - {name})
    reason = (
        f"it is reached from {quoted(sources)} only, and start does not reach that"
        if sources
        else "no edge leads to it"
    )
    findings.add(
        "RW401", f"start does not reach {name!r}: {reason}; add an edge to it or remove it", findings.node(name)
    )


def _endless(findings: Findings, shape: Shape, node: int) -> None:
    name = shape.names[node]
    if name == START:
        findings.add("RW401", "no edge leaves start; add one, such as `start -> …`", findings.spec.mark("edges"))
        return
    targets = sorted({shape.names[shape.edges[edge].target] for edge in shape.out[node]})
    reason = f"its edges lead to {quoted(targets)} only" if targets else "no edge leaves it"
    findings.add(
        "RW402",
        f"end cannot be reached from {name!r}: {reason}; add an edge, such as `{name} -> end`",
        findings.node(name),
    )


def _two_entries(findings: Findings, shape: Shape, fault: Fault) -> None:
    ways = {edge: shape.routes[shape.edges[edge].source][shape.edges[edge].route] for edge in fault.edges}
    bounded = [edge for edge, way in ways.items() if way.bound is not None]
    usual = [edge for edge, way in ways.items() if not way.error]
    closing = shape.edges[(bounded or usual or fault.edges)[-1]]
    header = shape.names[closing.target]
    source = shape.names[closing.source]
    findings.add(
        "RW403",
        f"loop entered from two places: `{source} -> {header}` closes a cycle, but start reaches {source!r} "
        f"without passing {header!r}; let every way into the loop go through {header!r}",
        findings.edge(shape, closing),
    )


def _bounds(findings: Findings, shape: Shape, structure: Structure, cyclic: set[int], *, whole: bool) -> None:
    """R3: a back edge is the only target of a route with max_iterations, and nothing else is bounded.

    If the graph is not `whole`, what is missing may be what makes an edge go back.
    """
    for node, routes in enumerate(shape.routes):
        for index, route in enumerate(routes):
            if route.error:
                continue
            back = [shape.edges[edge] for edge in route.edges if edge in structure.back]
            if not back:
                if whole and route.bound is not None and not cyclic.intersection(route.edges):
                    _forward_bound(findings, shape, node, index)
                continue
            _back_edge(findings, shape, node, index, back[0])


def _forward_bound(findings: Findings, shape: Shape, node: int, index: int) -> None:
    route = findings.spec.exits[shape.names[node]].routes[index]
    findings.add(
        "RW408",
        f"max_iterations on a route that does not go back: not every way to {shape.names[node]!r} passes "
        f"{quoted(route.targets)}; remove max_iterations",
        findings.spec.mark(*route.place, "max_iterations"),
    )


def _back_edge(findings: Findings, shape: Shape, node: int, index: int, edge: Edge) -> None:
    name, header = shape.names[node], shape.names[edge.target]
    route = shape.routes[node][index]
    mark = findings.edge(shape, edge)
    exits = findings.spec.exits.get(name)
    if exits is not None and exits.plain:
        findings.add(
            "RW406",
            f"`{name} -> {header}` goes back: a back edge needs routes and max_iterations, such as "
            f"`from: {name}` with `routes: [{{when: …, to: {header}, max_iterations: 3}}, {{to: …}}]`",
            mark,
        )
    elif len(route.edges) > 1:
        others = [shape.names[shape.edges[other].target] for other in route.edges if other != edge.number]
        findings.add(
            "RW409",
            f"the route of {name!r} goes back to {header!r} and on to {quoted(others)} at once; "
            f"a back edge is the only target of its route",
            mark,
        )
    elif route.bound is None:
        if exits is not None and index + 1 < len(exits.routes) and route.when is None:
            findings.withdraw("RW118", findings.spec.mark(*exits.routes[index + 1].place))
        findings.add(
            "RW407",
            f"`{name} -> {header}` goes back without max_iterations; say how often it may, such as max_iterations: 3",
            mark,
        )


def _fork(findings: Findings, shape: Shape, structure: Structure, fault: Fault) -> None:
    """R4: a fork in a loop either leaves the loop whole or meets again in it."""
    name, header = shape.names[fault.node], shape.names[fault.loop]
    body = structure.loops[fault.loop]
    leaving = [shape.edges[edge] for edge in fault.edges if shape.edges[edge].target not in body]
    staying = [shape.edges[edge] for edge in fault.edges if shape.edges[edge].target in body]
    around = f"the loop of {header!r}" if header != name else "the loop"
    inside = [shape.names[edge.target] for edge in staying]
    if fault.kind == "fork_leaves":
        outside = [shape.names[edge.target] for edge in leaving]
        findings.add(
            "RW404",
            f"fork at {name} leaves the loop: {quoted(outside)} would run beside {quoted(inside)}, which may go "
            f"round again; start {quoted(outside)} before {header!r} or after {around} has ended",
            findings.edge(shape, leaving[0]),
        )
    else:
        findings.add(
            "RW405",
            f"fork at {name} does not meet again in {around}: {quoted(inside)} must all lead to one node of it "
            f"before it goes back or out; add a node where they join",
            findings.edge(shape, staying[-1]),
        )
