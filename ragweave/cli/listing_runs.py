"""`ragweave runs`: the runs that are kept, as a table; what parked ones ask; or all about them as JSON lines."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ragweave.cli.finding import Kept, find
from ragweave.cli.terminal import cells, clean, complain, is_terminal, note, one_line, paint, say, width

if TYPE_CHECKING:
    from ragweave.orchestrator.stores import RunRecord, Status
    from ragweave.orchestrator.stores.waiting import Waiting

T = TypeVar("T")

SHOWN = 20
STYLES = {"done": "green", "failed": "red", "parked": "yellow", "cancelled": "dim", "running": "cyan"}


class Wanted(NamedTuple):
    """Which runs, and where they are kept."""

    graph: Path | None
    store: Path | None
    thread: str | None
    status: Status | None
    limit: int | None
    plugins: tuple[str, ...] = ()

    def kept(self) -> Kept:
        """The place where they are kept."""
        return find(self.graph, self.store, self.plugins)


def list_runs(wanted: Wanted) -> int:
    """A table, the newest first. Raises RagweaveError."""

    async def found(kept: Kept) -> tuple[Sequence[RunRecord], bool]:
        limit = wanted.limit or SHOWN
        records = await _records(kept, wanted, limit + 1)
        return records[-limit:][::-1], len(records) > limit

    kept = wanted.kept()
    records, more = asyncio.run(_within(kept, found))
    if not records:
        note(f"no runs are kept in {kept.shown}{' that fit' if wanted.thread or wanted.status else ''}")
        return 0
    heads = ("run", "status", "graph", "thread", "begun", "took", "")
    rows = [_row(record) for record in records]
    used = [at for at in range(len(heads)) if any(row[at] for row in rows)]
    widths = {at: max(cells(row[at]) for row in (heads, *rows)) for at in used}
    if is_terminal(sys.stdout) and len(heads) - 1 in used:  # what a run is a fork of may be long
        rest = width(sys.stdout) - 1 - sum(widths[at] + 2 for at in used[:-1])
        rows = [(*row[:-1], _cut(row[-1], max(rest, 12))) for row in rows]
    say(paint("  ".join(_padded(heads[at], widths[at]) for at in used).rstrip(), "dim"))
    for row in rows:
        parts: list[str] = [_padded(row[at], widths[at]) for at in used]
        parts[used.index(1)] = paint(parts[used.index(1)], STYLES.get(row[1], ""))
        say("  ".join(parts).rstrip())
    if more and wanted.limit is None:
        note(f"these are the newest {SHOWN}; --limit shows more")
    return 0


def list_waiting(wanted: Wanted) -> int:
    """What parked runs ask, the oldest first, and what an answer has to be. Raises RagweaveError."""

    async def found(kept: Kept) -> list[Waiting]:
        from ragweave.orchestrator.stores.waiting import waiting

        return await waiting(kept.store, thread_id=wanted.thread, graph=_name(kept))

    asked = asyncio.run(_within(wanted.kept(), found))
    for at, one in enumerate(asked[: wanted.limit]):
        from ragweave.orchestrator.schemas import in_words

        if at:
            say()
        whose = f", thread {one_line(one.thread_id)}" if one.thread_id else ""
        since = f"for {span_of(time.time() - one.since)}"
        say(f"{paint(one.run_id, 'bold')}  {one_line(one.graph)}{whose}, {since}")
        say(f"  {paint(one.path, 'cyan')}  {one_line(one.question)}")
        say(f"  {paint('answer:', 'dim')} {one_line(in_words(one.schema))}")
    if not asked:
        note("no run waits for an answer")
    return 0


def export_runs(wanted: Wanted, *, values: bool) -> int:
    """Runs with their events, a line each, the oldest first. 1 if the journal of one is damaged. Raises
    RagweaveError."""
    from ragweave.orchestrator.errors import JournalError
    from ragweave.orchestrator.journals.redact import Export

    async def export(kept: Kept) -> int:
        status = 0
        plain = Export()
        known: dict[str, str] = {}
        for record in await _records(kept, wanted, wanted.limit):
            try:
                if values:
                    known |= await _secrets(kept, record)
                line = Export(values=True, secrets=known) if values else plain
                say(json.dumps(line.run(record, await kept.store.events(record.run_id)), ensure_ascii=False))
            except JournalError as error:
                complain(str(error))
                status = 1
        return status

    return asyncio.run(_within(wanted.kept(), export))


async def _secrets(kept: Kept, record: RunRecord) -> dict[str, str]:
    """The secrets of a run's graph. Raises JournalError if the graph cannot be had: nobody could tell what they are."""
    from ragweave.orchestrator.errors import JournalError, RagweaveError
    from ragweave.orchestrator.journals.redact import secrets_of

    try:
        graph = await kept.graph_of(record)
    except RagweaveError as error:
        raise JournalError(
            f"run {record.run_id!r} is left out: without its graph nobody can tell its secrets ({error.message})",
            hint="name the graph with --graph, or leave --values out",
        ) from None
    graphs = [graph]
    for one in graphs:
        graphs += [inner for inner in one.resources.inner_graphs() if inner not in graphs]
    found: dict[str, str] = {}
    for one in graphs:
        found |= secrets_of([one.plan.spec], one.resources.environ)
    return found


async def _within(kept: Kept, work: Callable[[Kept], Awaitable[T]]) -> T:
    async with kept:
        return await work(kept)


async def _records(kept: Kept, wanted: Wanted, limit: int | None) -> Sequence[RunRecord]:
    return await kept.store.runs(thread_id=wanted.thread, status=wanted.status, graph=_name(kept), limit=limit)


def _name(kept: Kept) -> str | None:
    return kept.graph.name if kept.graph is not None else None


def _row(record: RunRecord) -> tuple[str, ...]:
    ended = record.status in ("done", "failed", "cancelled")
    took = duration(record.changed - record.begun) if ended else ""
    origin = f"fork of {record.parent}" if record.parent else ""
    begun = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.begun))
    texts = (record.run_id, record.status, record.graph, record.thread_id, begun, took, origin)
    return tuple(one_line(text) for text in texts)


def _cut(text: str, room: int) -> str:
    return text if cells(text) <= room else f"{text[: room - 1]}…"


def _padded(text: str, room: int) -> str:
    return text + " " * (room - cells(text))


def duration(seconds: float) -> str:
    """`0.4 ms`, `1.92 s`, `3 min 12 s`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:,.1f} ms"
    return f"{seconds:,.2f} s" if seconds < 60 else span_of(seconds)


def span_of(seconds: float) -> str:
    """A longer time in its two largest units: `42 s`, `3 min 12 s`, `5 h 2 min`, `12 d 3 h`."""
    left = round(max(seconds, 0))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append(f"{count} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 ") or len(parts) == 1)


def shortened(value: Any, room: int) -> str:
    """A value on one line; what is too long is cut, with its length."""
    from ragweave.orchestrator.result import shown

    text = one_line(shown(value)) if not isinstance(value, str) else one_line(clean(value))
    return text if len(text) <= room else f"{text[: max(room - 1, 1)]}… ({len(text):,} characters)"
