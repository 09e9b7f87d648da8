"""The timeline of a run: when each call began and ended, what it read, wrote and used, and what the run waited for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragweave.orchestrator.context import NO_USAGE
from ragweave.orchestrator.journals.clock import Times, times_of
from ragweave.orchestrator.journals.walk import Moment, became_due, moments, reading, values_of, within
from ragweave.orchestrator.result import Exceeded
from ragweave.orchestrator.running.events import Event, call_path
from ragweave.orchestrator.running.fold import Snapshot, step_of, way_of
from ragweave.orchestrator.running.plan import Plan, Step
from ragweave.orchestrator.values import Ask, Failure, Usage


@dataclass(slots=True)
class Question:
    """What a call asked a person. Times are as in `Span`."""

    path: str
    question: str
    asked: float
    answered: float | None = None
    answer: Any = None
    by: str = ""


@dataclass(slots=True)
class Span:
    """One call of a node. Times are in seconds from the start of the run; time in which the run stood still (parked,
    stopped, its process gone) does not count."""

    path: str
    frame: str
    node: str
    type: str
    """The type of the node."""
    start: float
    """When it became due."""
    because: str = ""
    """The call whose end made it due; empty at the start of a graph."""
    end: float | None = None
    """When it had finished; None if it never has."""
    status: str = "due"
    """`done`, `failed` (and the run went on by `on_error`, or ended), `asks`, or `due`: it did not end."""
    reused: bool = False
    """True if a fork took it over from its parent."""
    reads: dict[str, Any] = field(default_factory=dict)
    """What it read, by state key."""
    writes: dict[str, Any] = field(default_factory=dict)
    """What it wrote, by state key."""
    route: int = -1
    to: tuple[str, ...] = ()
    """The nodes to which its route led."""
    origin: int = 0
    usage: Usage = NO_USAGE
    """Of its own model calls, not of those in a graph inside it."""
    items: int = 0
    """How many items of a `map` have ended, those that failed too."""
    failed_items: int = 0
    attempts: int = 1
    """How often it was called, as far as the journal tells: by what each call used, and by effects."""
    effects: list[str] = field(default_factory=list)
    """Of its effects, `path: outcome`."""
    questions: list[Question] = field(default_factory=list)
    cached: bool = False
    critical: bool = False
    """True if it is one of those for whose end the run waited, one after the other."""
    error: str = ""
    exceeded: list[str] = field(default_factory=list)
    """What budgets have changed in it."""
    guarded: list[str] = field(default_factory=list)
    """What guards have found in what its resources were given, and gave."""

    @property
    def depth(self) -> int:
        """In how many graphs it stands that are nodes of others."""
        return sum("#" in part for part in self.frame.split("/"))

    @property
    def seconds(self) -> float:
        """How long it took; 0 for one that has not ended or was taken over."""
        return 0.0 if self.end is None or self.reused else self.end - self.start


@dataclass(frozen=True, slots=True)
class Timeline:
    """The calls of a run in the order in which they became due."""

    status: str
    began: float
    """In seconds since 1970; of a fork, when it was forked."""
    seconds: float
    """How long the run has gone on for."""
    stopped: float
    """The seconds in which it was parked or stood still, up to its last event."""
    inputs: Mapping[str, Any]
    spans: tuple[Span, ...]
    critical: tuple[str, ...]
    """The paths of the calls for whose end the run waited, one after the other."""
    usage: Usage
    """Of all calls, those that were taken over too."""
    reused: Usage
    """Of calls that a fork took over from its parent."""
    outputs: Mapping[str, Any] | None = None
    error: str = ""
    forks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By path, where this run was forked from another one and what was set there."""
    exceeded: tuple[Exceeded, ...] = ()
    """What budgets have changed in the run."""

    def __getitem__(self, path: str) -> Span:
        for span in self.spans:
            if span.path == path:
                return span
        raise KeyError(path)


@reading
def timeline(plan: Plan, events: Sequence[Event], *, live: bool = True) -> Timeline:
    """The timeline of a journal. Raises JournalError for one that is damaged or does not fit the graph."""
    times = times_of(events)
    reader = _Reader(times)
    snapshot = Snapshot(plan)
    for moment, now in zip(moments(plan, events, live=live), times.at, strict=True):
        reader.see(moment, now)
        snapshot = moment.after
    return reader.made(snapshot)


