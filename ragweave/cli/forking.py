"""`ragweave fork`: a run that goes on from a call of another one, shown as `ragweave ask` shows a run."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ragweave.cli.answers import write_result
from ragweave.cli.asking import shown, to_its_end
from ragweave.cli.finding import Kept
from ragweave.cli.indexing import jobs_of
from ragweave.cli.inputs import add_input
from ragweave.cli.interrupts import unwinding
from ragweave.cli.live import LiveText
from ragweave.cli.terminal import is_terminal, note

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph, Result
    from ragweave.orchestrator.history import Recorded


def fork_run(kept: Kept, run: str, at: str, given: Sequence[str], *, thread: str, as_json: bool) -> int:
    """Fork a run and write what comes of it. 1 if it asks a person and nobody is there. Raises RagweaveError."""
    live = LiveText() if is_terminal(sys.stdout) and not as_json else None
    with unwinding():
        graph, result = asyncio.run(_fork(kept, run, at, given, thread, live))
    if result is None:
        return 1
    write_result(result, [job.documents for job in jobs_of(graph.plan.spec)], as_json=as_json, already=live is not None)
    if not as_json:
        note(f"run {result.run_id}; `ragweave diff {run} {result.run_id}` says what is different")
    return 0


async def _fork(
    kept: Kept, run: str, at: str, given: Sequence[str], thread: str, live: LiveText | None
) -> tuple[Graph, Result | None]:
    from ragweave.orchestrator.journals.fork import fork, repeated

    async with kept:
        record = await kept.run(run)
        graph = await kept.graph_of(record)
        graph.resources.notice = live.notice if live is not None else note
        parent = await graph.recorded(record.run_id)
        changed = _changes(parent, at, given)
        journal = fork(parent.plan, parent.events, at, changed, live=parent.live)
        again = repeated(parent.events, journal)
        if again:
            note(f"{', '.join(again)} had an effect in {record.run_id}; what follows may have it again")
        if live is None:
            first = graph.afork(record.run_id, at, changed, thread_id=thread)
        else:
            first = shown(graph, graph.stream_fork(record.run_id, at, changed, thread_id=thread), live)
        return graph, await to_its_end(graph, first, live)


def _changes(parent: Recorded, at: str, given: Sequence[str]) -> dict[str, Any]:
    """The values of `--set`, as their keys' types want them. Raises InputError."""
    from ragweave.orchestrator.errors import InputError
    from ragweave.orchestrator.journals.fork import settable

    kinds = settable(parent.plan, parent.events, at, live=parent.live)
    changed: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign:
            raise InputError(f"--set is KEY=VALUE, found {text!r}")
        add_input(changed, name, value, kinds.get(name))
    return changed
