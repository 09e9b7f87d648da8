"""`ragweave replay` and `ragweave diff`: what recorded runs gave, and where two of them differ."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ragweave.cli.answers import json_text, write_outputs
from ragweave.cli.finding import Kept
from ragweave.cli.indexing import jobs_of
from ragweave.cli.listing_runs import duration, shortened
from ragweave.cli.terminal import cells, complain, note, one_line, paint, plural, say
from ragweave.cli.timelines import spent, tokens

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.journals.diff import Diff, Divergence, Totals
    from ragweave.orchestrator.journals.replay import Replay
    from ragweave.orchestrator.stores import RunRecord

_ROOM = 100


def replay_run(kept: Kept, run: str, *, as_json: bool) -> int:
    """Write what a run gave, from its journal alone. 1 if the journal contradicts itself. Raises RagweaveError."""
    graph, replay = asyncio.run(_replay(kept, run))
    if as_json:
        say(json_text(_replay_data(replay), indent=2))
    else:
        _write_replay(graph, replay)
    for difference in replay.differences:
        complain(one_line(str(difference)))
    return int(bool(replay.differences))


async def _replay(kept: Kept, run: str) -> tuple[Graph, Replay]:
    async with kept:
        record = await kept.run(run)
        graph = await kept.graph_of(record)
        return graph, await graph.areplay(record.run_id)


def _write_replay(graph: Graph, replay: Replay) -> None:
    from ragweave.orchestrator.stores.waiting import open_asks

    if replay.status == "done":
        write_outputs(replay.outputs, [job.documents for job in jobs_of(graph.plan.spec)], already=False)
    for path, ask in open_asks(replay.events).items():
        say(f"{path} asks: {one_line(ask.question)}")
    failed = next((event for event in reversed(replay.events) if event.kind == "run_failed"), None)
    if replay.status == "failed" and failed is not None:
        say(f"failed at {failed.data.get('path')}: {one_line(str(failed.data.get('error')))}")
    calls = plural(sum(event.kind == "finished" for event in replay.events), "call")
    many = plural(len(replay.differences), "difference") if replay.differences else "no difference"
    note(f"run {replay.run_id} ({replay.status}): {calls} from its journal, none made again; {many}")


def _replay_data(replay: Replay) -> dict[str, Any]:
    from ragweave.orchestrator.result import plain

    return {
        "run_id": replay.run_id,
        "status": replay.status,
        "outputs": plain(replay.outputs),
        "state": plain(replay.state),
        "differences": [plain(difference._asdict()) for difference in replay.differences],
    }


def compare_runs(kept: Kept, run_a: str, run_b: str, *, as_json: bool) -> int:
    """Write where two runs differ. Raises RagweaveError."""
    records, diff = asyncio.run(_diff(kept, run_a, run_b))
    if as_json:
        say(json_text(_diff_data(records, diff), indent=2))
        return 0
    _write_table(records, diff)
    if diff.same:
        say()
        say("the same, apart from time")
        return 0
    if diff.first is not None:
        _write_divergence(diff.first)
    for letter, record, only in zip("ab", records, (diff.only_a, diff.only_b), strict=True):
        if only:
            say()
            say(paint(f"only in {letter}, {record.run_id}", "bold"))
            say(f"  {', '.join(only)}")
    if diff.changed:
        say()
        say(paint("wrote something else", "bold"))
        for path, keys in diff.changed.items():
            say(f"  {paint(path, 'cyan')}: {', '.join(keys)}")
    if diff.outputs:
        say()
        say(paint("outputs", "bold"))
        _write_pairs(diff.outputs)
    return 0


async def _diff(kept: Kept, run_a: str, run_b: str) -> tuple[tuple[RunRecord, RunRecord], Diff]:
    from ragweave.orchestrator.errors import InputError
    from ragweave.orchestrator.journals.diff import diff

    async with kept:
        a, b = await kept.run(run_a), await kept.run(run_b)
        if a.run_id == b.run_id:
            raise InputError(f"both are run {a.run_id!r}", hint="name two runs: `ragweave runs` lists them")
        one, two = await kept.graph_of(a), await kept.graph_of(b)
        return (a, b), diff(await one.atimeline(a.run_id), await two.atimeline(b.run_id))


def _write_table(records: tuple[RunRecord, RunRecord], diff: Diff) -> None:
    a, b = records
    rows: list[tuple[str, ...]] = [("", f"a: {a.run_id}", f"b: {b.run_id}"), ("status", *diff.status)]
    if a.graph != b.graph:
        rows.append(("graph", one_line(a.graph), one_line(b.graph)))
    rows += [
        ("calls", _calls(diff.a), _calls(diff.b)),
        ("time", duration(diff.a.seconds), duration(diff.b.seconds)),
    ]
    if spent(diff.a.usage) or spent(diff.b.usage):
        rows.append(("tokens", tokens(diff.a.usage), tokens(diff.b.usage)))
    if spent(diff.a.reused) or spent(diff.b.reused):
        rows.append(
            ("of these", *("" if not spent(one.reused) else f"{tokens(one.reused)} reused" for one in (diff.a, diff.b)))
        )
    widths = [max(cells(row[at]) for row in rows) for at in range(2)]
    for at, row in enumerate(rows):
        line = "  ".join(text + " " * (wide - cells(text)) for text, wide in zip(row, (*widths, 0), strict=True))
        say(paint(line.rstrip(), "bold" if at == 0 else ""))


def _calls(totals: Totals) -> str:
    return f"{totals.calls:,}"


def _write_divergence(first: Divergence) -> None:
    words = {
        "inputs": "they had other inputs",
        "set": f"they part at {first.path}, which was given something else",
        "call": f"they part at {first.path}, which only one of them made",
        "status": f"they part at {first.path or 'their end'}, which came to something else",
        "writes": f"they part at {first.path}, which wrote something else",
        "route": f"they part at {first.path}, which went on elsewhere",
        "origin": f"they part at {first.path}, whose words come from elsewhere",
    }
    say()
    say(paint(words[first.what], "bold"))
    if isinstance(first.a, Mapping) and isinstance(first.b, Mapping):
        _write_pairs({key: (first.a[key], first.b[key]) for key in first.a})
    else:
        _write_pairs({first.what: (first.a, first.b)})


def _write_pairs(pairs: Mapping[str, tuple[Any, Any]]) -> None:
    for key, values in pairs.items():
        say(f"  {paint(key, 'cyan')}")
        for letter, value in zip("ab", values, strict=True):
            say(f"    {letter}  {shortened(value, _ROOM)}")


def _diff_data(records: tuple[RunRecord, RunRecord], diff: Diff) -> dict[str, Any]:
    from ragweave.orchestrator.result import plain

    def totals(record: RunRecord, one: Totals) -> dict[str, Any]:
        counts = {"calls": one.calls, "seconds": one.seconds}
        return {"run_id": record.run_id, "graph": record.graph, **counts, **_used(one)}

    def _used(one: Totals) -> dict[str, Any]:
        return {"usage": plain(one.usage), "reused": plain(one.reused)}

    a, b = records
    return {
        "a": {**totals(a, diff.a), "status": diff.status[0]},
        "b": {**totals(b, diff.b), "status": diff.status[1]},
        "same": diff.same,
        "first": plain(diff.first._asdict()) if diff.first is not None else None,
        "only_a": list(diff.only_a),
        "only_b": list(diff.only_b),
        "changed": plain(diff.changed),
        "outputs": plain(diff.outputs),
    }
