"""Events: what happens in a run, in order. The journal is a list of them; a stream shows them as they come.

in the journal        run_started, entered, item, item_failed, finished, asked, answered, cached, used, abandoned,
                      reserved, spent, budget, ended, effect_started, effect_finished, effect_ended,
                      guarded, blocked, run_done, run_failed, run_cancelled, run_parked, run_resumed, forked
in the stream only    started, token, reset, retry, fallback, skipped
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import time
from typing import Any, TypeVar

_T = TypeVar("_T")

JOURNALED = frozenset(
    (
        "run_started", "entered", "item", "item_failed", "finished", "asked", "answered", "cached", "used", "abandoned",
        "effect_started", "effect_finished", "effect_ended",
        "reserved", "spent", "budget", "ended", "guarded", "blocked",
        "run_done", "run_failed", "run_cancelled", "run_parked", "run_resumed",
        "forked",
    )
)  # fmt: skip

clock = time
"""The clock of journals: seconds since 1970."""

_NOTHING: Mapping[str, Any] = {}


Record = tuple[str, str, str, int, Mapping[str, Any], int | None, int, int, int, float]
"""An event as a plain tuple, the fields of Event in order: what the engine writes, for it costs next to nothing."""


class Event:
    """One thing that happened. `path` says where, `data` what; a `token` has `text`.

    `frame` is the path of the graph node in which this one's graph runs, with a slash, or empty. The data of
    `finished`, `item` and `effect_finished` are the writes by state key; `finished` also has the index of the `route`
    taken and the `origin` mask of what was written. An effect that `effect_ended` did not happen; `used` counts tokens;
    `reserved` and `spent` are about the accounts of budgets, `budget` says what one has changed in a call, and with
    `ended` a graph has come to its end early, with these outputs; `forked` has the `path` of the call from which a fork
    goes on, and what it `set` there.
    `guarded` says what the guard of a resource has found in a call, `blocked` also that nothing goes on.
    `at` is when it was journaled, in seconds since 1970; events are equal whatever the time.
    """

    __slots__ = ("at", "data", "frame", "item", "kind", "member", "node", "origin", "route", "visit")

    def __init__(
        self,
        kind: str,
        frame: str = "",
        node: str = "",
        visit: int = 0,
        data: Mapping[str, Any] = _NOTHING,
        item: int | None = None,
        member: int = 0,
        route: int = -1,
        origin: int = 0,
        at: float = 0.0,
    ) -> None:
        self.kind = kind
        self.frame = frame
        self.node = node
        self.visit = visit
        self.data = data
        self.item = item
        self.member = member
        self.route = route
        self.origin = origin
        self.at = at

    def record(self) -> Record:
        """The event as a tuple, with the time if it has none yet; `Event(*record)` is the event again."""
        if not self.at:
            self.at = clock()
        return (
            self.kind, self.frame, self.node, self.visit, self.data, self.item, self.member, self.route, self.origin,
            self.at,
        )  # fmt: skip

    @property
    def path(self) -> str:
        """`node#visit[item]/member` behind the frames of enclosing graphs; empty for the run itself."""
        return call_path(self.frame, self.node, self.visit, self.item, self.member) if self.node else self.frame

    @property
    def text(self) -> str:
        """The text of a token; empty for other events."""
        text: str = self.data.get("text", "")
        return text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__ if name != "at"
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Event({self.kind!r}, {self.path!r}, {dict(self.data)!r})"


def call_path(frame: str, node: str, visit: int, item: int | None = None, member: int = 0) -> str:
    """The path of a call (R20)."""
    path = f"{frame}{node}#{visit}"
    if item is not None:
        path += f"[{item}]"
    return f"{path}/{member}" if member else path


def asking(path: str) -> str:
    """The path at which the run asks about the effect at `path`, apart from what the node itself asks there."""
    return f"{path}!"


def belongs(path: str, call: str) -> bool:
    """True for the path of an item or a member of this call, of a frame or a call in it, and of what the run asks
    about it."""
    return path.startswith(call) and path[len(call) : len(call) + 1] in ("/", "[", "!")


def outside(known: Mapping[str, _T], frame: str) -> dict[str, _T]:
    """Of what is known by path, all but what lies in this frame: a graph starts anew there."""
    return {path: value for path, value in known.items() if not path.startswith(frame)}


def overrides_of(events: Iterable[Event]) -> Mapping[str, Any] | None:
    """The overrides with which the run of a journal was begun; None if there were none."""
    return next((event.data.get("overrides") for event in events if event.kind == "run_started"), None)
