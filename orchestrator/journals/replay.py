"""Replay: a recorded run once more, from its journal alone. No node, model, tool or retriever is called."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import NO_USAGE
from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.journals.walk import Moment, moments, reading, values_of, within
from ragweave.orchestrator.result import plain
from ragweave.orchestrator.running.events import Event, call_path
from ragweave.orchestrator.running.fold import Frame, Snapshot, due, way_of
from ragweave.orchestrator.running.plan import Plan
from ragweave.orchestrator.running.state import State, join, origin_of
from ragweave.orchestrator.running.walker import USER
from ragweave.orchestrator.running.wrappers import collected
from ragweave.orchestrator.values import Usage


class Difference(NamedTuple):
    """Where a journal says one thing, and what is made of its earlier events is another."""

    path: str
    """The path of the call; empty for the run itself."""
    what: str
    """`outputs`, `writes`, `inputs`, `route`, `origin`, `visit`, `due` or `asks`."""
    said: Any
    """What the journal says."""
    found: Any
    """What follows from the events before."""

    def __str__(self) -> str:
        where = self.path or "the run"
        return f"{where}: {self.what}: the journal says {_short(self.said)}, found {_short(self.found)}"


@dataclass(frozen=True, slots=True)
class Replay:
    """A run as its journal has it. Iterating gives its events in order, as a stream of it did, but for tokens and what
    else only a stream shows."""

    run_id: str
    status: str
    """`done`, `parked`, `failed`, `cancelled`; `running` if the journal breaks off."""
    outputs: Mapping[str, Any]
    """Made anew from what the calls wrote; empty for a run that has not come to its end."""
    state: Mapping[str, Any]
    """By key, what the run knew at its end, or how far it has come. A key that parallel calls wrote, that has no
    `merge` and that therefore nobody reads, is not in it."""
    events: tuple[Event, ...]
    """With the types that the graph declares."""
    differences: tuple[Difference, ...] = ()
    """Empty for every journal that ragweave has written."""
    usage: Usage = field(default=NO_USAGE)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)


@reading
def replay(plan: Plan, events: Iterable[Event], *, live: bool = True, run_id: str = "") -> Replay:
    """Fold a journal and hold all that it says twice against itself. Raises JournalError for one that is damaged or
    does not fit the graph."""
    typed: list[Event] = []
    found: list[Difference] = []
    snapshot = Snapshot(plan)
    for moment in moments(plan, events, live=live):
        typed.append(moment.event)
        found += _differences(moment)
        snapshot = moment.after
    outermost = snapshot.frames.get("")
    if outermost is None:
        raise JournalError(f"the journal of run {run_id!r} does not say how it started")
    outputs = {} if outermost.final is None else values_of(outermost.final, plan, plan.outputs)
    state = values_of(_reached(outermost), plan)
    return Replay(run_id, snapshot.status, outputs, state, tuple(typed), tuple(found), snapshot.usage)


def same(one: Any, other: Any) -> bool:
    """True of equal values, whatever kind of list they are in; of what is no number, too."""
    try:
        if one is other or one == other:
            return True
        return json.dumps(plain(one), sort_keys=True) == json.dumps(plain(other), sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return False


def _reached(frame: Frame) -> State:
    """The state at `end`, or the union of what waits on edges and what is due."""
    if frame.final is not None:
        return dict(frame.final)
    waiting = [state for arrivals in frame.ledger.arrived.values() for _, state in arrivals]
    states = [*waiting, *(dict(state) for state in frame.due.values())]
    return join(states, frame.plan.reach) if states else {}


def _differences(moment: Moment) -> Iterator[Difference]:
    kind = moment.event.kind
    if kind == "finished":
        yield from _of_call(moment)
    elif kind == "item":
        yield from _of_graph(moment, moment.event.item)
    elif kind == "entered":
        yield from _of_inputs(moment)
    elif kind == "run_done":
        yield from _of_end(moment)
    elif kind in ("run_parked", "run_failed"):
        yield from _of_rest(moment)


def _of_call(moment: Moment) -> Iterator[Difference]:
    event, step = moment.event, moment.step
    ledger = moment.before.frames[event.frame].ledger
    visit = ledger.visits[step.index] + 1
    if event.visit != visit:
        yield Difference(event.path, "visit", event.visit, visit)
    failed = step.error_way is not None and event.route == step.error_way.index
    if not failed:
        taken = way_of(step, event.route)
        if taken.bound is not None and ledger.bounds[taken.bound_index] >= taken.bound:
            yield Difference(event.path, "route", event.route, f"it was taken {taken.bound} times already")
        surer = [way.index for way in step.ways if way.condition is None and way.bound is None]
        if surer and surer[0] < event.route:
            yield Difference(event.path, "route", event.route, surer[0])
    origin = step.origin
    for key, _ in step.reads:
        origin |= origin_of(moment.state[key]) if key in moment.state else 0
    origin &= -1 if failed else ~step.clears
    if event.origin != origin and not (_edited(moment) and event.origin == origin | USER):
        yield Difference(event.path, "origin", event.origin, origin)
    if not failed:
        yield from _of_items(moment)
        yield from _of_effect(moment)
        if step.bound is not None and step.bound.policies.map is None:
            yield from _of_graph(moment, None)


def _edited(moment: Moment) -> frozenset[str]:
    """The state keys in whose place a person gave other values when the call was approved."""
    event, bound = moment.event, moment.step.bound
    if bound is None or bound.policies.interrupt is None:
        return frozenset()
    answers = moment.before.approvals.get(call_path(event.frame, event.node, event.visit), ())
    given = [answer.get("values") for answer in answers if isinstance(answer, Mapping)]
    return frozenset(key for values in given if isinstance(values, Mapping) for key in values)


def _of_items(moment: Moment) -> Iterator[Difference]:
    """What a mapped node writes is what its items wrote, in order."""
    event, bound = moment.event, moment.step.bound
    if bound is None or bound.policies.map is None or bound.policies.map.over in _edited(moment):
        return
    policy = bound.policies.map
    items = values_of(moment.state, moment.before.frames[event.frame].plan, [policy.over]).get(policy.over, [])
    known = dict(moment.before.items.get(event.path, ()))
    if any(at not in known for at in range(len(items))):
        yield Difference(event.path, "writes", f"{len(known)} items", f"{len(items)} items")
        return
    merge = registry.get("merges", policy.merge) if policy.merge is not None else None
    writes = collected([known[at] for at in range(len(items))], tuple(bound.written), merge)
    if not same(event.data, writes):
        yield Difference(event.path, "writes", event.data, writes)


def _of_effect(moment: Moment) -> Iterator[Difference]:
    """An effect that has finished is what its call wrote."""
    event = moment.event
    done = [data for path, data in moment.before.effects.items() if within(path, event.path) and data is not None]
    mine = moment.step.bound
    plain_call = mine is not None and mine.policies.map is None and not moment.step.nested
    if plain_call and len(done) == 1 and not same(event.data, done[0]):
        yield Difference(event.path, "writes", event.data, done[0])


def _of_graph(moment: Moment, item: int | None) -> Iterator[Difference]:
    """What a graph as a node writes is what that graph gave."""
    event, bound = moment.event, moment.step.bound
    if bound is None or len(bound.members) != 1 or not bound.members[0].node.nested:
        return
    frame = moment.before.frames.get(call_path(event.frame, event.node, event.visit, item) + "/")
    if frame is None or frame.final is None:
        yield Difference(event.path, "due", "it finished", "its graph had not come to its end")
        return
    given = values_of(frame.final, frame.plan, frame.plan.outputs)
    writes = {bound.members[0].writes[name]: value for name, value in given.items() if name in bound.members[0].writes}
    if not same(event.data, writes):
        yield Difference(event.path, "writes", event.data, writes)


def _of_inputs(moment: Moment) -> Iterator[Difference]:
    """What a graph as a node was given is what its caller's state held."""
    event, bound = moment.event, moment.step.bound
    if bound is None or event.member >= len(bound.members):
        return
    frame = moment.before.frames[event.frame]
    state = values_of(moment.state, frame.plan)
    edited, policy = _edited(moment), bound.policies.map
    reads = bound.members[event.member].reads
    expected = {name: state[key] for name, key in reads.items() if key in state and key not in edited}
    if policy is not None and policy.over not in edited and event.item is not None:
        items = state.get(policy.over, ())
        expected |= {policy.as_: items[event.item]} if event.item < len(items) else {}
    said = {name: value for name, value in event.data["inputs"].items() if name in expected}
    if not same(said, expected):
        yield Difference(event.path, "inputs", said, expected)


def _of_end(moment: Moment) -> Iterator[Difference]:
    outermost = moment.before.frames[""]
    if outermost.final is None:
        yield Difference("", "due", "it is done", ", ".join(due(moment.before)) or "nothing is due")
        return
    outputs = values_of(outermost.final, outermost.plan, outermost.plan.outputs)
    if not same(moment.event.data.get("outputs"), outputs):
        yield Difference("", "outputs", moment.event.data.get("outputs"), outputs)


def _of_rest(moment: Moment) -> Iterator[Difference]:
    """A run that is parked asks in every call that is due; one that failed did so in a call that is due."""
    standing = due(moment.before)
    if moment.event.kind == "run_failed":
        path = str(moment.event.data.get("path", ""))
        if "#" in path and not any(within(path, call) for call in standing):
            yield Difference("", "due", f"it failed at {path}", ", ".join(standing) or "nothing was due")
        return
    asks = moment.before.asks
    silent = [call for call in standing if not any(within(path, call) for path in asks)]
    if silent or not asks:
        yield Difference("", "asks", "it is parked", f"nobody is asked at {', '.join(silent) or 'any call'}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
