"""`ragweave gc`: what is older than is kept goes, or a run, a conversation or a tenant with every trace."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ragweave.cli.answers import json_text
from ragweave.cli.files import near
from ragweave.cli.finding import Kept
from ragweave.cli.graphs import graph_files, open_graph
from ragweave.cli.terminal import confirm, is_terminal, note, one_line, plural, say

if TYPE_CHECKING:
    from ragweave.orchestrator.edition import Edition
    from ragweave.orchestrator.forgetting import Forgotten
    from ragweave.orchestrator.stores import RunRecord


class Clearing(NamedTuple):
    """What the command line says."""

    run: str | None = None
    thread: str | None = None
    user: str | None = None
    tenant: str | None = None
    yes: bool = False
    as_json: bool = False

    @property
    def deletes(self) -> bool:
        """True if something is named that is to be deleted."""
        return (self.run, self.thread, self.tenant) != (None, None, None)


def clear(kept: Kept, asked: Clearing) -> int:
    """Remove what is meant, and say what was removed. 1 if the user does not agree. Raises RagweaveError."""
    forgotten = asyncio.run(_clear(kept, asked))
    if forgotten is None:
        return 1
    removed, turns = forgotten
    if asked.as_json:
        say(json_text({**removed._asdict(), "turns": turns}, indent=2))
        return 0
    parts = [plural(removed.runs, "run"), plural(removed.values, "value"), plural(removed.cached, "cached result")]
    parts += [plural(turns, "remembered turn")] if asked.thread is not None or asked.tenant is not None else []
    say(f"removed {', '.join(parts)}; {plural(removed.bytes, 'byte')} freed")
    return 0


async def _clear(kept: Kept, asked: Clearing) -> Forgotten | None:
    from ragweave.orchestrator.errors import InputError
    from ragweave.orchestrator.forgetting import Forgotten, Meant, forget, matching

    async with kept:
        if not asked.deletes:
            return Forgotten(await kept.store.gc())
        run_id = (await kept.run(asked.run)).run_id if asked.run is not None else None
        meant = Meant(run_id, asked.thread, asked.user, asked.tenant)
        runs = await matching(kept.store, meant)
        graphs = [] if run_id is not None else await _graphs(kept, runs)
        if not asked.yes:
            question = f"Delete {_shown(asked, run_id)} ({plural(len(runs), 'run')}) from {kept.shown}?"
            if not (sys.stdin.isatty() and is_terminal(sys.stderr)):
                raise InputError(f"{question[:-1]}: nobody is at a terminal to agree", hint="say so with --yes")
            if not confirm(question):
                note("nothing was deleted")
                return None
        return await forget(kept.store, graphs, meant)


def _shown(asked: Clearing, run_id: str | None) -> str:
    if run_id is not None:
        return f"run {run_id}"
    whose = f" of user {asked.user!r}" if asked.user is not None else ""
    whose += f" of tenant {asked.tenant!r}" if asked.tenant is not None and asked.thread is not None else ""
    return f"thread {asked.thread!r}{whose}" if asked.thread is not None else f"all of tenant {asked.tenant!r}"


async def _graphs(kept: Kept, runs: Sequence[RunRecord]) -> list[Edition]:
    """The graphs whose memories may hold something of these runs, or of earlier ones that are not kept any more: the
    one that was named, else theirs and those beside the store. What cannot be opened is said."""
    from ragweave.orchestrator.errors import RagweaveError

    if kept.graph is not None:
        return [kept.graph._edition]
    failed: dict[str, str] = {}
    for record in {record.version: record for record in runs}.values():
        try:
            await kept.graph_of(record)
        except RagweaveError as error:
            failed[record.graph] = error.message
    with contextlib.suppress(RagweaveError):  # no graph lies there
        for file in graph_files([kept.folder]):
            try:
                if file.parent == kept.folder and file not in kept.graphs:
                    kept.graphs[file] = open_graph(file, kept.plugins, store=kept.store)
            except RagweaveError as error:
                failed[str(near(file))] = error.message
    for name, reason in failed.items():
        note(f"what {name!r} remembers stays: {one_line(reason)}")
    return [graph._edition for graph in kept.graphs.values()]
