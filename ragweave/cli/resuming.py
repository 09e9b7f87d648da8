"""`ragweave resume`: a run goes on from where it stopped, with the answers that it waited for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ragweave.cli.answers import as_data, json_text, write_result
from ragweave.cli.asking import again, shown, to_its_end
from ragweave.cli.finding import Kept
from ragweave.cli.indexing import jobs_of
from ragweave.cli.interrupts import unwinding
from ragweave.cli.live import LiveText
from ragweave.cli.prompting import answers_to, parsed, person, wanted
from ragweave.cli.terminal import clean, is_terminal, note, one_line, plural, say

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph, Result
    from ragweave.orchestrator.stores import RunRecord
    from ragweave.orchestrator.values import Ask


class Resumed(NamedTuple):
    """What the command line says."""

    run: str
    answers: tuple[str, ...] = ()
    deadline: str | None = None
    current: bool = False
    as_json: bool = False
    by: str = ""


def resume_run(kept: Kept, asked: Resumed) -> int:
    """Go on with one run and write what it gives. 1 if it asks and nobody is there to answer. Raises RagweaveError."""
    live = LiveText() if is_terminal(sys.stdout) and not asked.as_json else None
    with unwinding():
        result, folders = asyncio.run(_resume(kept, asked, live))
    if result is None:
        return 1
    write_result(result, folders, as_json=asked.as_json, already=live is not None)
    return 0


async def _resume(kept: Kept, asked: Resumed, live: LiveText | None) -> tuple[Result | None, Sequence[Path]]:
    from ragweave.orchestrator.stores.waiting import open_asks

    async with kept:
        record = await kept.run(asked.run)
        graph = await kept.graph_of(record)
        graph.resources.notice = live.notice if live is not None else note
        folders = [job.documents for job in jobs_of(graph.plan.spec)]
        asks = open_asks(await kept.store.events(record.run_id)) if record.status == "parked" else {}
        answers = given(asks, asked.answers, record)
        if asks and not answers:
            said = answers_to(_parked(record, asks), again(graph, record.run_id))
            if said is None:
                return None, folders
            answers = said
        on: Any = {"on": "current"} if asked.current else {}
        by = asked.by or (person() if answers else "")
        events = graph.stream_resume(record.run_id, answers=answers, by=by, deadline=asked.deadline, **on)
        return await to_its_end(graph, shown(graph, events, live), live), folders


def _parked(record: RunRecord, asks: Mapping[str, Ask]) -> Result:
    from ragweave.orchestrator.result import Result
    from ragweave.orchestrator.values import Usage

    return Result({}, "parked", record.run_id, record.thread_id, dict(asks), Usage())


def given(asks: Mapping[str, Ask], texts: Sequence[str], record: RunRecord) -> dict[str, Any]:
    """The answers of `PATH=VALUE`, or of a VALUE alone where one question is open, by path. Raises InputError."""
    from ragweave.orchestrator.errors import InputError, did_you_mean

    found: dict[str, Any] = {}
    for text in texts:
        path, sign, value = text.partition("=")
        if not (sign and path in asks):
            if len(asks) == 1 and len(texts) == 1 and not (sign and _is_path(path)):
                path, value = next(iter(asks)), text
            elif not asks:
                raise InputError(f"run {record.run_id!r} asks nothing", hint=f"it is {record.status}")
            else:
                near = did_you_mean(path, asks)
                raise InputError(f"--answer {text!r} is no PATH=VALUE of an open question{near}")
        if path in found:
            raise InputError(f"the question at {path!r} is answered twice")
        try:
            found[path] = parsed(value, asks[path].answer_schema)
        except ValueError:
            question = one_line(asks[path].question)
            said = f"{value!r} is no answer to {path!r}, which asks: {question}"
            raise InputError(said, hint=wanted(asks[path].answer_schema)) from None
    return found


def _is_path(text: str) -> bool:
    return "#" in text and " " not in text


def recover(kept: Kept, *, as_json: bool) -> int:
    """Go on with every run whose process is gone. 1 if one of them fails. Raises RagweaveError."""
    with unwinding():
        results = asyncio.run(_recover(kept))
    if as_json:
        say(json_text({"runs": [one for one, _ in results]}, indent=2))
    elif not results:
        say("no run was broken off")
    return 0 if all(good for _, good in results) else 1


async def _recover(kept: Kept) -> list[tuple[dict[str, Any], bool]]:
    async with kept:
        crashed = await kept.store.crashed()
        if kept.graph is not None:
            crashed = [record for record in crashed if record.graph == kept.graph.name]
        if crashed:
            note(f"going on with {plural(len(crashed), 'run')}")
        results = []
        for record in crashed:
            one = await _recovered(kept, record)
            if one is not None:
                results.append(one)
        return results


async def _recovered(kept: Kept, record: RunRecord) -> tuple[dict[str, Any], bool] | None:
    """What became of a run, as data, and whether it did not fail; None if another worker has taken it."""
    from ragweave.orchestrator.errors import RagweaveError, RunTaken
    from ragweave.orchestrator.result import main_text

    try:
        graph: Graph = await kept.graph_of(record)
        result = await graph.aresume(record.run_id)
    except RunTaken:
        note(f"{record.run_id}: another process goes on with it")
        return None
    except RagweaveError as error:
        note(f"{record.run_id}: {error}")
        return {"run_id": record.run_id, "status": "failed", "error": str(error)}, False
    if result.status == "parked":
        asks = "; ".join(f"{path} asks: {one_line(ask.question)}" for path, ask in result.asks.items())
        note(f"{record.run_id} waits: {asks}")
    else:
        note(f"{record.run_id} is done: {one_line(clean(main_text(result.outputs)))[:200]}")
    return as_data(result), True
