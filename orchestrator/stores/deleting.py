"""How a durable store removes what it keeps. Every function takes a transaction that is alone, and blocks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ragweave.orchestrator.errors import JournalError, RunTaken, unknown_run
from ragweave.orchestrator.stores import DAY, Removed
from ragweave.orchestrator.stores.batches import (
    SEGMENT_BITS,
    Value,
    cached_place,
    count_refs,
    row_refs,
    segment_place,
    value_place,
)
from ragweave.orchestrator.stores.database import Cursor
from ragweave.orchestrator.stores.decoding import refs_of
from ragweave.orchestrator.stores.encoding import Digest, Encoder
from ragweave.orchestrator.stores.packing import UNREADABLE, Cipher, pack, row_bytes, unpack
from ragweave.orchestrator.stores.workers import alive, shown

MANY = 1 << 40
_UNUSED = "SELECT s.id, s.tenant, s.hash, s.body FROM uses u JOIN stored s ON s.id = u.id WHERE u.refs <= 0"


class Which(NamedTuple):
    """The runs to delete: one, those of a thread of a tenant, or those of a tenant; with a user, only his."""

    run_id: str | None
    thread_id: str | None
    tenant: str | None
    user: str | None = None


def delete(cursor: Cursor, which: Which, owner: str, cipher: Cipher | None) -> Removed:
    """Remove these runs, what was cached from them, and the values that only they use. Raises RunTaken if one of them
    goes on, in any worker."""
    if which.run_id is not None:
        where, values = "run = ?", [which.run_id]
    else:
        tenant = cursor.rows("SELECT id FROM tenants WHERE name = ?", which.tenant or "")
        if not tenant:
            return Removed()
        where, values = "tenant = ?", [tenant[0][0]]
        if which.thread_id is not None:
            where, values = "tenant = ? AND thread = ?", [*values, which.thread_id]
        elif which.tenant is None:
            raise JournalError("what is to be deleted: a run, a thread or a tenant?")
    if which.user is not None:
        where, values = f"{where} AND person = ?", [*values, which.user]
    runs = cursor.rows(f"SELECT id, run, tenant, status, owner, until FROM runs WHERE {where}", *values)
    now = cursor.now()
    for _, run, _, status, holder, until in runs:
        if status == "running" and alive(holder, until, now):
            raise RunTaken(f"run {run!r} goes on in {shown(holder)}", hint="cancel it, or wait until it has ended")
    removed = _remove(cursor, [(key, run, number) for key, run, number, *_ in runs], cipher)
    if which.tenant is not None and which.thread_id is None and which.user is None:
        removed = removed._replace(cached=removed.cached + _uncache(cursor, "tenant = ?", values, cipher))
        removed = removed._replace(values=removed.values + _sweep(cursor, cipher))
        # What only a damaged row could tell is used by it, too.
        cursor.run("DELETE FROM uses WHERE id IN (SELECT id FROM stored WHERE tenant = ?)", *values)
        left = cursor.run("DELETE FROM stored WHERE tenant = ?", *values)
        removed = removed._replace(values=removed.values + left)
        cursor.run("DELETE FROM tenants WHERE id = ?", *values)
    _bump(cursor)
    return removed


def expire(cursor: Cursor, keep_days: float, cipher: Cipher | None, limit: int = MANY) -> Removed:
    """Remove runs that ended longer ago than is kept, at most so many of them, results that are over, and values that
    nothing refers to."""
    now = cursor.now()
    runs: list[tuple[object, ...]] = []
    if keep_days:
        runs = cursor.rows(
            "SELECT id, run, tenant FROM runs WHERE status IN ('done', 'failed', 'cancelled') AND changed < ? "
            "ORDER BY id LIMIT ?",
            now - keep_days * DAY,
            limit,
        )
    cached = _uncache(cursor, "expires <= ?", [now], cipher)
    removed = _remove(cursor, runs, cipher)
    if removed.values:
        _bump(cursor)
    return removed._replace(cached=removed.cached + cached)


def adopt(cursor: Cursor, run_id: str, version: str, bundle: str, digest: Digest, cipher: Cipher | None) -> None:
    """Give a run another version of its graph. Raises JournalError for an unknown run, RunTaken for one that goes
    on."""
    rows = cursor.rows("SELECT id, tenant, bundle, status, owner, until FROM runs WHERE run = ?", run_id)
    if not rows:
        raise unknown_run(run_id)
    key, tenant, old, status, owner, until = rows[0]
    if status == "running" and alive(owner, until, cursor.now()):
        raise RunTaken(f"run {run_id!r} goes on in {shown(owner)}")
    refs: Counter[Value] = Counter()
    name = None
    if old is not None:
        refs[tenant, row_bytes(old)] -= 1
    if bundle:
        piece = Encoder(digest).piece(bundle)
        name = piece.hash
        cursor.keep([(tenant, name, pack(piece.body, value_place(tenant, name), cipher))])
        refs[tenant, name] += 1
    cursor.run("UPDATE runs SET version = ?, bundle = ? WHERE id = ?", version, name, key)
    count_refs(cursor, refs)
    _sweep(cursor, cipher)
    _bump(cursor)


def _remove(cursor: Cursor, runs: Iterable[Sequence[object]], cipher: Cipher | None) -> Removed:
    """Remove runs, given as (number, id, number of the tenant)."""
    count = cached = 0
    refs: Counter[Value] = Counter()
    for key, run, tenant in runs:
        assert isinstance(key, int)
        first, last = key << SEGMENT_BITS, (key + 1) << SEGMENT_BITS
        for number, body in cursor.rows("SELECT id, body FROM segments WHERE id >= ? AND id < ?", first, last):
            names = row_refs(body, segment_place(number), cipher)
            refs.subtract((tenant, name) for name in names if isinstance(tenant, int))
        for (name,) in cursor.rows("SELECT bundle FROM runs WHERE id = ?", key):
            if isinstance(name, (bytes, memoryview)) and isinstance(tenant, int):
                refs[tenant, bytes(name)] -= 1
        cursor.run("DELETE FROM segments WHERE id >= ? AND id < ?", first, last)
        cursor.run("DELETE FROM runs WHERE id = ?", key)
        cached += _uncache(cursor, "run = ?", [run], cipher)
        count += 1
    count_refs(cursor, refs)
    return Removed(count, _sweep(cursor, cipher), cached)


def _uncache(cursor: Cursor, where: str, values: Sequence[object], cipher: Cipher | None) -> int:
    refs: Counter[Value] = Counter()
    rows = cursor.rows(f"SELECT tenant, key, body FROM cached WHERE {where}", *values)
    for tenant, key, body in rows:
        names = row_refs(body, cached_place(tenant, key), cipher)
        refs.subtract((tenant, name) for name in names if isinstance(tenant, int))
    count_refs(cursor, refs)
    cursor.run(f"DELETE FROM cached WHERE {where}", *values)
    return len(rows)


def _sweep(cursor: Cursor, cipher: Cipher | None) -> int:
    """Remove values that nothing refers to, and then those that only they referred to."""
    count = 0
    while unused := cursor.rows(_UNUSED):
        refs: Counter[Value] = Counter()
        for _, tenant, name, body in unused:
            parts = _parts(body, tenant, name, cipher)
            refs.subtract((tenant, part) for part in parts)
        numbers = [(number,) for number, *_ in unused]
        cursor.many("DELETE FROM stored WHERE id = ?", numbers)
        cursor.many("DELETE FROM uses WHERE id = ?", numbers)
        count_refs(cursor, refs)
        count += len(unused)
    return count


def _parts(body: object, tenant: int, name: object, cipher: Cipher | None) -> list[bytes]:
    try:
        text = unpack(row_bytes(body), value_place(tenant, row_bytes(name)), cipher)
        return refs_of(json.loads(text[1:].decode())) if text[:1] == b"S" else []
    except UNREADABLE:
        return []


def _bump(cursor: Cursor) -> None:
    """Tell all writers that values which were there may be gone."""
    cursor.run("UPDATE facts SET value = value + 1 WHERE name = 'generation'")
