"""What one commit writes: runs that begin, move on and end, and the values that they name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ragweave.orchestrator.errors import RunTaken, ThreadTaken
from ragweave.orchestrator.running.events import Record
from ragweave.orchestrator.stores import Durability, RunRecord, Status
from ragweave.orchestrator.stores.database import Cursor
from ragweave.orchestrator.stores.decoding import refs_of
from ragweave.orchestrator.stores.encoding import Blobs, Encoder, Line, Piece
from ragweave.orchestrator.stores.packing import UNREADABLE, Cipher, pack, row_bytes, unpack
from ragweave.orchestrator.stores.turns import at_turn, thread_of

SEGMENT_BITS = 24
"""A run has room for so many bits of segments."""

Value = tuple[int, bytes]
"""A stored value: the number of its tenant, its hash."""


class Writing:
    """A run that this worker writes."""

    __slots__ = (
        "begin", "blobs", "durability", "encoder", "fence", "head", "held", "key", "lost", "record", "tenant",
        "watchers",
    )  # fmt: skip

    def __init__(self, record: RunRecord, encoder: Encoder, durability: Durability) -> None:
        self.record = record
        self.encoder = encoder
        self.durability = durability
        self.begin: Begin | None = None
        """What makes it known, until its first event is written."""
        self.key = 0
        """Its number in the database; 0 until it is there."""
        self.tenant = 0
        self.fence = 1
        self.head = 0
        """How many segments it has."""
        self.lost: RunTaken | None = None
        """Why it can be written no more; None if it can."""
        self.blobs: Blobs | None = None
        """Where the bytes of its images, sounds and files are; None if it has none."""
        self.watchers: list[Callable[[str], None]] = []
        self.held: list[Record] = []
        """With `durability: exit`, what is not written yet."""

    def lose(self, error: RunTaken) -> None:
        """It can be written no more."""
        if self.lost is None:
            self.lost = error
            for tell in self.watchers:
                tell(error.message)


class Begin(NamedTuple):
    """A new run."""

    run: Writing
    bundle: str
    since: float | None = None
    """When its thread was seen to be free, if no other run of it may go on beside this one."""


class Append(NamedTuple):
    """An event. The record is kept until it is committed: if values were deleted meanwhile, it is encoded again."""

    run: Writing
    record: Record
    line: Line


class End(NamedTuple):
    """A run that stops here, or goes on as `running`."""

    run: Writing
    status: Status


class Keep(NamedTuple):
    """A result to be cached."""

    run_id: str
    tenant: str
    key: str
    record: Record
    line: Line
    encoder: Encoder
    ttl: float
    blobs: Blobs | None = None


Change = Begin | Append | End | Keep


class Overtaken(Exception):
    """Runs that this worker has lost to another one, each with what its writer is told: the transaction is to be
    undone, and tried again without them."""

    def __init__(self, runs: Mapping[Writing, RunTaken]) -> None:
        super().__init__(", ".join(run.record.run_id for run in runs))
        self.runs = runs


def taken_over(run: Writing) -> RunTaken:
    """What is told of a run with which another worker goes on."""
    return RunTaken(f"run {run.record.run_id} was taken over by another worker")


MOST_BUNDLES = 256
Bundles = Mapping[tuple[int, int], tuple[str, bytes]]
"""Files of graphs that are stored: by tenant and the `id` of the text, that text and its hash."""


class Batch:
    """The changes of one transaction. `bundles` are those that are surely stored already."""

    def __init__(
        self,
        cursor: Cursor,
        owner: str,
        lease: float,
        cipher: Cipher | None,
        bundles: Bundles,
        active: Container[str] = (),
    ) -> None:
        self._cursor = cursor
        self._owner = owner
        self._active = active
        """Runs that go on in this worker."""
        self._until = cursor.now() + lease
        self._cipher = cipher
        self.bundles = dict(bundles) if len(bundles) < MOST_BUNDLES else {}
        """Those that will be stored, once this is committed."""
        self._refs: Counter[Value] = Counter()
        self._pieces: dict[Value, Piece] = {}
        self.moved: list[Writing] = []
        """Runs that have one segment more, once this is committed."""

    def write(self, changes: Sequence[Change], tenants: dict[str, int]) -> None:
        """All of them. `tenants` is what is known of their numbers; new ones are added. Raises Overtaken."""
        begun = {change.run: change for change in changes if isinstance(change, Begin)}
        ended = {change.run: change.status for change in changes if isinstance(change, End)}
        lines: dict[Writing, list[Line]] = {}
        for change in changes:
            if isinstance(change, Append):
                lines.setdefault(change.run, []).append(change.line)
        held = [run for run in dict.fromkeys((*lines, *ended)) if run not in begun]
        self._advance(held, lines)
        for run in begun:
            run.tenant = self._tenant(run.record.tenant, tenants)
        self._cursor.queue(thread_of(run.record) for run, begin in begun.items() if begin.since is not None)
        for run, begin in begun.items():
            self._keep_turn(begin)
            self._begin(run, begin.bundle, ended.get(run, "running"), 1 if run in lines else 0)
        self._append(lines)
        now = self._cursor.now()
        self._cursor.many(
            "UPDATE runs SET status = ?, changed = ?, owner = '', until = 0 WHERE id = ?",
            [(ended[run], now, run.key) for run in held if run in ended],
        )
        for change in changes:
            if isinstance(change, Keep):
                self._cache(change, self._tenant(change.tenant, tenants), now)
        self._settle()

    def _keep_turn(self, begin: Begin) -> None:
        """Raises Overtaken if another run of the thread was faster."""
        record = begin.run.record
        if begin.since is not None:
            faster = at_turn(self._cursor, record, self._owner, self._active, begin.since)
            if faster:
                raise Overtaken({begin.run: ThreadTaken(record.thread_id, faster)})

    def _begin(self, run: Writing, bundle: str, status: Status, head: int) -> None:
        record = run.record
        name = None
        if bundle:
            mine = run.tenant, id(bundle)
            if mine not in self.bundles:
                piece = run.encoder.piece(bundle)
                self._pieces[run.tenant, piece.hash] = piece
                self.bundles[mine] = bundle, piece.hash
            name = self.bundles[mine][1]
            self._refs[run.tenant, name] += 1
        goes_on = status == "running"
        found = self._cursor.rows(
            "INSERT INTO runs (run, tenant, person, thread, graph, version, bundle, parent, status, begun, changed, "
            "owner, until, fence, head) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            record.run_id, run.tenant, record.user, record.thread_id, record.graph, record.version, name, record.parent,
            status, record.begun, self._cursor.now(), self._owner if goes_on else "", self._until if goes_on else 0.0,
            run.fence, head,
        )  # fmt: skip
        run.key = found[0][0]

    def _advance(self, runs: Sequence[Writing], lines: dict[Writing, list[Line]]) -> None:
        """Move on runs that were there before. Raises Overtaken if this worker holds them no more."""
        rows = [(run.key, run.fence, run.head + (run in lines), self._until) for run in runs]
        if rows:
            held = self._cursor.advance(rows)
            lost = [run for run in runs if run.key not in held]
            if lost:
                raise Overtaken({run: taken_over(run) for run in lost})

    def _append(self, lines: dict[Writing, list[Line]]) -> None:
        rows = []
        for run, mine in lines.items():
            number = (run.key << SEGMENT_BITS) + run.head
            body = "\n".join(line.text for line in mine).encode()
            rows.append((number, pack(body, segment_place(number), self._cipher)))
            self._take_in(run.tenant, mine)
        self._cursor.many("INSERT INTO segments (id, body) VALUES (?, ?)", rows)
        self.moved += lines

    def _take_in(self, tenant: int, lines: Iterable[Line], *, count: bool = True) -> None:
        for line in lines:
            for piece in line.pieces:
                self._pieces[tenant, piece.hash] = piece
            if count:
                self._refs.update((tenant, ref) for ref in line.refs)

    def _cache(self, change: Keep, tenant: int, now: float) -> None:
        place = cached_place(tenant, change.key)
        for (body,) in self._cursor.rows(
            "DELETE FROM cached WHERE tenant = ? AND key = ? RETURNING body", tenant, change.key
        ):
            self._refs.subtract((tenant, ref) for ref in row_refs(body, place, self._cipher))
        new = self._cursor.run(
            "INSERT INTO cached (tenant, key, run, expires, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            tenant, change.key, change.run_id, now + change.ttl, pack(change.line.text.encode(), place, self._cipher),
        )  # fmt: skip
        # If another worker has just cached the same, nothing refers to the values; but later lines count on them.
        self._take_in(tenant, [change.line], count=bool(new))

    def _settle(self) -> None:
        """Store the values, and count who refers to them."""
        if self._pieces:
            rows = [
                (tenant, name, pack(piece.body, value_place(tenant, name), self._cipher))
                for (tenant, name), piece in self._pieces.items()
            ]
            for value in self._cursor.keep(rows):
                self._refs.update((value[0], part) for part in self._pieces[value].parts)
        count_refs(self._cursor, self._refs)

    def _tenant(self, name: str, known: dict[str, int]) -> int:
        if name not in known:
            self._cursor.run("INSERT INTO tenants (name) VALUES (?) ON CONFLICT DO NOTHING", name)
            known[name] = self._cursor.rows("SELECT id FROM tenants WHERE name = ?", name)[0][0]
        return known[name]


def count_refs(cursor: Cursor, changes: Counter[Value]) -> None:
    """Add to the number of references of values; negative numbers take away."""
    cursor.many(
        "UPDATE uses SET refs = refs + ? WHERE id = (SELECT id FROM stored WHERE tenant = ? AND hash = ?)",
        [(count, tenant, name) for (tenant, name), count in sorted(changes.items()) if count],
    )


def line_refs(text: str | bytes) -> list[bytes]:
    """The stored values that the data of an event's line name. Raises ValueError for what is no line."""
    # As a text: of bytes, `json` guesses the encoding, and may load another one.
    line: Any = json.loads(text if isinstance(text, str) else text.decode())
    return [ref for slot in line[9].values() for ref in refs_of(slot)]


def row_refs(body: object, place: bytes, cipher: Cipher | None) -> list[bytes]:
    """The stored values that a row of lines names. A damaged row names none that could be told: what it named stays."""
    try:
        text = unpack(row_bytes(body), place, cipher)
        return [name for line in text.split(b"\n") for name in line_refs(line)]
    except UNREADABLE:
        return []


def segment_place(number: int) -> bytes:
    """What binds the bytes of a segment to its place."""
    return b"segment %d" % number


def value_place(tenant: int, name: bytes) -> bytes:
    """What binds the bytes of a value to its place."""
    return b"value %d " % tenant + name


def cached_place(tenant: int, key: str) -> bytes:
    """What binds the bytes of a cached result to its place."""
    return f"cached {tenant} {key}".encode()
