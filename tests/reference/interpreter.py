"""Section 3 of the design as a slow, obvious interpreter: one rule, one line or two. Nothing of the engine is used.

`Run(sketch)` has `running` at first; `finish(name, call)` ends one of these calls and starts what becomes due. `play`
does so until nothing runs, with a script for what calls return and a picker for which of the running ends first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.reference.sketch import END, START, Edge, Sketch

UNSETTLED, TAKEN, DEAD = "unsettled", "taken", "dead"
LIMIT = 2000


@dataclass(frozen=True)
class Call:
    """What a call of a node does: fails, leaves writes out, and which of its conditions hold."""

    fails: bool = False
    holds: tuple[bool, ...] = ()
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Written:
    """One write: what was written by which call, and the node that counts as its writer (R11)."""

    value: str
    writer: str


State = dict[str, tuple[Written, ...]]


@dataclass
class Outcome:
    """What a run did. `seen` is the whole state at each call, by node and visit, each key a tuple of newest values."""

    runs: list[tuple[str, int]] = field(default_factory=list)
    """Calls in the order in which they ended."""
    skipped: list[str] = field(default_factory=list)
    seen: dict[tuple[str, int], dict[str, tuple[str, ...]]] = field(default_factory=dict)
    after: dict[tuple[str, int], dict[str, tuple[str, ...]]] = field(default_factory=dict)
    """The state after the writes of a call that succeeded: what its conditions read."""
    taken: dict[tuple[str, int], int] = field(default_factory=dict)
    """The way that each call took, -1 for on_error."""
    outputs: dict[str, tuple[str, ...]] | None = None
    failed: str | None = None
    """The call that failed without on_error."""
    trouble: set[tuple[str, str, str]] = field(default_factory=set)
    """(kind, node, key): `missing` and `unmerged` reads, `deadlock`, `unbounded`."""

    def same_as(self, other: Outcome) -> bool:
        """True if the same calls saw the same, and the same came out; the order of calls may differ."""
        return (
            self.seen == other.seen
            and self.taken == other.taken
            and sorted(self.skipped) == sorted(other.skipped)
            and self.outputs == other.outputs
            and self.trouble == other.trouble
            and (self.failed is None) == (other.failed is None)
        )


class Run:
    """One run of a sketch, call by call."""

    def __init__(self, sketch: Sketch) -> None:
        self.sketch = sketch
        self.outcome = Outcome()
        self.status = dict.fromkeys(sketch.forward, UNSETTLED)
        self.carried: dict[Edge, State] = {}
        self.settled_nodes: set[str] = set()
        """Nodes that were started or skipped since their loop went round."""
        self.visits: dict[str, int] = {}
        self.bounds: dict[tuple[str, int], int] = {}
        self.running: dict[str, State] = {}
        self.done = False
        first: State = dict.fromkeys(sketch.logs, ())
        first.update({key: (Written(f"{START}.{key}", START),) for key in sketch.inputs})
        self._take([edge for edge in sketch.edges if edge.source == START], first)
        self._settle()

    def finish(self, name: str, call: Call) -> None:
        """R6: a running call ends; its routes are evaluated on the state after its writes."""
        state = self.running.pop(name)
        step = self.sketch.steps[name]
        visit = self.visits[name]
        self.outcome.runs.append((name, visit))
        mine = [edge for edge in self.sketch.edges if edge.source == name]
        if call.fails:
            if step.on_error is None:
                self.outcome.failed = f"{name}#{visit}"
                self.done = True
                return
            way = -1
            state = {**state, "error": (Written(f"{name}#{visit}.error", name),)}
        else:
            for key in (*step.writes, *(key for key in step.maybe if key not in call.absent)):
                written = Written(f"{name}#{visit}.{key}", name)
                state = {**state, key: (*state.get(key, ()), written) if key in self.sketch.logs else (written,)}
            self.outcome.after[name, visit] = _values(state)
            way = self._choose(name, call, state)
        self.outcome.taken[name, visit] = way
        chosen = [edge for edge in mine if edge.way == way]
        back = [edge for edge in chosen if edge in self.sketch.back]
        if back:
            self._again(back[0].target, state)
            return
        self._take(chosen, state)
        for edge in mine:
            if edge in self.status and edge not in chosen and not self.sketch.left_by(edge):
                self.status[edge] = DEAD
        for edge in chosen:
            for header in self.sketch.left_by(edge):
                self._end_loop(header)
        self._settle()

    def _choose(self, name: str, call: Call, state: State) -> int:
        ways = self.sketch.steps[name].ways
        for number, way in enumerate(ways):
            used = self.bounds.get((name, number), 0)
            if way.bound is not None and used >= way.bound:
                continue
            if number < len(ways) - 1 and not way.free:
                for key in way.asks:
                    self._read(name, key, state, required=True)
                if not call.holds[number]:
                    continue
            if way.bound is not None:
                self.bounds[name, number] = used + 1
            return number
        raise AssertionError("the last way always holds")

    def _take(self, edges: Sequence[Edge], state: State) -> None:
        for edge in edges:
            self.status[edge] = TAKEN
            self.carried[edge] = state

    def _end_loop(self, header: str) -> None:
        """R7: edges whose outermost left loop is this one, and that were not taken, are dead now."""
        for edge in self.sketch.forward:
            left = self.sketch.left_by(edge)
            if left and left[0] == header and self.status[edge] == UNSETTLED:
                self.status[edge] = DEAD

    def _settle(self) -> None:
        """R5: start or skip every node whose forward in-edges are all settled, until nothing changes."""
        changed = True
        while changed:
            changed = False
            for name in self.sketch.names[1:]:
                entering = [edge for edge in self.sketch.forward if edge.target == name]
                waits = any(self.status[edge] == UNSETTLED for edge in entering)
                if waits or not entering or name in self.settled_nodes:
                    continue
                self.settled_nodes.add(name)
                changed = True
                taken = [edge for edge in entering if self.status[edge] == TAKEN]
                if taken:
                    self._start(name, self._join([self.carried[edge] for edge in taken]))
                    continue
                self.outcome.skipped.append(name)
                for edge in self.sketch.forward:
                    if edge.source == name and not self.sketch.left_by(edge):
                        self.status[edge] = DEAD
                if name in self.sketch.loops:
                    self._end_loop(name)

    def _start(self, name: str, state: State) -> None:
        """A node runs; `end` ends the run."""
        self.settled_nodes.add(name)
        visit = self.visits[name] = self.visits.get(name, 0) + 1
        self.outcome.seen[name, visit] = _values(state)
        if sum(self.visits.values()) > LIMIT:
            self.outcome.trouble.add(("unbounded", name, ""))
            self.done = True
        elif name == END:
            for key in self.sketch.outputs:
                self._read(name, key, state, required=True)
            self.outcome.outputs = {key: _values(state).get(key, ()) for key in self.sketch.outputs}
            self.done = True
        else:
            for key in self.sketch.steps[name].reads:
                self._read(name, key, state, required=True)
            for key in self.sketch.steps[name].wants:
                self._read(name, key, state, required=False)
            self.running[name] = state

    def _read(self, name: str, key: str, state: State, *, required: bool) -> None:
        """R10 and R12: a required key is there; several newest writes need a merge."""
        if required and key not in state:
            self.outcome.trouble.add(("missing", name, key))
        if len(state.get(key, ())) > 1 and key not in self.sketch.logs and key not in self.sketch.merges:
            self.outcome.trouble.add(("unmerged", name, key))

    def _join(self, states: Sequence[State]) -> State:
        """R11: the union in the order of the edges, each write once, without what another write of the set replaced."""
        joined: State = {}
        for key in dict.fromkeys(key for state in states for key in state):
            writes = list(dict.fromkeys(write for state in states for write in state.get(key, ())))
            if key not in self.sketch.logs:
                writes = [
                    write
                    for write in writes
                    if not any(other.writer in self.sketch.leads[write.writer] for other in writes)
                ]
            joined[key] = tuple(writes)
        return joined

    def _again(self, header: str, state: State) -> None:
        """R8: back to a header with the state that the edge carries; writes made in the loop count as the header's."""
        body = self.sketch.loops[header]
        for edge in self.sketch.forward:
            if edge.source in body:
                self.status[edge] = UNSETTLED
                self.carried.pop(edge, None)
        self.settled_nodes -= body
        for name, number in list(self.bounds):
            targets = self.sketch.steps[name].ways[number].targets
            if targets[0] != header and targets[0] in body:
                self.bounds[name, number] = 0
        moved: State = {}
        for key, writes in state.items():
            if key in self.sketch.logs:
                moved[key] = writes
            else:
                moved[key] = tuple(replace(write, writer=header) if write.writer in body else write for write in writes)
        self._start(header, moved)


def _values(state: State) -> dict[str, tuple[str, ...]]:
    return {key: tuple(write.value for write in writes) for key, writes in state.items()}


Script = Callable[[str, int], Call]
Picker = Callable[[Sequence[str]], int]


def first_running(running: Sequence[str]) -> int:
    """The schedule in which calls end in the order in which they started."""
    return 0


def last_running(running: Sequence[str]) -> int:
    """The schedule in which the newest call ends first."""
    return len(running) - 1


def play(sketch: Sketch, script: Script, pick: Picker = first_running) -> Outcome:
    """A whole run."""
    run = Run(sketch)
    while run.running and not run.done:
        names = list(run.running)
        name = names[pick(names)]
        run.finish(name, script(name, run.visits[name]))
    if not run.done:
        run.outcome.trouble.add(("deadlock", "", ""))
    return run.outcome


def scripted(table: Mapping[tuple[str, int], Call], default: Call | None = None) -> Script:
    """A script by node and visit; (node, 0) means every visit. Where nothing is said, conditions are false."""

    def call(name: str, visit: int) -> Call:
        found = table.get((name, visit)) or table.get((name, 0)) or default
        return found if found is not None else Call(holds=(False,) * 8)

    return call
