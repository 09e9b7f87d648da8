"""Runs of one thread go one after the other, whichever workers they run in. The run that has the turn is the one that
goes on: its row and its lease are what others see of it, and nothing else is written."""

from __future__ import annotations

from collections.abc import Container

from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.stores.database import Cursor
from ragweave.orchestrator.stores.workers import alive

# A sum is in no index: of those that there are, that of the few runs that go on is the best.
_TENANT = "tenant + 0 = (SELECT id FROM tenants WHERE name = ?)"
_THREAD = f"thread = ? AND {_TENANT} AND person = ? AND graph = ? AND run <> ?"
_GOING_ON = f"SELECT run, owner, until FROM runs WHERE status = 'running' AND thread <> '' AND {_THREAD}"
_ENDED_SINCE = (
    f"SELECT run FROM runs WHERE status IN ('done', 'parked', 'failed', 'cancelled') AND changed > ? AND {_THREAD}"
)


def at_turn(cursor: Cursor, record: RunRecord, owner: str, active: Container[str], since: float | None = None) -> str:
    """The run that has the turn in the thread of this one, or that has had it `since` a time; empty if none has."""
    thread = record.thread_id, record.tenant, record.user, record.graph, record.run_id
    now = cursor.now()
    for run, holder, until in cursor.rows(_GOING_ON, *thread):
        if alive(holder, until, now) and (holder != owner or run in active):
            return str(run)
    ended = cursor.rows(_ENDED_SINCE, since, *thread) if since is not None else []
    return str(ended[0][0]) if ended else ""


def thread_of(record: RunRecord) -> str:
    """The name of the thread of a run, apart from those of other graphs, tenants and users."""
    return f"{record.tenant}\0{record.user}\0{record.graph}\0{record.thread_id}"
