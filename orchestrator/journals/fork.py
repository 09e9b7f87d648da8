"""Forks: the journal with which a new run goes on from a call of another run, as if that call had not been made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from ragweave.orchestrator.errors import InputError, JournalError, did_you_mean
from ragweave.orchestrator.journals.walk import Place, became_due, moments, reading, within
from ragweave.orchestrator.running.events import Event, belongs, call_path
from ragweave.orchestrator.running.fold import Snapshot, fold, is_due, step_of
from ragweave.orchestrator.running.inputs import check_inputs
from ragweave.orchestrator.running.plan import Plan
from ragweave.orchestrator.types import JSON, Type, converter

START = "start"
_COUNTED = ("used", "reserved", "spent", "budget")


@reading
def fork(
    plan: Plan, events: Sequence[Event], at: str = "", given: Mapping[str, Any] | None = None, *, live: bool = True
) -> list[Event]:
    """The journal of a fork: what is due in the run without the call at `at` having been made, then `forked`.

    Parallel branches that do not depend on the call are kept, whether they came before it or after it. `given` changes
    the state that the call sees; without a call, the inputs. Raises InputError for a path that cannot be used and for
    keys and values that the graph does not declare, JournalError for a journal that does not fit the graph.
    """
    given = given or {}
    typed, places = _read(plan, events, live)
    if at in ("", START):
        return _anew(plan, typed[0], given)
    place = _place(at, places)
    path = place.path
    kept, snapshot = _kept(plan, typed, path)
    frame = snapshot.frames.get(place.frame)
    asked = Event("forked", place.frame, place.node, place.visit, item=place.item)
    if frame is None or not is_due(snapshot, asked):
        raise InputError(f"{path} was part of an attempt that was given up: nothing follows from it")
    if place.item is not None and given:
        node = call_path(place.frame, place.node, place.visit)
        raise InputError(
            f"{path} is one item of a list, and has no state of its own to change",
            hint=f"fork at {node} and set the list, or set nothing to call this item again",
        )
    state = frame.due[step_of(frame.plan, place.node).index]
    asked.data = {"path": path, "set": checked(frame.plan, state, given, path)}
    return [*kept, asked]


@reading
def usable(plan: Plan, events: Sequence[Event], *, live: bool = True) -> list[str]:
    """The paths from which a fork of this run can go on, in the order in which they became due."""
    return list(_read(plan, events, live)[1])


def repeated(events: Sequence[Event], journal: Sequence[Event]) -> list[str]:
    """The effects that a run has had and that its fork, which begins with this journal, may have again."""
    kept = {event.path for event in journal if event.kind == "effect_finished"}
    return list(
        dict.fromkeys(event.path for event in events if event.kind == "effect_finished" and event.path not in kept)
    )


@reading
def settable(plan: Plan, events: Sequence[Event], at: str = "", *, live: bool = True) -> dict[str, Type]:
    """What can be set at a call, or without one at the start, with its declared types. Raises InputError for a path
    that cannot be used."""
    if at in ("", START):
        return {name: key.type or JSON for name, key in plan.spec.inputs.items()}
    places = _read(plan, events, live)[1]
    return dict(places[_place(at, places).path].plan.keys)


def checked(plan: Plan, state: Mapping[str, Any], given: Mapping[str, Any], path: str) -> dict[str, Any]:
    """New values of state keys, with the types that the graph declares. Raises InputError with candidates."""
    known = {**plan.keys, **dict.fromkeys(state, JSON)}
    found = {}
    for key, value in given.items():
        if key not in known:
            raise InputError(f"the state at {path} has no key {key!r}{did_you_mean(str(key), known)}")
        kind = plan.keys.get(key, JSON)
        try:
            found[key] = converter(kind)(value)
        except ValidationError as error:
            from ragweave.orchestrator.language.reasons import reason_of  # only what is wrong needs it

            raise InputError(f"{key!r} must be {kind}, not {value!r}: {reason_of(error)}") from None
    return found


class _Known(NamedTuple):
    """A call or an item, and the plan of the graph in which it stands."""

    place: Place
    plan: Plan


def _read(plan: Plan, events: Iterable[Event], live: bool) -> tuple[list[Event], dict[str, _Known]]:
    """The events with their types, and the calls and items by their paths."""
    typed: list[Event] = []
    places: dict[str, _Known] = {}
    for moment in moments(plan, events, live=live):
        event = moment.event
        typed.append(event)
        found = became_due(moment)
        if event.item is not None:
            found.append(Place(event.frame, event.node, event.visit, event.item))
        for place in found:
            places.setdefault(place.path, _Known(place, moment.after.frames[place.frame].plan))
    if not typed or typed[0].kind != "run_started":
        raise JournalError("the journal does not say how its run started")
    return typed, places


def _place(at: str, known: Mapping[str, _Known]) -> Place:
    """The place that a path means; a node without its visit, if it was called once. Raises InputError."""
    places = {path: one.place for path, one in known.items()}
    if at in places:
        return places[at]
    named = [place for place in places.values() if f"{place.frame}{place.node}" == at and place.item is None]
    if len(named) == 1:
        return named[0]
    if named:
        which = ", ".join(place.path for place in named)
        raise InputError(f"{at!r} was called {len(named)} times", hint=f"say which: {which}")
    call = next((path for path in places if belongs(at, path) and at[len(path) :].lstrip("/").isdigit()), None)
    if call is not None:
        raise InputError(f"{at!r} is one of several that stand for {call}", hint=f"fork at {call}")
    raise InputError(f"the run has no call {at!r}{did_you_mean(at, places)}")


def _kept(plan: Plan, events: Iterable[Event], at: str) -> tuple[list[Event], Snapshot]:
    """The events that do not follow from the call at this path, and where a run with them stands."""
    kept = []
    snapshot = Snapshot(plan)
    for event in events:
        if _stays(snapshot, event, at):
            kept.append(_begun(event) if event.kind == "run_started" else event)
            snapshot = fold(snapshot, event)
    ended = {event.path for event in kept if event.kind in ("finished", "item", "item_failed")}
    # What a call has used that is made again will be counted again.
    return [event for event in kept if event.kind not in _COUNTED or _ended(event, ended)], snapshot


def _ended(event: Event, ended: set[str]) -> bool:
    call = (event.frame, event.node, event.visit)
    return call_path(*call) in ended or (event.item is not None and call_path(*call, event.item) in ended)


def _stays(snapshot: Snapshot, event: Event, at: str) -> bool:
    """True for what has happened just as well without the call at `at`."""
    kind, path = event.kind, event.path
    if kind == "run_started":
        return True
    if kind.startswith("run_") or kind == "abandoned":
        return False
    if kind == "answered":
        return event.data["path"] in snapshot.asks
    if kind == "forked" and not event.node:
        return True
    if not event.node:  # of a graph: the clock of its budget, which begins anew, or its early end
        return kind == "ended" and bool(path) and not within(path, at) and not belongs(at, path.rstrip("/"))
    if not is_due(snapshot, event):
        return False
    if kind == "asked":
        return not within(str(event.data["path"]), at)
    if kind == "forked":
        return True
    return not within(path, at) and (kind == "entered" or not belongs(at, path))


def _begun(event: Event) -> Event:
    """How a fork begins: as its parent did, but the parent's deadline is not its own."""
    begun = Event(*event.record())
    begun.data = {key: value for key, value in event.data.items() if key != "deadline"}
    return begun


def _anew(plan: Plan, begun: Event, given: Mapping[str, Any]) -> list[Event]:
    """A fork from the start."""
    for name in given:
        if name not in plan.spec.inputs:
            raise InputError(f"{plan.spec.name!r} has no input {name!r}{did_you_mean(str(name), plan.spec.inputs)}")
    before = {name: value for name, value in begun.data["inputs"].items() if name in plan.spec.inputs}
    inputs = check_inputs(plan, {**before, **given})
    start = _begun(begun)
    start.data = {**start.data, "inputs": inputs}
    return [start, Event("forked", data={"path": "", "set": {name: inputs[name] for name in given}})]
