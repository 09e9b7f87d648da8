"""Rebuilding a run from its journal: `fold(snapshot, event)` and `due(snapshot)`. Pure, total, without an event
loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ragweave.orchestrator.context import NO_USAGE
from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.running.events import Event, asking, belongs, call_path, outside
from ragweave.orchestrator.running.ledger import Ledger, Ready
from ragweave.orchestrator.running.plan import Plan, Step, Way
from ragweave.orchestrator.running.shapes import UNFIT, check_shape
from ragweave.orchestrator.running.state import Log, State, Write, changed
from ragweave.orchestrator.running.typed import typed_inputs, typed_outputs, typed_values, typed_writes
from ragweave.orchestrator.running.walker import USER, first_state, written
from ragweave.orchestrator.stores.waiting import typed_ask
from ragweave.orchestrator.values import Usage


@dataclass(frozen=True, slots=True)
class Frame:
    """Where one graph of a run stands: its ledger, and the nodes that are due with their states."""

    plan: Plan
    ledger: Ledger
    due: Mapping[int, State]
    final: State | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a run stands after some of its events. `frames[""]` is the outermost graph."""

    plan: Plan
    status: str = "new"
    frames: Mapping[str, Frame] = field(default_factory=dict)
    items: Mapping[str, Log] = field(default_factory=dict)
    """By call path of a mapped node, finished items as (number, writes); None for one that failed and is left out."""
    asks: Mapping[str, Any] = field(default_factory=dict)
    """By call path, the Asks that nobody has answered."""
    answers: Mapping[str, list[Any]] = field(default_factory=dict)
    approvals: Mapping[str, list[Any]] = field(default_factory=dict)
    """By call path, the answers to what `interrupt` asked."""
    effects: Mapping[str, Any] = field(default_factory=dict)
    """By call path of an effect that has started: its writes, or None while its outcome is not known."""
    usage: Usage = NO_USAGE
    deadline: float | None = None
    """The seconds that the caller gave, at the start or at the last resume that gave any; None for the graph's own."""
    spent: float = 0.0
    """The seconds of it that the run has gone on for; those of a part that crashed are not known."""


def due(snapshot: Snapshot) -> list[str]:
    """The calls that are due, as paths: those that a run with this journal has running, or would start."""
    return sorted(
        call_path(frame, standing.plan.steps[node].name, standing.ledger.visits[node] + 1)
        for frame, standing in snapshot.frames.items()
        for node in standing.due
    )


def fold_all(plan: Plan, events: Iterable[Event], *, live: bool = True) -> Snapshot:
    """The snapshot after all of these events. Raises JournalError where they do not fit the graph.

    Those that are not `live` hold plain JSON, which gets the types that the graph declares.
    """
    snapshot = Snapshot(plan)
    for event in events:
        try:
            snapshot = fold(snapshot, event if live else restored(snapshot, event))
        except UNFIT as error:
            raise JournalError(
                f"the journal does not fit the graph at {event.path or event.kind!r}: {type(error).__name__}: {error}"
            ) from error
    return snapshot


def restored(snapshot: Snapshot, event: Event) -> Event:
    """An event that was read from a store, with the types that the graph declares. Raises JournalError."""
    check_shape(event)
    data = _restored(snapshot, event)
    if data is event.data:
        return event
    copy = Event(*event.record())
    copy.data = data
    return copy


def _restored(snapshot: Snapshot, event: Event) -> Mapping[str, Any]:
    kind, data = event.kind, event.data
    try:
        if kind == "run_started":
            return {**data, "inputs": typed_inputs(snapshot.plan, data["inputs"], "its start")}
        if kind == "run_done":
            return {**data, "outputs": typed_outputs(snapshot.plan, data["outputs"])}
        if kind == "entered":
            inputs = typed_inputs(_nested_plan(snapshot, event), data["inputs"], event.path)
            origins = {str(key): int(mask) for key, mask in data["origins"].items()}
            return {**data, "inputs": inputs, "origins": origins}
        if kind == "ended":
            return {**data, "outputs": typed_outputs(_frame(snapshot, event).plan, data["outputs"])}
        if kind in ("finished", "item", "effect_finished"):
            plan = _frame(snapshot, event).plan
            return typed_writes(plan, step_of(plan, event.node), event)
        if kind == "asked":
            return {**data, "ask": typed_ask(data["ask"], str(data["path"]))}
        if kind == "forked":
            plan = _frame(snapshot, event).plan if event.node else snapshot.plan
            return {**data, "set": typed_values(plan, data["set"], event.path or "its start")}
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise JournalError(
            f"the journal is damaged at {event.path or kind!r}: {type(error).__name__}: {error}"
        ) from None
    return data


