"""Which state keys are surely there when a node starts (R10). Pure: shapes, and sets of keys as bits of an int."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from ragweave.orchestrator.checking.shape import Edge, Route, Shape
from ragweave.orchestrator.checking.structure import Structure


class Effect(NamedTuple):
    """What a node does to state, as sets of keys: `certain` and `possible` if it succeeds, `failed` on its on_error."""

    certain: int = 0
    possible: int = 0
    failed: int = 0
    routes: Mapping[Route, int] = MappingProxyType({})
    """What it surely writes besides, if it takes one of these routes."""

    def on(self, route: Route) -> int:
        """What it surely writes if it takes this route."""
        return self.failed if route.error else self.certain | self.routes.get(route, 0)


class Flow:
    """The definite keys of a graph without faults of structure.

    `at[node]` is what a node surely finds; `after(node)` what its conditions may read.
    """

    __slots__ = ("at", "effects", "shape", "structure")

    def __init__(self, shape: Shape, structure: Structure, effects: Sequence[Effect]) -> None:
        self.shape = shape
        self.structure = structure
        self.effects = effects
        self.at = [0] * len(shape.names)
        for node in structure.order:
            if node:
                self.at[node] = self._definite(node)

    def after(self, node: int) -> int:
        """The keys that are surely there once the node has succeeded."""
        return self.at[node] | self.effects[node].certain

    def surely_written(self, edge: Edge) -> int:
        """What the source surely writes if it goes this way."""
        return self._writes(edge.source, self.shape.routes[edge.source][edge.route])

    def _definite(self, node: int) -> int:
        entering = [self.shape.edges[index] for index in self.shape.into[node] if index not in self.structure.back]
        common = -1
        for edge in entering:
            common &= self.at[edge.source] | self.surely_written(edge)
        if len(entering) == 1:
            return common
        above = self.structure.dominator[node]
        return common | self.at[above] | self.arriving(node)

    def arriving(self, node: int) -> int:
        """What surely comes to a node from its immediate dominator and from what runs between them."""
        above = self.structure.dominator[node]
        between = self.between(above, node)
        brought = {node: 0}
        rank = self.structure.rank
        for other in sorted(between - {node, above}, key=lambda item: -rank[item]):
            found = -1
            for route in self.shape.routes[other]:
                if self._goes_back(route):
                    continue
                arrived = self._union(route, brought)
                if arrived is None:
                    break
                found &= arrived | self._writes(other, route)
            else:
                brought[other] = found
        found = -1
        for route in self.shape.routes[above]:
            if not self._goes_back(route) and any(self.shape.edges[edge].target in between for edge in route.edges):
                found &= (self._union(route, brought) or 0) | self._writes(above, route)
        return found

    def between(self, above: int, node: int) -> set[int]:
        """The nodes on forward paths from a dominator of `node` to it, both among them."""
        found = {node}
        stack = [node]
        while stack:
            for index in self.shape.into[stack.pop()]:
                source = self.shape.edges[index].source
                if index in self.structure.back or source in found:
                    continue
                found.add(source)
                if source != above:
                    stack.append(source)
        return found

    def _writes(self, node: int, route: Route) -> int:
        return self.effects[node].on(route)

    def _goes_back(self, route: Route) -> bool:
        return any(edge in self.structure.back for edge in route.edges)

    def _union(self, route: Route, brought: dict[int, int]) -> int | None:
        """What a route brings: of its targets those that surely arrive count; None if there is none."""
        found: int | None = None
        for edge in route.edges:
            arrived = brought.get(self.shape.edges[edge].target)
            if arrived is not None:
                found = arrived if found is None else found | arrived
        return found


class Gap(NamedTuple):
    """Why a key may be missing somewhere.

    `chooses`: `node` may take `route`, on which nothing brings the key; `fails`: the same, and the route is on_error.
    `omits`: `node` may leave the key out of what it writes. `later`: only `writers` write it, and no forward path
    leads from them there. `unsure`: `writers` come before it, but it is not certain that one of them always does.
    """

    kind: str
    node: int = -1
    route: int = -1
    writers: tuple[int, ...] = ()


def explain(flow: Flow, node: int, bit: int) -> Gap:
    """A way for `node` to run without the key of this bit, which is not definite there."""
    writers = tuple(other for other, effect in enumerate(flow.effects) if (effect.possible | effect.failed) & bit)
    before = flow.between(0, node)
    earlier = [other for other in writers if other in before and other != node]
    if not earlier:
        return Gap("later", writers=writers)
    search = _Search(flow, node, bit, before)
    above = flow.structure.dominator[node]
    others = sorted(before - {node, above}, key=lambda other: flow.structure.rank[other])
    beside = [other for other in reversed(others) if not flow.structure.dominates(other, node)]
    for candidates, reaching in (((above, *others), True), (beside, False)):
        for other in candidates:
            gap = search.choice(other, reaching=reaching)
            if gap is not None:
                return gap
    omitting = [other for other in earlier if not flow.effects[other].certain & bit]
    return Gap("omits", node=omitting[-1]) if omitting else Gap("unsure", writers=tuple(earlier))


class _Search:
    """Looks for a node that has one route which brings a key to `node` and one which does not."""

    def __init__(self, flow: Flow, node: int, bit: int, before: set[int]) -> None:
        self.flow = flow
        self.bit = bit
        self.before = before
        self.brings: set[int] = set()
        """The nodes from which a forward path to `node` leads through one that surely has or writes the key."""
        for other in sorted(before - {node}, key=lambda other: -flow.structure.rank[other]):
            if any(self._route_brings(other, route) for route in flow.shape.routes[other]):
                self.brings.add(other)

    def choice(self, node: int, *, reaching: bool) -> Gap | None:
        """The first route of a node that brings nothing, if another brings the key; `reaching` ones only, if asked."""
        if node not in self.brings:
            return None
        for index, route in enumerate(self.flow.shape.routes[node]):
            if any(edge in self.flow.structure.back for edge in route.edges) or self._route_brings(node, route):
                continue
            if not reaching or self._leads_on(route):
                return Gap("fails" if route.error else "chooses", node, index)
        return None

    def _route_brings(self, node: int, route: Route) -> bool:
        there = self.flow.at[node] | self.flow.effects[node].on(route)
        if there & self.bit and self._leads_on(route):
            return True
        return any(self._target(edge) in self.brings for edge in route.edges if edge not in self.flow.structure.back)

    def _leads_on(self, route: Route) -> bool:
        edges = (edge for edge in route.edges if edge not in self.flow.structure.back)
        return any(self._target(edge) in self.before for edge in edges)

    def _target(self, edge: int) -> int:
        return self.flow.shape.edges[edge].target
