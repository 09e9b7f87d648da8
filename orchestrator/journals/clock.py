"""The time of a run: that in which it goes on, without that in which it is parked or its process is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ragweave.orchestrator.running.events import Event


class Times(NamedTuple):
    """When things happened, in seconds since the run began."""

    began: float
    """In seconds since 1970; of a fork, when it was forked."""
    at: Sequence[float]
    """Of each event. What a fork took over happened before it began, and has the time 0."""
    total: float
    """How long the run has gone on for."""
    stopped: float
    """How long it stood still before it was resumed."""


def times_of(events: Sequence[Event]) -> Times:
    """The times of a journal. Where the machine's clock was set back, no time passes.

    What stands before a resume is when the run was parked, or the last that a process that died has said.
    """
    start = max((at for at, event in enumerate(events) if event.kind == "forked"), default=0)
    began = before = events[start].at if events else 0.0
    total = stopped = 0.0
    times = []
    for number, event in enumerate(events):
        if number > start:
            passed = max(event.at - before, 0.0)
            before = max(event.at, before)
            if event.kind == "run_resumed":
                stopped += passed
            else:
                total += passed
        times.append(total)
    return Times(began, times, total, stopped)
