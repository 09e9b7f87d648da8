"""Where a run stands: which edges are settled, what is due (R5 to R8). Pure bookkeeping, no asyncio.

The walker keeps one while it runs; `fold` rebuilds one from a journal. Both call the same two methods, so they cannot
disagree; the tests hold both against an independent interpreter of the rules.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from ragweave.orchestrator.running.state import Log, State, Write, join

if TYPE_CHECKING:
    from ragweave.orchestrator.running.plan import Plan, Step, Way

UNSETTLED, TAKEN, DEAD = 0, 1, 2

Ready = list[tuple[int, State]]


class Ledger:
    """The edges of one graph in one run. `start` and `finish` give the nodes that have become due, with their states.

    Counts are arrays: with thousands of runs at once, a list each would be work for the garbage collector.
    """

    __slots__ = ("arrived", "bounds", "edges", "need", "on_skip", "plan", "visits")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.need = array("i", plan.need)
        """For each node its forward in-edges that are not settled."""
        self.edges = bytearray(plan.edge_count)
        self.arrived: dict[int, list[tuple[int, State]]] = {}
        """For each node that waits the states on its taken in-edges."""
        self.bounds = array("i", bytes(4 * plan.bound_count))
        """How often each bounded route has matched since its loop was entered."""
        self.visits = array("i", bytes(4 * len(plan.steps)))
        self.on_skip: list[int] | None = None
        """If a list, nodes that are skipped are added to it."""

    def copy(self) -> Ledger:
        """An independent copy, its waiting states too: a walker that goes on with one writes into it."""
        other = Ledger.__new__(Ledger)
        other.plan = self.plan
        other.need = self.need[:]
        other.edges = bytearray(self.edges)
        other.arrived = {
            node: [(edge, dict(state)) for edge, state in arrivals] for node, arrivals in self.arrived.items()
        }
        other.bounds = self.bounds[:]
        other.visits = self.visits[:]
        other.on_skip = self.on_skip
        return other

    def start(self, state: State) -> Ready:
        """Take all edges of `start`."""
        return self.finish(self.plan.steps[0], self.plan.steps[0].ways[0], state)

    def finish(self, step: Step, way: Way, state: State) -> Ready:
        """A node has finished and goes on by `way` with `state`: settle its edges, say which nodes are due (R6 to
        R8)."""
        if way.back >= 0:
            return [(way.back, self._again(way, state))]
        ready: Ready = []
        first = True
        for edge, target in way.targets:
            self.edges[edge] = TAKEN
            self.need[target] -= 1
            carried = state if first else dict(state)
            first = False
            if self.need[target] == 0 and target not in self.arrived:
                ready.append((target, carried))
            else:
                self.arrived.setdefault(target, []).append((edge, carried))
                if self.need[target] == 0:
                    ready.append((target, self._joined(target)))
        dying = list(way.others)
        for header in way.ends:
            dying.extend(edge for edge in self.plan.exits[header] if self.edges[edge] == UNSETTLED)
        if dying:
            self._kill(dying, ready)
        return ready

    def _joined(self, target: int) -> State:
        arrivals = self.arrived.pop(target)
        if len(arrivals) == 1:
            return arrivals[0][1]
        arrivals.sort(key=_edge_number)
        return join([state for _, state in arrivals], self.plan.reach)

    def _kill(self, dying: list[int], ready: Ready) -> None:
        """Make edges dead, and skip the nodes that have no living one (R5 to R7)."""
        steps, targets = self.plan.steps, self.plan.edge_targets
        while dying:
            edge = dying.pop()
            if self.edges[edge] != UNSETTLED:
                continue
            self.edges[edge] = DEAD
            target = targets[edge]
            self.need[target] -= 1
            if self.need[target] > 0:
                continue
            if target in self.arrived:
                ready.append((target, self._joined(target)))
                continue
            if self.on_skip is not None:
                self.on_skip.append(target)
            step = steps[target]
            dying.extend(step.forward)
            if step.header:
                dying.extend(self.plan.exits[target])

    def _again(self, way: Way, state: State) -> State:
        """Go back to a header: forget what ran in its loop, reset the bounds inside it, give it what was written (R8,
        R11)."""
        loop = self.plan.loops[way.back]
        self.bounds[way.bound_index] += 1
        for edge in loop.edges:
            self.edges[edge] = UNSETTLED
        for node, need in loop.needs:
            self.need[node] = need
            self.arrived.pop(node, None)
        for bound in loop.inner_bounds:
            self.bounds[bound] = 0
        for key in loop.keys:
            entry = state.get(key)
            if entry is None or entry.__class__ is Log:
                continue
            writes = entry if isinstance(entry, tuple) else (entry,)
            if any(write.node in loop.body and write.node != way.back for write in writes):  # type: ignore[union-attr]
                moved = tuple(_moved(write, way.back, loop.body) for write in writes)  # type: ignore[arg-type]
                state[key] = moved[0] if len(moved) == 1 else moved
        return state


def _moved(write: Write, header: int, body: frozenset[int]) -> Write:
    return Write(write.value, header, write.origin) if write.node in body else write


def _edge_number(arrival: tuple[int, State]) -> int:
    return arrival[0]
