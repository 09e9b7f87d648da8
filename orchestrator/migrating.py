"""Whether a run can go on with another version of its graph: what would break, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from ragweave.orchestrator.errors import JournalError, RagweaveError
from ragweave.orchestrator.node import FunctionNode
from ragweave.orchestrator.running.events import Event, asking, call_path, overrides_of
from ragweave.orchestrator.running.fold import Snapshot, fold_all
from ragweave.orchestrator.running.plan import Plan, Step
from ragweave.orchestrator.running.typed import typed_inputs, typed_writes
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.versions import opened, outline_of, version_of

if TYPE_CHECKING:
    from ragweave.orchestrator.edition import Edition
    from ragweave.orchestrator.stores import Store

Fate = Literal["fits", "moved", "breaks", "goes on", "same"]
_RAN = ("finished", "item", "item_failed", "entered", "asked", "effect_started", "effect_finished", "cached")


@dataclass(frozen=True, slots=True)
class Trial:
    """One run, tried on another version of its graph."""

    run_id: str
    thread_id: str
    status: str
    """`parked`, `failed`, `cancelled`, `crashed`, or `running` in another worker."""
    fate: Fate
    """`fits`: it could be moved; `moved`: it was; `breaks`: it stays on its version; `goes on`: it is at work, and ends
    on its version; `same`: it is on this version already."""
    reasons: tuple[str, ...] = ()
    """Why it breaks: every reason, each a few words."""

    def told(self, fate: Fate) -> Trial:
        """The same run with another fate."""
        return replace(self, fate=fate)


def trial(record: RunRecord, status: str, events: Sequence[Event], bundle: str, edition: Edition, live: bool) -> Trial:
    """A run tried on an edition. `bundle` is that of its own version, empty if nothing is known of it."""
    if record.version and record.version == version_of(edition).hash:
        return Trial(record.run_id, record.thread_id, status, "same")
    reasons = tuple(dict.fromkeys(breaks(events, bundle, edition, live=live)))
    return Trial(record.run_id, record.thread_id, status, "breaks" if reasons else "fits", reasons)


def breaks(events: Sequence[Event], bundle: str, edition: Edition, *, live: bool) -> list[str]:
    """Every reason why a run with this journal cannot go on with an edition; none if it can."""
    plan = edition.plan
    overrides = overrides_of(events)
    if overrides:
        from ragweave.orchestrator.running.overrides import plan_with  # few runs have any

        try:
            plan = plan_with(edition, overrides)
        except RagweaveError as error:
            return [f"its overrides: {error.message}"]
    before = opened(bundle).get("outline")
    history = _History(plan, before if isinstance(before, Mapping) else None, outline_of(edition), live)
    found = list(history.faults(events))
    if found:
        return found
    try:
        snapshot = fold_all(plan, events, live=live)
    except JournalError as error:
        return [error.message]
    if "" not in snapshot.frames:
        return ["its journal does not say how it started"]
    return [*_standing(snapshot), *(fault for path in snapshot.asks for fault in _asks(snapshot, history, path))]


@dataclass(slots=True)
class _History:
    """What has happened in a run, held against a plan, event by event."""

    plan: Plan
    before: Mapping[str, Any] | None
    """The outline of the version with which it was begun, if that is known."""
    now: Mapping[str, Any]
    live: bool
    plans: dict[str, tuple[Plan, Mapping[str, Any] | None, Mapping[str, Any]] | None] = field(default_factory=dict)
    """By frame, the plan and the outlines then and now; None for a graph that is gone."""

    def faults(self, events: Sequence[Event]) -> Iterator[str]:
        """What no longer has a place."""
        self.plans[""] = (self.plan, self.before, self.now)
        for event in events:
            if event.kind == "run_started":
                yield from self._started(event)
            if event.kind not in _RAN or not event.node:
                continue
            there = self.plans.get(event.frame)
            if there is None:
                continue  # what surrounds it was told already
            plan, before, now = there
            step = next((one for one in plan.steps if one.name == event.node), None)
            if step is None or step.bound is None:
                yield f"node {_shown(event)!r} {'asks' if event.kind == 'asked' else 'ran'} and is gone"
            elif event.kind == "entered":
                yield from self._entered(event, step, before, now)
            elif event.kind == "finished":
                yield from self._finished(event, plan, step, before, now)
            elif event.kind in ("item", "effect_finished") and not self.live:
                yield from _typed(plan, step, event)

    def differs(self, frame: str, node: str) -> bool:
        """True unless a node of a frame is surely the one that it was."""
        there = self.plans.get(frame)
        if there is None or there[1] is None:
            return True
        return bool(there[1].get("nodes", {}).get(node) != there[2].get("nodes", {}).get(node))

    def _started(self, event: Event) -> Iterator[str]:
        given = event.data.get("inputs")
        try:
            if not self.live:
                typed_inputs(self.plan, given, "its start")
        except JournalError as error:
            yield error.message
        for name, key in self.plan.spec.inputs.items():
            if isinstance(given, Mapping) and name not in given and not (key.has_default or key.optional):
                yield f"input {name!r} is new, and the run has no value for it"

    def _entered(
        self, event: Event, step: Step, before: Mapping[str, Any] | None, now: Mapping[str, Any]
    ) -> Iterator[str]:
        """A graph inside this one: what was known of it goes by its own plan."""
        members = step.bound.members if step.bound is not None else ()
        inner = getattr(members[event.member].node, "plan", None) if event.member < len(members) else None
        if not isinstance(inner, Plan):
            self.plans[event.path + "/"] = None
            yield f"node {_shown(event)!r} ran a graph, and runs none now"
            return
        place = f"{event.node}/{event.member}"
        then = before.get("inner", {}).get(place) if before is not None else None
        self.plans[event.path + "/"] = (inner, then, now.get("inner", {}).get(place, {}))

    def _finished(
        self, event: Event, plan: Plan, step: Step, before: Mapping[str, Any] | None, now: Mapping[str, Any]
    ) -> Iterator[str]:
        """A call that has finished: the way on that it took, and what it wrote."""
        then = before.get("ways", {}).get(event.node) if before is not None else None
        ways = now["ways"].get(event.node, [])
        there = any(way.index == event.route for way in (*step.ways, *filter(None, [step.error_way])))
        if then is not None and 0 <= event.route < len(then):
            went = then[event.route]
            if not there or ways[event.route] != went:
                leads = f", where it leads to {_targets(ways[event.route])} now" if there else ", which is gone"
                yield f"{_shown(event)!r} took the route to {_targets(went)}{leads}"
        elif not there:
            yield f"{_shown(event)!r} took its route {event.route + 1}, which is gone"
        if not self.live:
            yield from _typed(plan, step, event)
        failed = step.error_way is not None and event.route == step.error_way.index
        if step.bound is not None and not failed:
            needed = _needed(plan)
            for key in sorted(step.bound.certain - set(event.data)):
                if key in needed:
                    yield f"{_shown(event)!r} has not written {key!r}, which {event.node!r} writes now"


def _typed(plan: Plan, step: Step, event: Event) -> Iterator[str]:
    try:
        typed_writes(plan, step, event)
    except JournalError as error:
        yield error.message.replace("the journal has for ", "it has for ")


def _needed(plan: Plan) -> set[str]:
    """The state keys that somebody reads: nodes, conditions, the graph's outputs."""
    keys = set(plan.outputs)
    for step in plan.steps:
        keys.update(key for key, _ in step.reads)
        keys.update(key for way in step.ways if way.condition is not None for key in way.condition.keys)
    return keys