def fold(snapshot: Snapshot, event: Event) -> Snapshot:
    """The snapshot after one more event; the old one stays as it is. Events that only a stream shows change nothing."""
    kind = event.kind
    if kind == "run_started":
        frames = {"": _entered(snapshot.plan, event.data["inputs"])}
        return replace(snapshot, status="running", frames=frames, deadline=event.data.get("deadline"))
    if kind == "entered":
        return _nested(snapshot, event)
    if kind == "finished":
        return _finished(snapshot, event)
    if kind in ("item", "item_failed"):
        path = call_path(event.frame, event.node, event.visit)
        writes = event.data if kind == "item" else None
        done = snapshot.items.get(path, Log()).added([(event.item or 0, writes)])
        return replace(snapshot, items={**snapshot.items, path: done})
    if kind == "used":
        return replace(snapshot, usage=snapshot.usage + Usage(**event.data))
    if kind == "asked":
        return replace(snapshot, asks={**snapshot.asks, event.data["path"]: event.data["ask"]})
    if kind == "answered":
        path = event.data["path"]
        asks = {other: ask for other, ask in snapshot.asks.items() if other != path}
        approving = path in snapshot.asks and snapshot.asks[path].approval
        before = snapshot.approvals if approving else snapshot.answers
        given = {**before, path: [*before.get(path, []), event.data["answer"]]}
        return (
            replace(snapshot, asks=asks, approvals=given) if approving else replace(snapshot, asks=asks, answers=given)
        )
    if kind.startswith("effect_"):
        return _effect(snapshot, event)
    if kind == "ended":
        return _ended(snapshot, event)
    if kind == "forked":
        return _forked(snapshot, event) if event.node else snapshot
    if kind == "run_resumed":
        seconds = event.data.get("deadline")
        if seconds is None:
            return replace(snapshot, status="running")
        return replace(snapshot, status="running", deadline=seconds, spent=0.0)
    if kind.startswith("run_"):
        spent = snapshot.spent + event.data.get("seconds", 0.0)
        return replace(snapshot, status=kind.removeprefix("run_"), spent=spent)
    return snapshot


def standing(snapshot: Snapshot) -> dict[str, tuple[Ledger, Ready]]:
    """By frame, an independent ledger and what is due, for walkers that go on from here; `end` where it was reached."""
    found = {}
    for name, frame in snapshot.frames.items():
        ready = frame.due if frame.final is None else {1: frame.final}
        found[name] = (frame.ledger.copy(), [(node, dict(state)) for node, state in ready.items()])
    return found


def _entered(plan: Plan, inputs: Mapping[str, Any], origins: Mapping[str, int] | None = None) -> Frame:
    new = {name: key.default for name, key in plan.spec.inputs.items() if key.has_default and name not in inputs}
    ledger = Ledger(plan)
    left = dict(ledger.start(first_state(plan, {**new, **inputs}, origins)))
    return Frame(plan, ledger, left, left.pop(1, None))


def _nested(snapshot: Snapshot, event: Event) -> Snapshot:
    """A graph starts in a frame; what is known of an earlier start of it there, of which a retry made an end, goes."""
    name = event.path + "/"
    frame = _entered(_nested_plan(snapshot, event), event.data["inputs"], event.data["origins"])
    return replace(
        snapshot,
        frames={**outside(snapshot.frames, name), name: frame},
        items=outside(snapshot.items, name),
        asks=outside(snapshot.asks, name),
        answers=outside(snapshot.answers, name),
        approvals=outside(snapshot.approvals, name),
    )


def _ended(snapshot: Snapshot, event: Event) -> Snapshot:
    """A graph has come to its end before what was due in it was done: none of that is made any more."""
    name, frame = event.frame, _frame(snapshot, event)
    final: State = {key: Write(value, 0) for key, value in event.data["outputs"].items()}
    frames = outside(snapshot.frames, name) if name else {}
    return replace(
        snapshot,
        frames={**frames, name: Frame(frame.plan, frame.ledger, {}, final)},
        items=outside(snapshot.items, name),
        asks=outside(snapshot.asks, name),
        effects=outside(snapshot.effects, name),
    )