class _Reader:
    """Puts a timeline together while a journal goes by."""

    def __init__(self, times: Times) -> None:
        self.times = times
        self.now = 0.0
        self.spans: dict[str, Span] = {}
        self.inputs: Mapping[str, Any] = {}
        self.outputs: Mapping[str, Any] | None = None
        self.error = ""
        self.forks: dict[str, Mapping[str, Any]] = {}
        self.last: dict[str, str] = {}
        """By frame, the call whose end made its graph come to `end`."""
        self.failed = ""
        self.calls: dict[str, Counter[tuple[int | None, int]]] = {}
        self.used: dict[str, Usage] = {}
        self.usage = self.reused = NO_USAGE
        self.exceeded: list[Exceeded] = []

    def see(self, moment: Moment, now: float) -> None:
        """One more event."""
        event, kind = moment.event, moment.event.kind
        self.now = now
        if kind == "run_started":
            self.inputs = event.data["inputs"]
        elif kind == "run_done":
            self.outputs = event.data.get("outputs")
        elif kind == "run_failed":
            self.failed, self.error = str(event.data.get("path", "")), str(event.data.get("error", ""))
        elif kind == "run_resumed":
            self.failed = self.error = ""
        elif kind == "forked":
            self._forked(moment)
        elif kind in ("asked", "answered"):
            self._question(event)
        elif kind == "budget":
            self._budget(event)
        elif event.node:
            self._call(moment)
        if kind == "entered":  # what an earlier attempt did in this graph does not count
            frame = f"{event.path}/"
            self.last.pop(frame, None)
            self.spans = {path: span for path, span in self.spans.items() if not span.frame.startswith(frame)}
        for place in became_due(moment):
            because = event.path if kind == "finished" else ""
            bound = step_of(moment.after.frames[place.frame].plan, place.node).bound
            kind_of = bound.members[0].node.type_name or "" if bound is not None else ""
            self.spans[place.path] = Span(place.path, place.frame, place.node, kind_of, self.now, because)
        if kind in ("run_started", "finished", "entered"):
            frame = event.frame if kind == "finished" else f"{event.path}/" if event.node else ""
            if moment.after.frames[frame].final is not None:
                self.last[frame] = event.path if kind == "finished" else ""

    def _forked(self, moment: Moment) -> None:
        event = moment.event
        self.forks[event.path] = event.data["set"]
        self.reused = self.usage
        for span in self.spans.values():
            if span.end is not None:
                span.reused = True

    def _budget(self, event: Event) -> None:
        scope, limit, did, said = (str(event.data[name]) for name in ("scope", "limit", "did", "said"))
        one = Exceeded(scope, limit, did, event.path, said)
        self.exceeded.append(one)
        span = self.spans.get(call_path(event.frame, event.node, event.visit))
        if span is not None:
            span.exceeded.append(str(one))

    def _call(self, moment: Moment) -> None:
        event = moment.event
        span = self.spans.get(call_path(event.frame, event.node, event.visit))
        if span is None:
            return
        kind = event.kind
        if kind == "finished":
            self._finished(span, moment)
        elif kind in ("item", "item_failed"):
            span.items += 1
            span.failed_items += kind == "item_failed"
        elif kind == "used":
            used = Usage(**event.data)
            span.usage, self.usage = span.usage + used, self.usage + used
        elif kind == "cached":
            span.cached = True
        elif kind in ("guarded", "blocked"):
            span.guarded.append(verdict_line(event))
        elif kind == "abandoned":
            span.error = "a call of it ignored its cancel, and was given up"
        elif kind.startswith("effect_"):
            _effect(span, event)
        if kind in ("used", "entered", "effect_started"):
            counts = self.calls.setdefault(f"{span.path} {kind}", Counter())
            counts[event.item, event.member] += 1
            span.attempts = max(span.attempts, _most(counts))

    def _finished(self, span: Span, moment: Moment) -> None:
        event, step = moment.event, moment.step
        span.end = self.now
        plan = moment.before.frames[event.frame].plan
        span.reads = values_of(moment.state, plan, [key for key, _ in step.reads])
        span.writes, span.route, span.origin = dict(event.data), event.route, event.origin
        span.to = _targets(plan, step, event.route)
        span.status = "done"
        if step.error_way is not None and event.route == step.error_way.index:
            span.status = "failed"
            failure = event.data.get("error")
            span.error = f"{failure.type}: {failure}" if isinstance(failure, Failure) else ""

    def _question(self, event: Event) -> None:
        path = str(event.data["path"])
        owner = next((self.spans[one] for one in reversed(self.spans) if within(path, one) and _own(path, one)), None)
        if owner is None:
            return
        if event.kind == "asked":
            ask = event.data["ask"]
            text = ask.question if isinstance(ask, Ask) else str(ask)
            owner.questions.append(Question(path, text, self.now))
            return
        for question in owner.questions:
            if question.path == path and question.answered is None:
                question.answered, question.answer = self.now, event.data["answer"]
                question.by = str(event.data.get("by") or "")

    def made(self, snapshot: Snapshot) -> Timeline:
        """The timeline."""
        for name, frame in snapshot.frames.items():
            for node, state in frame.due.items():
                step = frame.plan.steps[node]
                span = self.spans[call_path(name, step.name, frame.ledger.visits[node] + 1)]
                span.reads = values_of(state, frame.plan, [key for key, _ in step.reads])
                if any(within(path, span.path) for path in snapshot.asks):
                    span.status = "asks"
                elif self.failed and within(self.failed, span.path):
                    span.status, span.error = "failed", self.error
        critical = self._critical()
        for path in critical:
            self.spans[path].critical = True
        return Timeline(
            snapshot.status,
            self.times.began,
            self.times.total,
            self.times.stopped,
            self.inputs,
            tuple(self.spans.values()),
            critical,
            self.usage,
            self.reused,
            self.outputs,
            self.error,
            self.forks,
            tuple(self.exceeded),
        )

    def _critical(self) -> tuple[str, ...]:
        """From the end back to the start: what made each call due, and within graphs the same."""
        last = self.last.get("")
        if last is None:
            last = self._latest("")
        return tuple(self._chain(last))

    def _latest(self, frame: str) -> str:
        """Of a graph that has not come to its end, the call that failed, else the one that is due for the longest time,
        else the one that ended last."""
        mine = [span for span in self.spans.values() if span.frame == frame]
        open_calls = [span for span in mine if span.end is None]
        failed = [span for span in open_calls if span.status == "failed"]
        if failed or open_calls:
            return (failed or sorted(open_calls, key=lambda span: span.start))[0].path
        return max(mine, key=lambda span: span.end or 0.0).path if mine else ""

    def _chain(self, path: str) -> list[str]:
        found: list[str] = []
        while path:
            span = self.spans[path]
            if span.reused:
                break
            found[:0] = [path, *self._inside(span)]
            path = span.because
        return found

    def _inside(self, span: Span) -> list[str]:
        """The critical calls of the graph that a call runs; of several, as in a map, of the one that ended last."""
        frames = dict.fromkeys(one.frame for one in self.spans.values() if one.frame != span.frame)
        direct = [frame for frame in frames if within(frame[:-1], span.path) and _own(frame, span.path)]
        if not direct:
            return []
        ends: dict[str, float] = {}
        for frame in direct:
            last = self.last.get(frame) or self._latest(frame)
            end = self.spans[last].end if last else None
            ends[last] = float("inf") if end is None else end
        return self._chain(max(ends, key=lambda last: ends[last]))


