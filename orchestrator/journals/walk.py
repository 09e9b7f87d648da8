"""A journal event by event, with what was known before and after each: what every reader of journals starts from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar

from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.running.events import Event, belongs, call_path
from ragweave.orchestrator.running.fold import Snapshot, fold, restored, step_of
from ragweave.orchestrator.running.plan import Plan, Step
from ragweave.orchestrator.running.shapes import UNFIT
from ragweave.orchestrator.running.state import Entry, Log, MergeFailed, read

P = ParamSpec("P")
T = TypeVar("T")


class Place(NamedTuple):
    """Where a call, or one item of it, stands in a run."""

    frame: str
    node: str
    visit: int
    item: int | None = None

    @property
    def path(self) -> str:
        """The path of the call (R20)."""
        return call_path(*self)


class Moment(NamedTuple):
    """One event, with the types that the graph declares, and where the run stood before and after it."""

    event: Event
    before: Snapshot
    after: Snapshot

    @property
    def step(self) -> Step:
        """The node that the event is about, as its graph has it."""
        event = self.event
        return step_of(self.before.frames[event.frame].plan, event.node)

    @property
    def state(self) -> Mapping[str, Entry]:
        """What the call that the event is about sees; empty if it is not due."""
        frame = self.before.frames.get(self.event.frame)
        return {} if frame is None else frame.due.get(self.step.index, {})


def moments(plan: Plan, events: Iterable[Event], *, live: bool = True) -> Iterator[Moment]:
    """Every event of a journal. Those that are not `live` hold plain JSON, which gets its types. Raises JournalError
    at the first that does not fit the graph."""
    before = Snapshot(plan)
    for event in events:
        typed = event if live else restored(before, event)
        after = fold(before, typed)
        yield Moment(typed, before, after)
        before = after


def reading(function: Callable[P, T]) -> Callable[P, T]:
    """A function that reads a journal. What a forged or a foreign one makes it raise is a JournalError."""

    @functools.wraps(function)
    def read_it(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except UNFIT as error:
            raise JournalError(f"the journal does not fit the graph: {type(error).__name__}: {error}") from error

    return read_it


def became_due(moment: Moment) -> list[Place]:
    """The calls that an event has made due."""
    event, before, after = moment
    if event.kind not in ("run_started", "entered", "finished"):
        return []
    name = event.frame if event.kind == "finished" else f"{event.path}/" if event.node else ""
    frame = after.frames[name]
    waited: set[int] = set()
    if event.kind == "finished":
        waited = {node for node in before.frames[name].due if frame.plan.steps[node].name != event.node}
    return [
        Place(name, frame.plan.steps[node].name, frame.ledger.visits[node] + 1)
        for node in frame.due
        if node not in waited
    ]


def values_of(state: Mapping[str, Entry], plan: Plan, keys: Iterable[str] | None = None) -> dict[str, Any]:
    """What a state holds, by key: all of it, or these keys as far as they are there. A key that has several newest
    writes and no merge has no value, and is left out."""
    found = {}
    for key in state if keys is None else keys:
        if key in state:
            try:
                value = read(state, key, plan.merges)
            except MergeFailed:
                continue
            found[key] = value.items() if isinstance(value, Log) else value
    return found


def within(path: str, call: str) -> bool:
    """True for the path of a call and of everything in it: items, members, calls, what is asked about it."""
    return path == call or belongs(path, call)
