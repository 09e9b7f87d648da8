"""What a run has used before it was resumed or forked, by its journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.result import Exceeded
from ragweave.orchestrator.running.budgets.accounts import Amount
from ragweave.orchestrator.running.budgets.book import Budgets
from ragweave.orchestrator.running.events import Event


def restore(book: Budgets, events: Iterable[Event]) -> None:
    """Charge what the journal says. What was held when a process went away counts in full, for nobody knows how much of
    it was used; its time counts to the last event. Raises JournalError for data that no run has written."""
    open_: dict[int, Event] = {}
    last = 0.0
    for event in events:
        kind = event.kind
        if kind == "reserved":
            number = int(event.data.get("number", 0))
            open_[number] = event
            book.last = max(book.last, number)
        elif kind == "spent":
            open_.pop(int(event.data.get("number", 0)), None)
            _charge(book, event, event.data.get("seconds", 0.0))
        elif kind == "budget":
            scope, limit, did, said = (str(event.data.get(name, "")) for name in ("scope", "limit", "did", "said"))
            book.told.append(Exceeded(scope, limit, did, event.path, said))
        elif kind == "run_resumed":
            _close(book, open_, last)
        elif kind == "forked":
            open_.clear()
        last = max(last, event.at)
    _close(book, open_, last)


def _close(book: Budgets, held: dict[int, Event], last: float) -> None:
    for event in held.values():
        _charge(book, event, max(0.0, last - event.at))
    held.clear()


def _charge(book: Budgets, event: Event, seconds: float) -> None:
    """Charge what an event says to the accounts that are still there: a graph may have been changed since."""
    data = event.data
    try:
        levels = book.levels(event.frame, event.node)
    except (LookupError, AttributeError):
        return
    scope = data.get("scope")
    if scope is not None:
        for level in levels:
            if level.account.scope == scope:
                level.account.clock.add(float(seconds))
        return
    used = amount_in(data)
    for level in levels:
        level.account.spent = level.account.spent.plus(used)


def amount_in(data: Mapping[str, Any]) -> Amount:
    """The amount that an event says. Raises JournalError."""
    try:
        return Amount(int(data.get("tokens", 0)), Decimal(data.get("usd", 0)), int(data.get("tool_calls", 0)))
    except (InvalidOperation, TypeError, ValueError) as error:
        raise JournalError(f"the journal is damaged: {dict(data)!r} is no amount: {error}") from None