def _targets(plan: Plan, step: Step, route: int) -> tuple[str, ...]:
    way = way_of(step, route)
    nodes = [way.back] if way.back >= 0 else [target for _, target in way.targets]
    return tuple(plan.steps[node].name for node in nodes)


def _effect(span: Span, event: Event) -> None:
    outcome = {"effect_started": "unknown", "effect_finished": "done", "effect_ended": "not done"}[event.kind]
    span.effects = [said for said in span.effects if not said.startswith(f"{event.path}: ")]
    span.effects.append(f"{event.path}: {outcome}")


def verdict_line(event: Event) -> str:
    """What a guard has found, for people: `models.chat, output: block (words: a word that must not be said)`."""
    data = event.data
    reasons = "; ".join(map(str, data["reasons"]))
    left_out = f", {data['left_out']} left out" if data.get("left_out") else ""
    return f"{data['resource']}, {data['side']}: {data['action']}{left_out} ({reasons})"


def _most(counts: Counter[tuple[int | None, int]]) -> int:
    """Of the items of a call, the most calls of one, over all its members."""
    items: Counter[int | None] = Counter()
    for (item, _), number in counts.items():
        items[item] += number
    return max(items.values())


def _own(path: str, call: str) -> bool:
    """True if nothing but an item, a member or a mark lies between a call and what is asked in it."""
    return "#" not in path[len(call) :]
