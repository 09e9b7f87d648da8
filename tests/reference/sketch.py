"""A graph as plain data, for the reference interpreter, and the facts of its shape by the most obvious means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

START = "start"
END = "end"


@dataclass(frozen=True)
class Way:
    """Targets that are taken together. `asks` are the keys that its condition reads; one that is `free` has none."""

    targets: tuple[str, ...]
    bound: int | None = None
    asks: tuple[str, ...] = ()
    free: bool = False
    """Bounded, but without a condition."""


@dataclass(frozen=True)
class Step:
    """A node. Of several ways all but the last have a condition, whose outcome a script decides."""

    ways: tuple[Way, ...]
    reads: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    """Optional reads."""
    writes: tuple[str, ...] = ()
    maybe: tuple[str, ...] = ()
    """Writes that may be absent."""
    on_error: str | None = None
    plain: bool = False
    """Plain edges instead of a `routes` block; only for a single way."""


@dataclass(frozen=True)
class Edge:
    """An edge; `way` is -1 for on_error."""

    source: str
    target: str
    way: int


@dataclass(frozen=True)
class Sketch:
    """A graph. The order of `steps` is the order of its edges; edges of on_error come last."""

    start: tuple[str, ...]
    steps: Mapping[str, Step]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    merges: frozenset[str] = frozenset()
    logs: frozenset[str] = frozenset()
    """Keys that accumulate."""
    hidden: Mapping[str, object] = field(default_factory=dict, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """start, end and the nodes."""
        return (START, END, *self.steps)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All edges in the order in which they are declared."""
        found = [Edge(START, target, 0) for target in self.start]
        for name, step in self.steps.items():
            found += [Edge(name, target, way) for way, row in enumerate(step.ways) for target in row.targets]
        found += [Edge(name, step.on_error, -1) for name, step in self.steps.items() if step.on_error is not None]
        return tuple(found)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Every key that is named anywhere."""
        named: list[str] = [*self.inputs, *self.outputs, *self.merges, *self.logs]
        for step in self.steps.values():
            named += [*step.reads, *step.wants, *step.writes, *step.maybe]
            named += [key for way in step.ways for key in way.asks]
            named += ["error"] if step.on_error else []
        return tuple(sorted(set(named)))

    def after(self, sources: Iterable[str], edges: Iterable[Edge], without: str | None = None) -> set[str]:
        """The nodes that can be reached over these edges, the sources among them, without passing one."""
        found = {source for source in sources if source != without}
        stack = list(found)
        out: dict[str, list[str]] = {}
        for edge in edges:
            out.setdefault(edge.source, []).append(edge.target)
        while stack:
            for target in out.get(stack.pop(), ()):
                if target != without and target not in found:
                    found.add(target)
                    stack.append(target)
        return found

    @cached_property
    def dominated(self) -> dict[str, set[str]]:
        """For each node those that it dominates: what start cannot reach without passing it."""
        reached = self.after([START], self.edges)
        return {name: reached - self.after([START], self.edges, without=name) for name in self.names}

    @cached_property
    def back(self) -> frozenset[Edge]:
        """R2: u -> h where h dominates u."""
        return frozenset(edge for edge in self.edges if edge.source in self.dominated[edge.target])

    @cached_property
    def forward(self) -> tuple[Edge, ...]:
        """All edges that do not go back."""
        return tuple(edge for edge in self.edges if edge not in self.back)

    @cached_property
    def loops(self) -> dict[str, set[str]]:
        """R2: Loop(h) is h and all nodes that reach a back edge to h without passing h."""
        loops: dict[str, set[str]] = {}
        for header in dict.fromkeys(edge.target for edge in self.edges if edge in self.back):
            tails = {edge.source for edge in self.back if edge.target == header}
            body = {header}
            for name in self.names:
                if name != header and self.after([name], self.edges, without=header) & tails:
                    body.add(name)
            loops[header] = body & self.after([START], self.edges)
        return loops

    def left_by(self, edge: Edge) -> list[str]:
        """The headers of the loops that an edge leaves, the outermost first."""
        left = [header for header, body in self.loops.items() if edge.source in body and edge.target not in body]
        return sorted(left, key=lambda header: -len(self.loops[header]))

    @cached_property
    def leads(self) -> dict[str, set[str]]:
        """For each node those to which a forward path leads (itself only if it lies on a cycle)."""
        return {
            name: self.after([edge.target for edge in self.forward if edge.source == name], self.forward)
            for name in self.names
        }

    def faults(self) -> set[str]:
        """Every rule of shape that is broken: R1 to R4 and R17, as words."""
        found = set()
        reached = self.after([START], self.edges)
        arriving = {name for name in self.names if END in self.after([name], self.edges)}
        if set(self.names) - reached:
            found.add("unreachable")
        if (set(self.names) & reached) - arriving:
            found.add("dead_end")
        if any(name in self.leads[name] for name in reached):
            found.add("two_entries")
        for name, step in self.steps.items():
            found |= self._way_faults(name, step)
        if not found:
            for name, step in self.steps.items():
                for way in step.ways:
                    found |= self._fork(name, way)
        return found

    def _way_faults(self, name: str, step: Step) -> set[str]:
        found = set()
        if not step.ways or not all(way.targets for way in step.ways):
            found.add("dead_end")
        elif step.ways[-1].bound is not None:
            found.add("no_last_way")
        for number, way in enumerate(step.ways):
            if len(set(way.targets)) < len(way.targets):
                found.add("twice")
            goes_back = any(Edge(name, target, number) in self.back for target in way.targets)
            if goes_back and (way.bound is None or len(way.targets) > 1 or step.plain):
                found.add("back_edge")
            if way.bound is not None and not goes_back:
                found.add("forward_bound")
        if step.on_error is not None:
            if Edge(name, step.on_error, -1) in self.back:
                found.add("error_back")
            if any(step.on_error in way.targets for way in step.ways):
                found.add("error_twice")
        return found

    def _fork(self, name: str, way: Way) -> set[str]:
        """R4, for edges that are taken together."""
        if len(way.targets) < 2:
            return set()
        for header, body in self.loops.items():
            if name not in body:
                continue
            staying = [target for target in way.targets if target in body]
            if staying and len(staying) < len(way.targets):
                return {"fork_leaves"}
            if staying and not any(self._always_passed(target, staying, header) for target in body):
                return {"fork_open"}
        return set()

    def _always_passed(self, node: str, targets: Iterable[str], header: str) -> bool:
        """True if from none of the targets an iteration can end without passing `node`."""
        body = self.loops[header]
        inside = [edge for edge in self.edges if edge.source in body and edge.target in body]
        inside = [edge for edge in inside if not (edge.target == header and edge in self.back)]
        passed = self.after([target for target in targets if target != node], inside, without=node)
        return not any(
            edge.source in passed and (edge.target not in body or (edge.target == header and edge in self.back))
            for edge in self.edges
        )
