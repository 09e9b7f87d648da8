"""What a durable store finds of its runs. Every function takes a view of the database, and blocks."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, get_args

from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.shapes import UNFIT
from ragweave.orchestrator.stores import RunRecord, Status
from ragweave.orchestrator.stores.batches import SEGMENT_BITS, cached_place, segment_place, value_place
from ragweave.orchestrator.stores.database import Cursor
from ragweave.orchestrator.stores.decoding import Decoder, Fetch
from ragweave.orchestrator.stores.encoding import Digest, blob_hash, written
from ragweave.orchestrator.stores.known import known
from ragweave.orchestrator.stores.packing import Cipher, row_bytes, unpack
from ragweave.orchestrator.stores.workers import alive

_RECORD = (
    "SELECT r.run, r.thread, r.graph, r.status, r.person, t.name, r.version, r.parent, r.begun, r.changed "
    "FROM runs r JOIN tenants t ON t.id = r.tenant"
)
_AT_ONCE = 200


@contextlib.contextmanager
def distrusting(shown: str) -> Iterator[None]:
    """Inside, what rows of the wrong types raise is a JournalError."""
    try:
        yield
    except UNFIT as error:
        raise JournalError(
            f"the journal in {shown!r} is damaged: {type(error).__name__}: {error}",
            hint="restore it from a copy, or delete the run",
        ) from error


def records(cursor: Cursor, where: str, values: Sequence[Any], limit: int | None = None) -> list[RunRecord]:
    """Runs for which a condition holds, oldest first; of more than `limit` the newest. `where` is one of ours."""
    sql = f"{_RECORD} WHERE {where} ORDER BY r.id"
    newest = () if limit is None else cursor.rows(f"{sql} DESC LIMIT ?", *values, limit)
    rows = cursor.rows(sql, *values) if limit is None else reversed(newest)
    return [_record(row) for row in rows]


def _record(row: Sequence[Any]) -> RunRecord:
    *texts, begun, changed = row
    if not all(isinstance(text, str) for text in texts) or texts[3] not in get_args(Status):
        raise JournalError(f"the journal is damaged: what it says of run {str(row[0])[:40]!r} is no record of a run")
    if not isinstance(begun, float) or not isinstance(changed, float):
        raise JournalError(f"the journal is damaged: the times of run {row[0]!r} are none")
    fields: list[Any] = [*texts, begun, changed]
    return RunRecord(*fields)


def crashed(cursor: Cursor, owner: str, active: set[str]) -> list[RunRecord]:
    """Runs called running whose worker is gone, or is this one and does not have them."""
    now = cursor.now()
    rows = cursor.rows("SELECT id, run, owner, until FROM runs WHERE status = 'running' ORDER BY id")
    found: list[RunRecord] = []
    for key, run, holder, until in rows:
        if not alive(holder, until, now) or (holder == owner and run not in active):
            found += records(cursor, "r.id = ?", [key])
    return found


def events(
    cursor: Cursor, run_id: str, digest: Digest, cipher: Cipher | None, blobs: set[bytes] | None = None
) -> list[Event]:
    """The journal of a run; hashes of the bytes that its values name are added to `blobs`. Raises JournalError for a
    damaged one."""
    found = cursor.rows(
        "SELECT r.id, r.tenant, r.head, t.name FROM runs r LEFT JOIN tenants t ON t.id = r.tenant WHERE r.run = ?",
        run_id,
    )
    if not found:
        return []
    key, tenant, head, whose = found[0]
    if not isinstance(head, int) or not 0 <= head < 1 << SEGMENT_BITS:
        raise JournalError(f"the journal of run {run_id!r} is damaged: it cannot have {str(head)[:40]!r} parts")
    first = key << SEGMENT_BITS
    rows = cursor.rows("SELECT id, body FROM segments WHERE id >= ? AND id < ? ORDER BY id", first, first + head)
    if [number for number, _ in rows] != list(range(first, first + len(rows))) or len(rows) != head:
        raise JournalError(f"the journal of run {run_id!r} is damaged: {head - len(rows)} of its {head} parts are gone")
    decoder = Decoder(_fetch(cursor, tenant, cipher), digest, f"run {run_id!r}", known(whose))
    read = decoder.events(
        line for number, body in rows for line in _text(body, segment_place(number), cipher).split("\n")
    )
    if blobs is not None:
        blobs |= decoder.blobs
    return read


def bundle(cursor: Cursor, run_id: str, digest: Digest, cipher: Cipher | None) -> str:
    """The files of the graph of a run, as they were stored; empty if there are none."""
    found = cursor.rows("SELECT tenant, bundle FROM runs WHERE run = ?", run_id)
    if not found or found[0][1] is None:
        return ""
    tenant, name = found[0]
    text = Decoder(_fetch(cursor, tenant, cipher), digest, f"run {run_id!r}").value(f'"{written(row_bytes(name))}"')
    if not isinstance(text, str):
        raise JournalError(f"the journal of run {run_id!r} is damaged: its graph is no text")
    return text


def cached(cursor: Cursor, tenant: str, key: str, digest: Digest, cipher: Cipher | None) -> Mapping[str, Any] | None:
    """A cached result that is not over."""
    found = cursor.rows(
        "SELECT c.tenant, c.body FROM cached c JOIN tenants t ON t.id = c.tenant "
        "WHERE t.name = ? AND c.key = ? AND c.expires > ?",
        tenant, key, cursor.now(),
    )  # fmt: skip
    if not found:
        return None
    number, body = found[0]
    decoder = Decoder(_fetch(cursor, number, cipher), digest, "the cache")
    return decoder.events([_text(body, cached_place(number, key), cipher)])[0].data


def blob(cursor: Cursor, sha256: str, tenant: str, digest: Digest, cipher: Cipher | None) -> bytes | None:
    """The bytes of an image, a sound or a file that a run of this tenant names; None if none does."""
    if re.fullmatch("[0-9a-f]{64}", sha256) is None:
        return None
    name = blob_hash(digest, sha256)
    found = cursor.rows(
        "SELECT s.tenant, s.body FROM stored s JOIN tenants t ON t.id = s.tenant WHERE t.name = ? AND s.hash = ?",
        tenant, name,
    )  # fmt: skip
    if not found:
        return None
    number, body = found[0]
    data = unpack(row_bytes(body), value_place(number, name), cipher)
    if data[:1] != b"B" or hashlib.sha256(data[1:]).hexdigest() != sha256:
        raise JournalError(f"the journal is damaged: the bytes of the blob {sha256[:12]} are not what they were")
    return data[1:]


def _text(body: bytes, place: bytes, cipher: Cipher | None) -> str:
    try:
        return unpack(row_bytes(body), place, cipher).decode()
    except UnicodeDecodeError as error:
        raise JournalError(f"the journal is damaged: {error}") from None


def _fetch(cursor: Cursor, tenant: int, cipher: Cipher | None) -> Fetch:
    def fetch(names: list[bytes]) -> dict[bytes, bytes]:
        found = {}
        rest = iter(names)
        while part := tuple(islice(rest, _AT_ONCE)):
            marks = ", ".join("?" * len(part))
            sql = f"SELECT hash, body FROM stored WHERE tenant = ? AND hash IN ({marks})"
            for name, body in cursor.rows(sql, tenant, *part):
                found[bytes(name)] = unpack(row_bytes(body), value_place(tenant, bytes(name)), cipher)
        return found

    return fetch
