"""Where two runs differ: what only one did, where they part, which values differ, what each cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ragweave.orchestrator.journals.replay import same
from ragweave.orchestrator.journals.timeline import Span, Timeline
from ragweave.orchestrator.values import Usage

MISSING = "(absent)"
"""Stands for what one of the runs does not have."""


class Divergence(NamedTuple):
    """Where two runs part."""

    path: str
    """The call; empty for the inputs."""
    what: str
    """`inputs`, `set` (a fork changed what the call sees), `call` (only one run made it), `status`, `writes`, `route`
    or `origin`."""
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Totals:
    """What a run has cost."""

    calls: int
    """Calls of nodes that ended, without those that a fork took over."""
    seconds: float
    usage: Usage
    """Of the calls that it took over, too."""
    reused: Usage


@dataclass(frozen=True, slots=True)
class Diff:
    """Two runs side by side; `a` is the first of them."""

    first: Divergence | None
    """Where they part; None if they are the same, clocks excluded."""
    only_a: tuple[str, ...]
    """The calls that only the first run made."""
    only_b: tuple[str, ...]
    changed: Mapping[str, Mapping[str, tuple[Any, Any]]]
    """By path of a call that both made, the keys that it wrote differently, with both values."""
    outputs: Mapping[str, tuple[Any, Any]]
    """The outputs that differ, with both values."""
    a: Totals
    b: Totals
    status: tuple[str, str] = field(default=("", ""))

    @property
    def same(self) -> bool:
        """True if nothing differs but time."""
        return self.first is None and not self.only_a and not self.only_b and not self.outputs


def diff(a: Timeline, b: Timeline) -> Diff:
    """Two timelines side by side."""
    spans_a = {span.path: span for span in a.spans}
    spans_b = {span.path: span for span in b.spans}
    both = [path for path in spans_a if path in spans_b]
    changed = {path: _keys(spans_a[path].writes, spans_b[path].writes) for path in both}
    return Diff(
        next(_divergences(a, b, spans_a, spans_b), None),
        tuple(path for path in spans_a if path not in spans_b),
        tuple(path for path in spans_b if path not in spans_a),
        {path: keys for path, keys in changed.items() if keys},
        _keys(a.outputs or {}, b.outputs or {}),
        _totals(a),
        _totals(b),
        (a.status, b.status),
    )


def _divergences(
    a: Timeline, b: Timeline, spans_a: Mapping[str, Span], spans_b: Mapping[str, Span]
) -> Iterator[Divergence]:
    """All of them: what the first run ended first comes first, so that no call stands before its cause."""
    inputs = _keys(a.inputs, b.inputs)
    if inputs:
        yield Divergence("", "inputs", *_sides(inputs))
    for span in sorted(a.spans, key=_ended):
        other = spans_b.get(span.path)
        if other is None:
            yield Divergence(span.path, "call", span.status, MISSING)
        else:
            yield from _of_call(span, other, a, b)
    for span in sorted(b.spans, key=_ended):
        if span.path not in spans_a:
            yield Divergence(span.path, "call", MISSING, span.status)
    if a.status != b.status:
        yield Divergence("", "status", a.status, b.status)


def _of_call(span: Span, other: Span, a: Timeline, b: Timeline) -> Iterator[Divergence]:
    path = span.path
    changed = _keys(a.forks.get(path, {}), b.forks.get(path, {}))
    if changed:
        seen = {key: (span.reads.get(key, one), other.reads.get(key, two)) for key, (one, two) in changed.items()}
        yield Divergence(path, "set", *_sides(seen))
    if span.status != other.status:
        yield Divergence(path, "status", span.status, other.status)
    writes = _keys(span.writes, other.writes)
    if writes:
        yield Divergence(path, "writes", *_sides(writes))
    if span.route != other.route:
        yield Divergence(path, "route", ", ".join(span.to) or MISSING, ", ".join(other.to) or MISSING)
    if span.origin != other.origin:
        yield Divergence(path, "origin", span.origin, other.origin)


def _keys(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs = {key: (a.get(key, MISSING), b.get(key, MISSING)) for key in (*a, *(key for key in b if key not in a))}
    return {key: (one, two) for key, (one, two) in pairs.items() if not same(one, two)}


def _sides(pairs: Mapping[str, tuple[Any, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {key: one for key, (one, _) in pairs.items()}, {key: two for key, (_, two) in pairs.items()}


def _ended(span: Span) -> float:
    return float("inf") if span.end is None else span.end


def _totals(timeline: Timeline) -> Totals:
    calls = sum(span.end is not None and not span.reused for span in timeline.spans)
    return Totals(calls, timeline.seconds, timeline.usage, timeline.reused)
