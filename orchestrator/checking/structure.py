"""What follows from a graph's shape alone: order, dominators, back edges, loops, post-dominators in a loop.

Dominators by Cooper, Harvey and Kennedy, "A simple, fast dominance algorithm" (2001); everything is near linear.
"""

from __future__ import annotations

from typing import NamedTuple

from ragweave.orchestrator.checking.shape import Shape

FAULTS = ("unreachable", "dead_end", "cycle", "two_entries", "fork_leaves", "fork_open")


class Fault(NamedTuple):
    """A violation of the rules of shape. `node` is the culprit; `edges` those concerned; `loop` the loop's header."""

    kind: str
    node: int
    edges: tuple[int, ...] = ()
    loop: int = -1


class Structure(NamedTuple):
    """Facts about a shape. Where `faults` is not empty, only what the faults do not touch is meaningful."""

    order: tuple[int, ...]
    """Nodes so that every forward edge goes from an earlier to a later one; unreachable nodes are left out."""
    rank: tuple[int, ...]
    """The position of each node in `order`; -1 if unreachable."""
    dominator: tuple[int, ...]
    """The immediate dominator of each node; -1 for start and for unreachable nodes."""
    back: frozenset[int]
    """The edges that go back to the header of a loop."""
    loops: dict[int, frozenset[int]]
    """For each header the nodes of its loop, the header among them."""
    enclosing: tuple[tuple[int, ...], ...]
    """For each node the headers of the loops that hold it, the outermost first."""
    faults: tuple[Fault, ...]

    def leaves(self, source: int, target: int) -> tuple[int, ...]:
        """The headers of the loops that an edge from source to target leaves, the outermost first."""
        inner = self.enclosing[target]
        return tuple(header for header in self.enclosing[source] if header not in inner)

    def dominates(self, above: int, below: int) -> bool:
        """True if every path from start to `below` passes `above`."""
        while below != -1 and self.rank[below] > self.rank[above]:
            below = self.dominator[below]
        return above == below


def analyse(shape: Shape) -> Structure:
    """The structure of a shape, with every fault of it (R1 to R4 as far as they concern shape)."""
    order = _reverse_postorder(shape)
    rank = [-1] * len(shape.names)
    for position, node in enumerate(order):
        rank[node] = position
    dominator = _dominators(shape, order, rank)
    facts = Structure(tuple(order), tuple(rank), tuple(dominator), frozenset(), {}, (), ())
    back = frozenset(
        edge.number for edge in shape.edges if rank[edge.source] >= 0 and facts.dominates(edge.target, edge.source)
    )
    faults = _reachability(shape, rank)
    order, cyclic = _topological(shape, order, back)
    faults += _cycles(shape, cyclic, back)
    for position, node in enumerate(order):
        rank[node] = position
    loops = _loops(shape, back, rank)
    enclosing = _enclosing(shape, loops, rank)
    done = Structure(tuple(order), tuple(rank), tuple(dominator), back, loops, enclosing, ())
    if not cyclic:
        passed: dict[int, dict[int, int]] = {}
        faults += [fault for node in order for fault in _forks(shape, done, node, passed)]
    return Structure(done.order, done.rank, done.dominator, back, loops, enclosing, tuple(faults))


def _reverse_postorder(shape: Shape) -> list[int]:
    seen = [False] * len(shape.names)
    finished = []
    seen[0] = True
    stack = [(0, iter(shape.out[0]))]
    while stack:
        node, edges = stack[-1]
        for edge in edges:
            target = shape.edges[edge].target
            if not seen[target]:
                seen[target] = True
                stack.append((target, iter(shape.out[target])))
                break
        else:
            finished.append(node)
            stack.pop()
    return finished[::-1]


def _dominators(shape: Shape, order: list[int], rank: list[int]) -> list[int]:
    dominator = [-1] * len(shape.names)
    dominator[0] = 0
    changed = True
    while changed:
        changed = False
        for node in order[1:]:
            best = -1
            for edge in shape.into[node]:
                source = shape.edges[edge].source
                if rank[source] < 0 or dominator[source] < 0:
                    continue
                best = source if best < 0 else _meet(dominator, rank, source, best)
            if best != dominator[node]:
                dominator[node] = best
                changed = True
    dominator[0] = -1
    return dominator


def _meet(dominator: list[int], rank: list[int], one: int, other: int) -> int:
    while one != other:
        while rank[one] > rank[other]:
            one = dominator[one]
        while rank[other] > rank[one]:
            other = dominator[other]
    return one


def _reachability(shape: Shape, rank: list[int]) -> list[Fault]:
    """Nodes that start cannot reach, and nodes from which end cannot be reached, or only if they fail."""
    arriving = _backward(shape, 1)
    faults = [Fault("unreachable", node) for node in range(len(shape.names)) if rank[node] < 0]
    for node, routes in enumerate(shape.routes):
        leads_on = node == 1 or any(not route.error for route in routes)
        if rank[node] >= 0 and not (leads_on and node in arriving):
            faults.append(Fault("dead_end", node))
    return faults


