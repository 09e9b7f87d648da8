"""`ragweave show`: what a run did when, as bars on the terminal, or all about one of its calls."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ragweave.cli.answers import json_text
from ragweave.cli.explaining import money
from ragweave.cli.finding import Kept
from ragweave.cli.listing_runs import STYLES, duration, shortened, span_of
from ragweave.cli.terminal import cells, is_terminal, one_line, paint, plural, say, width

if TYPE_CHECKING:
    from ragweave.orchestrator.journals.timeline import Span, Timeline
    from ragweave.orchestrator.stores import RunRecord
    from ragweave.orchestrator.values import Usage

_WIDEST = 140
_NAMES = 40
_CRITICAL, _OTHER, _WAITING = "█", "░", "·"


def show_run(kept: Kept, run: str, *, as_json: bool) -> int:
    """Draw the timeline of a run. Raises RagweaveError."""
    record, line = asyncio.run(timeline_of(kept, run))
    if as_json:
        say(json_text(as_data(record, line), indent=2))
        return 0
    _write_head(record, line)
    rows = list(_rows(line))
    if rows:
        say()
        for text in drawn(rows, line, min(width(sys.stdout), _WIDEST)):
            say(text)
    _write_foot(line)
    return 0


def show_call(kept: Kept, run: str, path: str, *, as_json: bool) -> int:
    """All about one call of a run. Raises RagweaveError."""
    _, line = asyncio.run(timeline_of(kept, run))
    span = _span(line, path)
    if as_json:
        say(json_text(_data(span), indent=2))
        return 0
    mark = ", the run waited for it" if span.critical else ""
    say(f"{paint(span.path, 'bold')}  {span.type}  {paint(span.status, _style(span))}{mark}")
    for name, text in _facts(span):
        say(f"  {name:<8} {text}")
    room = min(width(sys.stdout), _WIDEST) - 24 if is_terminal(sys.stdout) else 400
    for head, values in (("before", span.reads), ("after", span.writes)):
        if values:
            say()
            say(paint(head, "bold"))
            for key, value in values.items():
                say(f"  {paint(key, 'cyan')}: {shortened(value, max(room, 40))}")
    return 0


async def timeline_of(kept: Kept, run: str) -> tuple[RunRecord, Timeline]:
    """A run and its timeline; what was opened for it is closed."""
    async with kept:
        record = await kept.run(run)
        graph = await kept.graph_of(record)
        return record, await graph.atimeline(record.run_id)


def _span(line: Timeline, path: str) -> Span:
    """The call of this path, or of this node if it was called once. Raises InputError."""
    from ragweave.orchestrator.errors import InputError, did_you_mean

    found = [span for span in line.spans if span.path == path or f"{span.frame}{span.node}" == path]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{path!r} was called {len(found)} times: {', '.join(span.path for span in found)}")
    raise InputError(f"the run has no call {path!r}{did_you_mean(path, [span.path for span in line.spans])}")


def _facts(span: Span) -> Iterator[tuple[str, str]]:
    if span.reused:
        yield "took", "nothing: a fork took it over from its parent"
    elif span.end is not None:
        yield "took", f"{duration(span.seconds)}, from {duration(span.start)} after the start on"
    else:
        yield "due", f"from {duration(span.start)} after the start on"
    if span.because:
        yield "after", span.because
    if span.to:
        yield "then", ", ".join(span.to)
    if span.items:
        failed = f", {span.failed_items} of them failed" if span.failed_items else ""
        yield "items", f"{span.items}{failed}"
    if span.attempts > 1:
        yield "called", f"{span.attempts} times"
    if span.cached:
        yield "cached", "the result of an equal call was used"
    if spent(span.usage):
        yield "tokens", tokens(span.usage)
    for effect in span.effects:
        yield "effect", effect
    for said in span.exceeded:
        yield "budget", one_line(said)
    for said in span.guarded:
        yield "guard", one_line(said)
    for one in span.questions:
        who = f"{one_line(one.by)} answered" if one.by else "answered"
        answer = "nobody has answered" if one.answered is None else f"{who}: {shortened(one.answer, 80)}"
        yield "asked", f"{one_line(one.question)} ({answer})"
    if span.error:
        yield "error", one_line(span.error)


def _write_head(record: RunRecord, line: Timeline) -> None:
    from ragweave.orchestrator.result import exceeded_lines

    begun = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line.began))
    thread = f", thread {one_line(record.thread_id)}" if record.thread_id else ""
    status = paint(line.status, STYLES.get(line.status, ""))
    say(f"{paint(record.run_id, 'bold')}  {status}  {one_line(record.graph)}{thread}, {begun}")
    if record.parent:
        parent, _, path = record.parent.partition("@")
        given = ", ".join(f"{key} = {shortened(value, 60)}" for key, value in line.forks.get(path, {}).items())
        say(f"fork of {parent} {f'from {path}' if path else 'from its start'}{f', with {given}' if given else ''}")
    if line.error:
        say(f"{paint('failed:', 'red')} {one_line(line.error)}")
    for said in exceeded_lines(line.exceeded):
        say(f"{paint('budget:', 'yellow')} {one_line(said)}")


def _write_foot(line: Timeline) -> None:
    say()
    stood = f", and stood still for {span_of(line.stopped)}" if line.stopped >= 1 else ""
    used = f", {tokens(line.usage)}" if spent(line.usage) else ""
    kept = f", of which {tokens(line.reused)} by its parent" if spent(line.reused) else ""
    say(f"{duration(line.seconds)}{stood}{used}{kept}")
    inner = {path for path in line.critical if any(other.startswith(f"{path}/") for other in line.critical)}
    waited = [span for span in line.spans if span.critical and span.end is not None and span.path not in inner]
    if len(waited) > 1:
        longest = max(waited, key=lambda span: span.seconds)
        most = f"most of all for {longest.path}: {duration(longest.seconds)}"
        say(paint(f"{_CRITICAL} the run waited for these, {most}", "dim"))


def _rows(line: Timeline) -> Iterator[Span]:
    """The calls in the order in which they became due, those inside a call right below it."""
    inside: dict[str, list[Span]] = {}
    for span in line.spans:
        inside.setdefault(_parent(span), []).append(span)

    def below(path: str) -> Iterator[Span]:
        for span in inside.get(path, ()):
            yield span
            yield from below(span.path)

    return below("")


def _parent(span: Span) -> str:
    """The path of the call in whose graph a call stands."""
    if not span.frame:
        return ""
    at = span.frame.rindex("#")
    end = at + 1
    while span.frame[end].isdigit():
        end += 1
    return span.frame[:end]


def drawn(rows: Sequence[Span], line: Timeline, room: int) -> Iterator[str]:
    """A line for each call: its name, its bar, its time, its tokens and what else is to be said."""
    names = ["  " * span.depth + span.path.removeprefix(_parent(span)).lstrip("/") for span in rows]
    times = [_time(span) for span in rows]
    used = [_counts(span.usage) if spent(span.usage) else "" for span in rows]
    notes = [_note(span) for span in rows]
    wide = [min(max(map(cells, names)), _NAMES), max(map(cells, times)), max(map(cells, used))]
    gaps = 2 * (2 + bool(wide[2]) + any(notes))
    length = max(room - sum(wide) - gaps - min(max(map(cells, notes)), 30) - 1, 8)
    for span, name, took, tokens_, said in zip(rows, names, times, used, notes, strict=True):
        shown = name if cells(name) <= wide[0] else f"{name[: wide[0] - 1]}…"
        start, end = _bar(span, line, length)
        fill = _CRITICAL if span.critical else _WAITING if span.end is None else _OTHER
        bar = " " * start + fill * (end - start) + " " * (length - end)
        text = f"{shown}{' ' * (wide[0] - cells(shown))}  {paint(bar, _style(span))}  {took:>{wide[1]}}"
        text += f"  {tokens_:>{wide[2]}}" if wide[2] else ""
        yield f"{text}  {said}".rstrip() if said else text.rstrip()


def _bar(span: Span, line: Timeline, length: int) -> tuple[int, int]:
    """Where a bar begins and ends; one that has a call is at least one cell long."""
    if span.reused or not line.seconds:
        return 0, int(not span.reused)
    end = line.seconds if span.end is None else span.end
    first = min(int(span.start / line.seconds * length), length - 1)
    return first, min(max(round(end / line.seconds * length), first + 1), length)


def _time(span: Span) -> str:
    return "reused" if span.reused else "…" if span.end is None else duration(span.seconds)


def _note(span: Span) -> str:
    said = []
    if span.items:
        failed = f", {span.failed_items} failed" if span.failed_items else ""
        said.append(f"{plural(span.items, 'item')}{failed}")
    if span.attempts > 1 and not span.questions:
        said.append(f"called {span.attempts} times")
    if span.cached:
        said.append("cached")
    if span.status in ("failed", "asks"):
        said.append(span.status)
    if any(effect.endswith(": unknown") for effect in span.effects):
        said.append("effect of unknown outcome")
    return ", ".join(said)


def _style(span: Span) -> str:
    if span.status == "failed":
        return "red"
    if span.status in ("asks", "due"):
        return "yellow"
    return "dim" if span.reused else "green" if span.critical else "blue"


def spent(used: Usage) -> bool:
    """True if there is anything to tell: a model that has no tokens uses none."""
    return bool(used.input_tokens or used.output_tokens or used.spent)


def tokens(used: Usage) -> str:
    """Tokens, and where there is a price file, money."""
    counts = f"{used.input_tokens:,} tokens in, {used.output_tokens:,} out"
    return f"{counts}, {money(used)}" if used.currency else counts


def _counts(used: Usage) -> str:
    return f"{used.input_tokens:,} in, {used.output_tokens:,} out"


def as_data(record: RunRecord, line: Timeline) -> dict[str, Any]:
    """A timeline as data for JSON."""
    from ragweave.orchestrator.result import plain

    return {
        "run_id": record.run_id,
        "graph": record.graph,
        "thread_id": record.thread_id,
        "parent": record.parent,
        "status": line.status,
        "began": line.began,
        "seconds": line.seconds,
        "stopped": line.stopped,
        "inputs": plain(line.inputs),
        "outputs": plain(line.outputs),
        "error": line.error,
        "forks": plain(line.forks),
        "usage": plain(line.usage),
        "reused": plain(line.reused),
        **({"exceeded": [one._asdict() for one in line.exceeded]} if line.exceeded else {}),
        "critical": list(line.critical),
        "calls": [_data(span) for span in line.spans],
    }


def _data(span: Span) -> dict[str, Any]:
    from dataclasses import fields

    from ragweave.orchestrator.result import plain

    data = {one.name: plain(getattr(span, one.name)) for one in fields(span) if one.name != "questions"}
    questions = [{one.name: plain(getattr(asked, one.name)) for one in fields(asked)} for asked in span.questions]
    return {**data, "seconds": span.seconds, "questions": questions}
