"""What parked runs wait for: the questions that are open, as their journals have them. No graph is needed for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.running.events import Event, belongs
from ragweave.orchestrator.running.shapes import check_shape
from ragweave.orchestrator.stores import Status, Store
from ragweave.orchestrator.values import Ask

_STANDINGS: dict[str, Status] = {
    "run_started": "running",
    "run_resumed": "running",
    "run_parked": "parked",
    "run_done": "done",
    "run_failed": "failed",
    "run_cancelled": "cancelled",
}


class Waiting(NamedTuple):
    """One open question of a parked run. `graph.resume(run_id, answers={path: answer})` answers it."""

    run_id: str
    thread_id: str
    path: str
    """Of the call that asks, for `answers`."""
    question: str
    schema: Mapping[str, Any]
    """JSON schema of the answer."""
    since: float
    """When it was asked, in seconds since 1970."""
    approval: bool = False
    """True if it is asked before the call, by `interrupt`."""
    graph: str = ""
    """The graph's name."""
    user: str = ""
    tenant: str = ""


async def waiting(
    store: Store, *, thread_id: str | None = None, tenant: str | None = None, graph: str | None = None
) -> list[Waiting]:
    """The open questions of all parked runs of a store that fit, those of the oldest run first."""
    found = []
    for record in await store.runs(thread_id=thread_id, status="parked", tenant=tenant, graph=graph):
        events = await store.events(record.run_id)
        asks = open_asks(events)
        asked = {event.data.get("path"): event.at for event in events if event.kind == "asked"}
        run = (record.run_id, record.thread_id)
        whose = (record.graph, record.user, record.tenant)
        for path, ask in asks.items():
            found.append(Waiting(*run, path, ask.question, ask.answer_schema, asked[path], ask.approval, *whose))
    return found


async def withdraw(store: Store, run_id: str) -> bool:
    """Cancel a parked run: what it asks is asked no longer. False if it is not parked. Raises RunTaken."""
    record = await store.record(run_id)
    if record is None or record.status != "parked":
        return False
    await store.take(run_id)
    kinds = [event.kind for event in await store.events(run_id) if event.kind in _STANDINGS]
    parked = kinds[-1:] == ["run_parked"]  # else it was answered at this moment
    if parked:
        store.writer(run_id)(Event("run_cancelled", data={"seconds": 0.0}).record())
    await store.end(run_id, "cancelled" if parked else _STANDINGS[kinds[-1]])
    return parked


def open_asks(events: Iterable[Event]) -> dict[str, Ask]:
    """By call path, what a run with this journal asks and nobody has answered, in the order of asking.

    Raises JournalError for a question that is none.
    """
    found: dict[str, Any] = {}
    for event in events:
        if event.kind in ("asked", "answered"):
            check_shape(event)
        if event.kind == "asked":
            path = str(event.data.get("path"))
            found.pop(path, None)
            found[path] = event.data.get("ask")
        elif not found:
            continue
        elif event.kind == "answered":
            found.pop(str(event.data.get("path")), None)
        elif event.kind == "entered":  # a graph starts anew: what was asked in it before does not count
            found = {path: ask for path, ask in found.items() if not path.startswith(event.path + "/")}
        elif event.kind == "finished":
            found = {path: ask for path, ask in found.items() if path != event.path and not belongs(path, event.path)}
    return {path: typed_ask(ask, path) for path, ask in found.items()}


def typed_ask(value: Any, path: str) -> Ask:
    """What somebody was asked. Raises JournalError for what is no question."""
    if isinstance(value, Ask):
        return value
    try:
        return Ask.model_validate(value)
    except ValidationError:
        raise JournalError(f"the journal has no question at {path!r}") from None