def _effect(snapshot: Snapshot, event: Event) -> Snapshot:
    """A decision to repeat an effect holds for one repetition: the next time, people are asked again."""
    effects = dict(snapshot.effects)
    if event.kind == "effect_ended":
        effects.pop(event.path, None)
        return replace(snapshot, effects=effects)
    effects[event.path] = event.data if event.kind == "effect_finished" else None
    answers = {path: given for path, given in snapshot.answers.items() if path != asking(event.path)}
    return replace(snapshot, effects=effects, answers=answers)


def _forked(snapshot: Snapshot, event: Event) -> Snapshot:
    """Change the state that a call sees, and no other."""
    frame = _frame(snapshot, event)
    step = step_of(frame.plan, event.node)
    if not is_due(snapshot, event):
        raise JournalError(f"the journal was forked at {event.path!r}, which was not due")
    state = dict(frame.due[step.index])
    for key, value in event.data["set"].items():
        state[key] = changed(state.get(key), value, step.index, USER)
    frames = {**snapshot.frames, event.frame: replace(frame, due={**frame.due, step.index: state})}
    return replace(snapshot, frames=frames)


def is_due(snapshot: Snapshot, event: Event) -> bool:
    """True if the call that an event is about is due."""
    frame = snapshot.frames.get(event.frame)
    if frame is None:
        return False
    step = step_of(frame.plan, event.node)
    return step.index in frame.due and frame.ledger.visits[step.index] + 1 == event.visit


def _nested_plan(snapshot: Snapshot, event: Event) -> Plan:
    frame = _frame(snapshot, event)
    step = step_of(frame.plan, event.node)
    node = step.bound.members[event.member].node if step.bound and event.member < len(step.bound.members) else None
    plan = getattr(node, "plan", None)
    if not isinstance(plan, Plan):
        raise JournalError(f"{event.path} is not a graph in {frame.plan.spec.name!r}")
    return plan


def _frame(snapshot: Snapshot, event: Event) -> Frame:
    frame = snapshot.frames.get(event.frame)
    if frame is None:
        raise JournalError(f"the journal goes on at {event.path!r}, but that graph was never entered")
    return frame


def step_of(plan: Plan, node: str) -> Step:
    """The node of this name. Raises JournalError if the graph has none."""
    for step in plan.steps:
        if step.name == node:
            return step
    raise JournalError(f"the journal names the node {node!r}, which {plan.spec.name!r} does not have")


def way_of(step: Step, route: int) -> Way:
    """The way on from a node, that of an error included, which has this number. Raises JournalError if it has none."""
    ways: list[Way] = [*step.ways, *filter(None, [step.error_way])]
    for way in ways:
        if way.index == route:
            return way
    raise JournalError(f"the journal names route {route} of {step.name!r}, which it does not have")


def _finished(snapshot: Snapshot, event: Event) -> Snapshot:
    frame = _frame(snapshot, event)
    step = step_of(frame.plan, event.node)
    if step.index not in frame.due:
        raise JournalError(f"the journal says that {event.path!r} finished, but it was not due")
    way = way_of(step, event.route)
    ledger = frame.ledger.copy()
    ledger.visits[step.index] = event.visit
    state = dict(frame.due[step.index])
    written(state, step, event.data, event.origin)
    left = {node: waiting for node, waiting in frame.due.items() if node != step.index}
    final = None
    for node, carried in ledger.finish(step, way, state):
        if node == 1:
            final = carried
        else:
            left[node] = carried
    mine = call_path(event.frame, event.node, event.visit)
    frames = {other: one for other, one in snapshot.frames.items() if not belongs(other, mine)}
    frames[event.frame] = Frame(frame.plan, ledger, left, final)
    # None of it is made again: a run that goes on for long does not carry what is over along.
    items, asks, effects = (_but(known, mine) for known in (snapshot.items, snapshot.asks, snapshot.effects))
    return replace(snapshot, frames=frames, items=items, asks=asks, effects=effects)


def _but(known: Mapping[str, Any], call: str) -> Mapping[str, Any]:
    """Of what is known by path, all but what is of this call."""
    return (
        {path: value for path, value in known.items() if path != call and not belongs(path, call)} if known else known
    )
