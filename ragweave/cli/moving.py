"""`ragweave migrate`: runs that wait, tried on a changed graph and moved to it where they fit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ragweave.cli.answers import json_text
from ragweave.cli.finding import find
from ragweave.cli.graphs import open_graph
from ragweave.cli.interrupts import unwinding
from ragweave.cli.terminal import note, one_line, paint, plural, say

if TYPE_CHECKING:
    from ragweave.orchestrator.migrating import Fate, Trial
    from ragweave.orchestrator.stores import Store

_STYLES = {"fits": "green", "moved": "green", "breaks": "red"}
_TOLD: dict[Fate, str] = {
    "fits": "would move",
    "moved": "moved",
    "breaks": "stay on their version",
    "goes on": "go on, and end on their version",
    "same": "are on this version already",
}


class Moving(NamedTuple):
    """What the command line says."""

    new: Path
    check: bool = False
    old: Path | None = None
    store: Path | None = None
    plugins: tuple[str, ...] = ()
    as_json: bool = False


def migrate_runs(asked: Moving) -> int:
    """Try the runs that wait on a graph, and move those that fit unless they are only checked; then 1 if one would
    break. Raises RagweaveError."""
    with unwinding():
        trials = asyncio.run(_migrate(asked))
    if asked.as_json:
        say(json_text({"runs": [_data(one) for one in trials]}, indent=2))
    else:
        _write(trials, asked)
    return 1 if asked.check and any(one.fate == "breaks" for one in trials) else 0


async def _migrate(asked: Moving) -> list[Trial]:
    from ragweave.orchestrator.errors import InputError

    if asked.old is None and asked.store is None:
        async with open_graph(asked.new, asked.plugins) as graph:
            trials = await graph.amigrate(check=asked.check)
            await _say_if_none(graph.store, trials, graph.name, asked)
            return trials
    async with find(asked.old, asked.store, asked.plugins) as kept:
        folder = asked.new.resolve().parent
        if asked.old is not None and not asked.check and folder != asked.old.resolve().parent:
            raise InputError(
                f"{str(asked.new)!r} lies in another folder than {str(asked.old)!r}",
                hint="put it beside the old file: indexes and other files are looked for from there",
            )
        async with open_graph(asked.new, asked.plugins, store=kept.store) as graph:
            name = kept.graph.name if kept.graph is not None else graph.name
            trials = await graph.amigrate(check=asked.check, graph=name)
            await _say_if_none(kept.store, trials, name, asked)
            return trials


async def _say_if_none(store: Store, trials: Sequence[Trial], name: str, asked: Moving) -> None:
    """Say of which other graphs runs wait, if none of this one does."""
    if trials or asked.as_json:
        return
    waiting = Counter(record.graph for record in await store.runs() if record.status != "done")
    others = ", ".join(f"{plural(count, 'run')} of {other!r}" for other, count in waiting.items() if other != name)
    note(f"no run of {name!r} waits" + (f"; what waits: {others}; name their file with --graph" if others else ""))


def _write(trials: Sequence[Trial], asked: Moving) -> None:
    width = max((len(one.run_id) for one in trials), default=0)
    for one in trials:
        thread = f"  thread {one_line(one.thread_id)}" if one.thread_id else ""
        fate = paint(f"{one.fate:<7}", _STYLES.get(one.fate, "dim"))
        say(f"{fate}  {one.run_id:<{width}}  {one.status:<9}{thread}".rstrip())
        for reason in one.reasons:
            say(f"         {one_line(reason)}")
    if trials:
        counts = Counter(one.fate for one in trials)
        told = [(counts[fate], words) for fate, words in _TOLD.items() if counts[fate]]
        say()
        say("; ".join(f"{plural(count, 'run')} {_singular(words, count)}" for count, words in told))


def _singular(told: str, count: int) -> str:
    if count > 1:
        return told
    words = {"stay": "stays", "their": "its", "go": "goes", "end": "ends", "are": "is"}
    return " ".join(words.get(word, word) for word in told.split(" "))


def _data(one: Trial) -> dict[str, object]:
    return {
        "run_id": one.run_id,
        "thread_id": one.thread_id,
        "status": one.status,
        "fate": one.fate,
        "reasons": list(one.reasons),
    }
