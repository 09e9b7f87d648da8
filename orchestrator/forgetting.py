"""Deleting what is kept of a run, a conversation or a tenant: journals, values, cached results, and memories."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from ragweave.orchestrator.contracts import Memory, Scope
from ragweave.orchestrator.edition import named_by
from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.stores import Removed, RunRecord, Store
from ragweave.orchestrator.versions import editions

if TYPE_CHECKING:
    from ragweave.orchestrator.edition import Edition


class Forgotten(NamedTuple):
    """What a deletion has removed."""

    removed: Removed
    """From the store."""
    turns: int = 0
    """From the memories of the graphs."""


class Meant(NamedTuple):
    """What is to be deleted: a run; a conversation, of one user or of all that had it; all of a tenant."""

    run_id: str | None = None
    thread_id: str | None = None
    user: str | None = None
    tenant: str | None = None


async def matching(store: Store, meant: Meant) -> list[RunRecord]:
    """The runs of a store that are meant. Raises InputError if nothing is."""
    if meant.run_id is not None:
        record = await store.record(meant.run_id)
        return [record] if record is not None else []
    if meant.thread_id is None and meant.tenant is None:
        raise InputError("what is to be deleted: a run, a conversation or a tenant?")
    found = await store.runs(thread_id=meant.thread_id, tenant=meant.tenant or "")
    return [record for record in found if meant.user is None or record.user == meant.user]


async def forget(store: Store, graphs: Iterable[Edition], meant: Meant) -> Forgotten:
    """Delete what is meant from a store, and from the memories of these graphs. Raises RunTaken if one of its runs goes
    on, InputError if nothing is meant; then nothing is deleted."""
    runs = await matching(store, meant)
    if meant.run_id is not None:
        return Forgotten(await store.delete(run_id=meant.run_id))
    tenant = meant.tenant or ""
    removed = await store.delete(thread_id=meant.thread_id, tenant=tenant, user=meant.user)
    users = {"", *(record.user for record in runs)} if meant.user is None else {meant.user}
    if meant.thread_id is not None:
        scopes = {Scope(tenant, user, meant.thread_id) for user in users}
    else:
        scopes = {Scope(tenant, record.user, record.thread_id) for record in runs if record.thread_id}
    turns = 0
    for memory in await asyncio.to_thread(_memories, list(graphs)):
        for scope in sorted(scopes):
            turns += await memory.delete(scope)
    return Forgotten(removed, turns)


def _memories(graphs: Iterable[Edition]) -> list[Memory]:
    """The memories of graphs and of those inside them, each once."""
    found: dict[int, Memory] = {}
    for edition in (one for graph in graphs for one in editions(graph)):
        names = dict.fromkeys(edition.resources.names("memories"))
        for bound in edition.checked.nodes.values():
            for member in bound.members:
                names |= {name: None for kind, name in named_by(member.node) if kind == "memories"}
        for name in names:
            memory = edition.resources.get("memories", name)
            found[id(memory)] = memory
    return list(found.values())