def _standing(snapshot: Snapshot) -> Iterator[str]:
    """What is missing where the run stands."""
    for name, frame in snapshot.frames.items():
        for number, state in frame.due.items():
            step = frame.plan.steps[number]
            path = call_path(name, step.name, frame.ledger.visits[number] + 1)
            for key, required in step.reads:
                if required and key not in state:
                    yield f"{path!r} comes next and needs {key!r}, which the run does not have"
            mapped = step.bound is not None and step.bound.policies.map is not None
            if path in snapshot.items and not mapped:
                yield f"items of {path!r} have finished, and it works on no items now"


def _asks(snapshot: Snapshot, history: _History, path: str) -> Iterator[str]:
    """An open question: whether its call is still to be made, and may still ask."""
    asker = path.removesuffix("!")
    for name, frame in snapshot.frames.items():
        for number in frame.due:
            step = frame.plan.steps[number]
            call = call_path(name, step.name, frame.ledger.visits[number] + 1)
            if not (asker == call or asker.startswith((f"{call}[", f"{call}/"))):
                continue
            if call + "/" in snapshot.frames and asker.startswith(call + "/"):
                continue  # a graph inside it asks
            if path == asking(asker):
                if not _has_effects(step):
                    yield f"{asker!r} asks whether to repeat its effect, and has none now"
            elif snapshot.asks[path].approval and asker == call and not _asks_before(step):
                yield f"{asker!r} waits for a yes, and {step.name!r} is called without one now"
            elif history.differs(name, step.name) and not _may_ask(step):
                yield f"{asker!r} waits for an answer, and {step.name!r} asks nothing now"
            return
    yield f"the question at {path!r} is open, and nothing comes to it any more"


def _has_effects(step: Step) -> bool:
    return step.bound is not None and any(
        member.node.effects != "none" or member.node.nested for member in step.bound.members
    )


def _asks_before(step: Step) -> bool:
    return step.bound is not None and step.bound.policies.interrupt is not None


def _may_ask(step: Step) -> bool:
    """True if a node says that it may return an Ask, or a person is asked before it."""
    for member in step.bound.members if step.bound is not None else ():
        node = member.node
        call = node.function if isinstance(node, FunctionNode) else type(node).__call__
        if node.nested or "Ask" in str(getattr(call, "__annotations__", {}).get("return", "")):
            return True
        if getattr(member.policies, "interrupt", None) is not None:
            return True
    return False


def _shown(event: Event) -> str:
    return call_path(event.frame, event.node, event.visit)


def _targets(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names)) or "nothing"


async def tried(store: Store, edition: Edition, graph: str, runs: Sequence[str] | None = None) -> list[Trial]:
    """Every run of a graph in a store that is parked, failed, was cancelled or crashed, tried on an edition; those that
    go on in another worker are named too. Oldest first. `runs` are the ids of those that are meant, if not all."""
    crashed = {record.run_id for record in await store.crashed()}
    found = []
    for record in await store.runs(graph=graph):
        if record.status == "done" or (runs is not None and record.run_id not in runs):
            continue
        status = "crashed" if record.run_id in crashed else record.status
        if status == "running":
            found.append(Trial(record.run_id, record.thread_id, status, "goes on"))
            continue
        try:
            events = await store.events(record.run_id)
            bundle = await store.bundle(record.run_id)
            found.append(trial(record, status, events, bundle, edition, store.live))
        except JournalError as error:
            found.append(Trial(record.run_id, record.thread_id, status, "breaks", (error.message,)))
    return found
