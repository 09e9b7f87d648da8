"""Which state keys are surely there when a node starts (R10). Pure: shapes and sets of keys, which are bits of an int."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragweave.orchestrator.shape import Edge, Route, Shape
from ragweave.orchestrator.structure import Structure


@dataclass(frozen=True, slots=True)
class Effect:
    """What a node does to state, as sets of keys: `certain` and `possible` if it succeeds, `failed` if `on_error` is taken."""

    certain: int = 0
    possible: int = 0
    failed: int = 0


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
        effect = self.effects[node]
        return effect.failed if route.error else effect.certain

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


@dataclass(frozen=True, slots=True)
class Gap:
    """Why a key may be missing. `kind` says which of the other fields count.

    `chooses`: `node` may take `route`, and then nothing brings the key. `omits`: `node` may leave the key out.
    `later`: only `writers` write it, and no forward path leads from them here. `fails`: like `chooses`, by on_error.
    """

    kind: str
    node: int = -1
    route: int = -1
    writers: tuple[int, ...] = ()


def explain(flow: Flow, node: int, bit: int) -> Gap:
    """A way for `node` to run without the key of this bit, which is not definite there."""
    shape, structure = flow.shape, flow.structure
    writers = [other for other, effect in enumerate(flow.effects) if (effect.possible | effect.failed) & bit]
    before = flow.between(0, node)
    earlier = [other for other in writers if other in before and other != node]
    if not earlier:
        return Gap("later", writers=tuple(writers))
    brings = _bringing(flow, node, bit, before)
    above = structure.dominator[node]
    others = sorted(before - {node, above}, key=lambda item: -structure.rank[item])
    for demand_reach in (True, False):
        for other in (above, *others):
            gap = _choice(flow, other, bit, brings, before if demand_reach else None)
            if gap is not None:
                return gap
    omitting = max((other for other in earlier if not flow.effects[other].certain & bit), default=-1)
    if omitting >= 0:
        return Gap("omits", node=omitting)
    return Gap("later", writers=tuple(writers if shape else ()))


def _bringing(flow: Flow, node: int, bit: int, before: set[int]) -> set[int]:
    """The nodes from which a forward path to `node` leads through one that surely writes the key (themselves included)."""
    found: set[int] = set()
    for other in sorted(before - {node}, key=lambda item: -flow.structure.rank[item]):
        for index in flow.shape.out[other]:
            edge = flow.shape.edges[index]
            if edge.target not in before or index in flow.structure.back:
                continue
            if edge.target in found or flow.surely_written(edge) & bit:
                found.add(other)
    return found


def _choice(flow: Flow, node: int, bit: int, brings: set[int], reaching: set[int] | None) -> Gap | None:
    """A route of `node` that does not bring the key, if another one does; it leads into `reaching`, if that is given."""
    if node not in brings:
        return None
    routes = flow.shape.routes[node]
    gap: Gap | None = None
    bringing = 0
    for index, route in enumerate(routes):
        targets = [flow.shape.edges[edge].target for edge in route.edges]
        if any(edge in flow.structure.back for edge in route.edges):
            continue
        wrote = (flow.effects[node].failed if route.error else flow.effects[node].certain) & bit
        if any(target in brings for target in targets) or (wrote and reaching is None):
            bringing += 1
        elif wrote and reaching is not None and any(target in reaching for target in targets):
            bringing += 1
        elif gap is None and (reaching is None or any(target in reaching for target in targets)):
            gap = Gap("fails" if route.error else "chooses", node, index)
    return gap if bringing else None
