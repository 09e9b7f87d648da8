"""Parallel writes that meet unmerged (R12): readers that two writers of one key can both reach. Pure, like dataflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ragweave.orchestrator.checking.dataflow import Effect
from ragweave.orchestrator.checking.shape import Shape
from ragweave.orchestrator.checking.structure import Structure


class Conflict(NamedTuple):
    """Two writers of a key whose writes may both be the newest at a reader. `fork` is the node that starts both."""

    key: int
    reader: int
    writers: tuple[int, int]
    fork: int


class Parallels:
    """Answers which nodes may run at the same time: neither leads to the other, and one node starts ways to both.

    Two ways are followed backward at once, the one further along first, so that they can never share a node unnoticed.
    """

    __slots__ = ("_fork_of", "_reach", "shape", "structure")

    def __init__(self, shape: Shape, structure: Structure) -> None:
        self.shape = shape
        self.structure = structure
        self._reach: list[int] | None = None
        self._fork_of: dict[tuple[int, int, int, int], int | None] = {}

    @property
    def reach(self) -> list[int]:
        """For each node a set of bits: the nodes to which a forward path leads."""
        if self._reach is None:
            reach = [0] * len(self.shape.names)
            for node in reversed(self.structure.order):
                for index in self.shape.out[node]:
                    if index not in self.structure.back:
                        target = self.shape.edges[index].target
                        reach[node] |= reach[target] | 1 << target
            self._reach = reach
        return self._reach

    def ordered(self, one: int, other: int) -> bool:
        """True if a forward path leads from one of them to the other."""
        return bool(self.reach[one] >> other & 1 or self.reach[other] >> one & 1)

    def fork(self, one: int, other: int) -> int | None:
        """The node that takes two edges together from which node-disjoint forward paths lead to the two, if any."""
        if one == other or self.ordered(one, other):
            return None
        return self._search((one, -1, other, -1))

    def _search(self, start: tuple[int, int, int, int]) -> int | None:
        """Depth first over (node, route by which its way leaves it) for both ways; what is found out is kept."""
        path = [(start, iter(self._earlier(start)))]
        seen = {start}
        while path:
            state, steps = path[-1]
            for step in steps:
                found = step if isinstance(step, int) else self._fork_of.get(step, -1)
                if found is not None and found >= 0:
                    for passed, _ in path:
                        self._fork_of[passed] = found
                    return found
                if found is None or isinstance(step, int) or step in seen:
                    continue
                seen.add(step)
                path.append((step, iter(self._earlier(step))))
                break
            else:
                self._fork_of[state] = None
                path.pop()
        return None

    def _earlier(self, state: tuple[int, int, int, int]) -> Iterable[tuple[int, int, int, int] | int]:
        """One step back of the way that is further along; an int is a node where both ways begin."""
        one, one_route, other, other_route = state
        if self.structure.rank[one] < self.structure.rank[other]:
            one, one_route, other, other_route = other, other_route, one, one_route
        for index in self.shape.into[one]:
            edge = self.shape.edges[index]
            if index in self.structure.back:
                continue
            if edge.source != other:
                yield (edge.source, edge.route, other, other_route)
            elif edge.route == other_route:
                yield other


def conflicts(
    shape: Shape,
    structure: Structure,
    effects: Sequence[Effect],
    reads: Sequence[int],
    keys: Iterable[int],
    parallels: Parallels | None = None,
) -> list[Conflict]:
    """Every reader and key for which a merge is needed, once each. `reads` has for each node the keys that it reads.

    Both writes must reach the reader through nodes that do not surely overwrite the key, back edges included.
    """
    found = []
    parallels = parallels or Parallels(shape, structure)
    for key in keys:
        bit = 1 << key
        writers = [node for node, effect in enumerate(effects) if (effect.possible | effect.failed) & bit]
        beside = _unordered(writers, parallels)
        if not beside:
            continue
        arrivals = {node: _arrivals(shape, effects, node, bit) for node in beside}
        for reader, wanted in enumerate(reads):
            if wanted & bit:
                arrived = [node for node in beside if arrivals[node] >> reader & 1]
                pair = _first_pair(arrived, beside, parallels)
                if pair is not None:
                    found.append(Conflict(key, reader, pair[:2], pair[2]))
    return found


def _unordered(writers: Sequence[int], parallels: Parallels) -> dict[int, int]:
    """Writers to which no forward path orders some other, with the set of these."""
    every = 0
    for node in writers:
        every |= 1 << node
    beside = dict.fromkeys(writers, 0)
    later = every
    for node in sorted(writers, key=lambda node: parallels.structure.rank[node]):
        later &= ~(1 << node)
        apart = later & ~parallels.reach[node]
        beside[node] |= apart
        while apart:
            lowest = apart & -apart
            beside[lowest.bit_length() - 1] |= 1 << node
            apart ^= lowest
    return {node: others for node, others in beside.items() if others}


def _first_pair(arrived: Sequence[int], beside: Mapping[int, int], parallels: Parallels) -> tuple[int, int, int] | None:
    """The first two of these writers that one node starts ways to, and that node."""
    for position, one in enumerate(arrived):
        for other in arrived[position + 1 :]:
            fork = parallels.fork(one, other) if beside[one] >> other & 1 else None
            if fork is not None:
                return one, other, fork
    return None


def _arrivals(shape: Shape, effects: Sequence[Effect], writer: int, bit: int) -> int:
    """The nodes at which a write of `writer` may be found, as a set of bits."""
    reached = 0
    stack = [edge for edge in shape.out[writer] if _may_write(shape, effects, edge, bit)]
    while stack:
        target = shape.edges[stack.pop()].target
        if reached >> target & 1:
            continue
        reached |= 1 << target
        stack += [edge for edge in shape.out[target] if not _overwrites(shape, effects, edge, bit)]
    return reached


def _may_write(shape: Shape, effects: Sequence[Effect], edge: int, bit: int) -> bool:
    taken = shape.edges[edge]
    effect = effects[taken.source]
    failing = shape.routes[taken.source][taken.route].error
    return bool((effect.failed if failing else effect.possible) & bit)


def _overwrites(shape: Shape, effects: Sequence[Effect], edge: int, bit: int) -> bool:
    taken = shape.edges[edge]
    effect = effects[taken.source]
    failing = shape.routes[taken.source][taken.route].error
    return bool((effect.failed if failing else effect.certain) & bit)
