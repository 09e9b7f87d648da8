"""When to leave a failing model alone: a circuit breaker.

Closed, it lets every call through and counts failures in a row. Open, it lets none through. After a pause it is half
open: one call tries whether the model is back. Source of the method: M. Nygard, Release It!, 2007.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal, NamedTuple


class Pass(NamedTuple):
    """Leave to make one call. What comes of it is told to the breaker that gave it."""

    era: int
    """Counts the breaker's changes of state: what a call of an earlier era comes to says nothing about this one."""


class Breaker:
    """Opens after `open_after` failures in a row, for `retry_after` seconds. Thread-safe; time is monotonic."""

    def __init__(self, open_after: int, retry_after: float, clock: Callable[[], float] | None = None) -> None:
        self._open_after = open_after
        self._retry_after = retry_after
        self._clock = clock or time.monotonic
        self._lock = threading.Lock()
        self._state: Literal["closed", "open", "half_open"] = "closed"
        self._era = 0
        self._failures = 0
        self._until = 0.0
        self.reason = ""
        """What the last failure said."""

    @property
    def state(self) -> Literal["closed", "open", "half_open"]:
        """`half_open` while one call tries whether the model is back."""
        return self._state

    def enter(self) -> Pass | None:
        """Leave to make a call, or None. Who gets a Pass says `succeeded`, `failed` or `gave_up` once."""
        with self._lock:
            if self._state == "half_open" or (self._state == "open" and self._clock() < self._until):
                return None
            if self._state == "open":
                self._turn("half_open")
            return Pass(self._era)

    def succeeded(self, leave: Pass) -> None:
        """The model answered."""
        with self._lock:
            if leave.era == self._era:
                self._failures = 0
                if self._state == "half_open":
                    self._turn("closed")

    def failed(self, leave: Pass, reason: str = "", *, lasting: bool = False, pause: float | None = None) -> None:
        """The model failed; `lasting` if the next call would as well. `pause`: the seconds that it asks for."""
        with self._lock:
            if leave.era != self._era:
                return
            self.reason = reason
            self._failures += 1
            if self._state == "half_open" or lasting or self._failures >= self._open_after:
                self._until = self._clock() + max(self._retry_after, pause or 0.0)
                self._turn("open")

    def gave_up(self, leave: Pass) -> None:
        """The call ended without a verdict: its caller went away, or the fault was the request's own."""
        with self._lock:
            if leave.era == self._era and self._state == "half_open":
                self._turn("open")  # its pause is over: the next call may try

    def due_in(self) -> float:
        """Seconds until a call is let through again; 0 if one is now."""
        with self._lock:
            return max(0.0, self._until - self._clock()) if self._state == "open" else 0.0

    def _turn(self, state: Literal["closed", "open", "half_open"]) -> None:
        self._state = state
        self._era += 1
        self._failures = 0
