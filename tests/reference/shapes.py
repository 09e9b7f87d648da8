"""A sketch as the checker sees it: shape, structure, effects."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from ragweave.orchestrator.checking.conflicts import Conflict, conflicts
from ragweave.orchestrator.checking.dataflow import Effect, Flow
from ragweave.orchestrator.checking.shape import Shape, make_shape
from ragweave.orchestrator.checking.structure import Structure, analyse
from tests.reference.sketch import START, Sketch

Row = tuple[tuple[str, ...], str | None, int | None, bool, tuple[int, ...]]


def shape_of_sketch(sketch: Sketch) -> Shape:
    """The shape that a file with these edges has."""
    order = {(edge.source, edge.target, edge.way): number for number, edge in enumerate(sketch.edges)}
    exits: dict[str, list[Row]] = {
        START: [(sketch.start, None, None, False, tuple(order[START, target, 0] for target in sketch.start))]
    }
    for name, step in sketch.steps.items():
        rows: list[Row] = []
        for number, way in enumerate(step.ways):
            when = "scripted" if number < len(step.ways) - 1 else None
            orders = tuple(order[name, target, number] for target in way.targets)
            rows.append((way.targets, when, way.bound, False, orders))
        if step.on_error is not None:
            rows.append(((step.on_error,), None, None, True, (order[name, step.on_error, -1],)))
        exits[name] = rows
    return make_shape(sketch.names, exits)


class Facts:
    """What the checker finds out about a sketch."""

    def __init__(self, sketch: Sketch) -> None:
        self.sketch = sketch
        self.shape: Shape = shape_of_sketch(sketch)
        self.structure: Structure = analyse(self.shape)
        self.number = {key: position for position, key in enumerate(sketch.keys)}
        self.node = {name: position for position, name in enumerate(self.shape.names)}
        self.effects = tuple(self._effect(name) for name in self.shape.names)

    def bits(self, keys: Iterable[str]) -> int:
        """A set of keys."""
        return sum(1 << self.number[key] for key in set(keys))

    def _effect(self, name: str) -> Effect:
        if name == START:
            given = self.bits((*self.sketch.inputs, *self.sketch.logs))
            return Effect(given, given)
        step = self.sketch.steps.get(name)
        if step is None:
            return Effect()
        failed = self.bits(["error"]) if step.on_error is not None else 0
        return Effect(self.bits(step.writes), self.bits((*step.writes, *step.maybe)), failed)

    @cached_property
    def flow(self) -> Flow:
        """Definite keys."""
        return Flow(self.shape, self.structure, self.effects)

    def definite(self, name: str) -> tuple[str, ...]:
        """The keys that are surely there when a node starts."""
        found = self.flow.at[self.node[name]]
        return tuple(key for key, number in self.number.items() if found >> number & 1)

    @cached_property
    def conflicts(self) -> list[Conflict]:
        """Parallel writes, as if every node read every key."""
        wanted = [(1 << len(self.number)) - 1 for _ in self.shape.names]
        keys = [number for key, number in self.number.items() if key not in self.sketch.logs | self.sketch.merges]
        return conflicts(self.shape, self.structure, self.effects, wanted, keys)