def _backward(shape: Shape, target: int) -> set[int]:
    found = {target}
    stack = [target]
    while stack:
        for edge in shape.into[stack.pop()]:
            source = shape.edges[edge].source
            if source not in found:
                found.add(source)
                stack.append(source)
    return found


def _topological(shape: Shape, order: list[int], back: frozenset[int]) -> tuple[list[int], list[int]]:
    """Reachable nodes in an order that every forward edge keeps, and those left on cycles of forward edges."""
    reachable = set(order)
    need = dict.fromkeys(order, 0)
    for edge in shape.edges:
        if edge.source in reachable and edge.number not in back:
            need[edge.target] += 1
    ready = [node for node in order if need[node] == 0]
    done = []
    while ready:
        node = ready.pop()
        done.append(node)
        for index in shape.out[node]:
            if index not in back:
                target = shape.edges[index].target
                need[target] -= 1
                if need[target] == 0:
                    ready.append(target)
    settled = set(done)
    cyclic = [node for node in order if node not in settled]
    return done + cyclic, cyclic


def _cycles(shape: Shape, cyclic: list[int], back: frozenset[int]) -> list[Fault]:
    """One fault for each cycle that is entered from two places, at the node that closes it."""
    left = set(cyclic)
    faults = []
    for component in _components(shape, left, back):
        entries = [
            edge.number
            for edge in shape.edges
            if edge.target in component and edge.source not in component and edge.number not in back
        ]
        entered = {shape.edges[edge].target for edge in entries}
        closing = tuple(
            edge.number
            for edge in shape.edges
            if edge.source in component and edge.target in entered and edge.number not in back
        )
        faults.append(Fault("two_entries", min(entered, default=min(component)), closing or tuple(entries)))
    return faults


def _components(shape: Shape, nodes: set[int], back: frozenset[int]) -> list[set[int]]:
    """Strongly connected components of forward edges that hold more than one node or a self-edge (Tarjan,
    iterative)."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found = []
    for root in sorted(nodes):
        if root in index:
            continue
        work = [(root, iter(shape.out[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, edges = work[-1]
            for edge in edges:
                target = shape.edges[edge].target
                if edge in back or target not in nodes:
                    continue
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(shape.out[target])))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component: set[int] = set()
                    while node not in component:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.add(member)
                    if len(component) > 1:
                        found.append(component)
    return found


def _loops(shape: Shape, back: frozenset[int], rank: list[int]) -> dict[int, frozenset[int]]:
    bodies: dict[int, set[int]] = {}
    for index in sorted(back, key=lambda edge: rank[shape.edges[edge].target]):
        edge = shape.edges[index]
        body = bodies.setdefault(edge.target, {edge.target})
        stack = [edge.source]
        while stack:
            node = stack.pop()
            if node in body or rank[node] < 0:
                continue
            body.add(node)
            stack.extend(shape.edges[entering].source for entering in shape.into[node])
    return {header: frozenset(body) for header, body in bodies.items()}


def _enclosing(shape: Shape, loops: dict[int, frozenset[int]], rank: list[int]) -> tuple[tuple[int, ...], ...]:
    around: list[list[int]] = [[] for _ in shape.names]
    for header in sorted(loops, key=lambda node: (-len(loops[node]), rank[node])):
        for node in loops[header]:
            around[node].append(header)
    return tuple(map(tuple, around))


def _forks(shape: Shape, facts: Structure, node: int, passed: dict[int, dict[int, int]]) -> list[Fault]:
    """R4: edges that a node in a loop takes together all leave the loop, or all stay and meet again in it.

    `passed` keeps what `_always_passed` found out about each loop.
    """
    faults = []
    for route in shape.routes[node]:
        if len(route.edges) < 2:
            continue
        for header in reversed(facts.enclosing[node]):
            body = facts.loops[header]
            staying = [edge for edge in route.edges if shape.edges[edge].target in body]
            if not staying:
                continue
            if len(staying) < len(route.edges):
                faults.append(Fault("fork_leaves", node, route.edges, header))
                break
            if header not in passed:
                passed[header] = _always_passed(shape, facts, header)
            common = -1
            for edge in route.edges:
                common &= passed[header][shape.edges[edge].target]
            if not common:
                faults.append(Fault("fork_open", node, route.edges, header))
                break
    return faults


def _always_passed(shape: Shape, facts: Structure, header: int) -> dict[int, int]:
    """For each node of a loop the nodes, as bits, on every way from it to the end of an iteration, itself included."""
    body = facts.loops[header]
    passed: dict[int, int] = {}
    for node in reversed(facts.order):
        if node not in body:
            continue
        common = -1
        for index in shape.out[node]:
            edge = shape.edges[index]
            if edge.target not in body or (index in facts.back and edge.target == header):
                common = 0
            elif index not in facts.back:
                common &= passed[edge.target]
        passed[node] = (common if common != -1 else 0) | 1 << node
    return passed
