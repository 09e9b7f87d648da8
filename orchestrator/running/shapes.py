"""What the data of an event has to look like: who reads a journal may count on it, whatever the journal was made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from pydantic import ValidationError

from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.values import Ask, Usage

UNFIT = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError, RecursionError)
"""What well-formed data raises that was never written by this graph, or this program."""
_ANY: tuple[type, ...] = (object,)
_TEXT: tuple[type, ...] = (str,)
_NUMBER: tuple[type, ...] = (int, float)
_MAP: tuple[type, ...] = (Mapping,)
_ENDED: dict[str, tuple[type, ...]] = {"seconds": _NUMBER, "partial": _MAP}

_AMOUNT: dict[str, tuple[type, ...]] = {
    "number": (int,),
    "tokens": (int,),
    "usd": _TEXT,
    "tool_calls": (int,),
    "scope": _TEXT,
}

_VERDICT: dict[str, tuple[type, ...]] = {"resource": _TEXT, "side": _TEXT, "action": _TEXT, "reasons": (list, tuple)}
_NEEDED: dict[str, dict[str, tuple[type, ...]]] = {
    "run_started": {"inputs": _MAP},
    "entered": {"inputs": _MAP, "origins": _MAP},
    "asked": {"path": _TEXT, "ask": (Mapping, Ask)},
    "answered": {"path": _TEXT, "answer": _ANY},
    "forked": {"path": _TEXT, "set": _MAP},
    "run_done": {"outputs": _MAP},
    "ended": {"outputs": _MAP},
    "budget": {"scope": _TEXT, "limit": _TEXT, "did": _TEXT, "said": _TEXT},
    "guarded": _VERDICT,
    "blocked": _VERDICT,
    "run_failed": {"path": _TEXT, "error": _TEXT},
}
_MAYBE: dict[str, dict[str, tuple[type, ...]]] = {
    "run_started": {"deadline": _NUMBER, "overrides": _MAP},
    "run_resumed": {"deadline": _NUMBER},
    "answered": {"by": _TEXT},
    "run_done": _ENDED,
    "run_failed": {**_ENDED, "type": _TEXT},
    "run_cancelled": _ENDED,
    "run_parked": _ENDED,
    "reserved": _AMOUNT,
    "spent": {**_AMOUNT, "seconds": _NUMBER},
    "item_failed": {"error": _TEXT},
    "guarded": {"left_out": (int,)},
    "effect_ended": {"error": _TEXT},
}


def check_shape(event: Event) -> None:
    """Raises JournalError for data that no run has written."""
    kind, data = event.kind, event.data
    for name, types in _NEEDED.get(kind, {}).items():
        if name not in data:
            raise _damaged(event, f"{kind!r} lacks {name!r}")
        _check(event, name, data[name], types)
    for name, types in _MAYBE.get(kind, {}).items():
        if data.get(name) is not None:
            _check(event, name, data[name], types)
    if kind == "used":
        try:
            Usage(**data)
        except (ValidationError, TypeError) as error:
            raise _damaged(event, f"{kind!r} has what is no usage: {_first_line(error)}") from None
    if kind == "entered" and not _all_whole(data["origins"].values()):
        raise _damaged(event, f"{kind!r} has origins that are no numbers")


def _check(event: Event, name: str, value: Any, types: tuple[type, ...]) -> None:
    number = types is _NUMBER
    if not isinstance(value, types) or (number and (isinstance(value, bool) or not _real(value))):
        raise _damaged(event, f"{event.kind!r} has {str(value)[:40]!r} for {name!r}")


def _real(value: Any) -> bool:
    try:
        return isfinite(value)
    except OverflowError:
        return False


def _all_whole(values: Iterable[Any]) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _damaged(event: Event, reason: str) -> JournalError:
    where = f" at {event.path!r}" if event.path else ""
    return JournalError(f"the journal is damaged{where}: {reason}", hint="restore it from a copy, or delete the run")
