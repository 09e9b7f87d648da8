"""`ragweave ask`: one question to a graph or to a folder of documents; the answer as it comes, then its sources."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ragweave.cli.answers import write_result
from ragweave.cli.documents import open_docs
from ragweave.cli.files import near
from ragweave.cli.graphs import open_graph, plugin_options
from ragweave.cli.indexing import Job, build, is_missing, jobs_of, say_if_stale
from ragweave.cli.inputs import add_input, check_missing, with_files
from ragweave.cli.interrupts import unwinding
from ragweave.cli.live import LiveText
from ragweave.cli.prompting import answers_to, person
from ragweave.cli.terminal import confirm, is_terminal, note

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph, Result
    from ragweave.orchestrator.running.events import Event


class Whose(NamedTuple):
    """The conversation and the user that a run belongs to."""

    thread_id: str = ""
    user: str = ""


NOBODY = Whose()


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says: the question, `KEY=VALUE` inputs and how to go about them."""

    question: str | None
    inputs: tuple[str, ...] = ()
    thread: str = ""
    yes: bool = False
    plugins: tuple[str, ...] = ()
    as_json: bool = False
    user: str = ""


def ask_graph(graph: str | None, asked: Asked) -> int:
    """Ask a graph file. A missing index is built if the user agrees. Raises RagweaveError."""
    from ragweave.orchestrator.errors import InputError

    if graph is None:
        raise InputError(
            "there is nothing to ask", hint='ragweave ask GRAPH "QUESTION", or ragweave ask --docs FOLDER "QUESTION"'
        )
    path = Path(graph)
    if asked.question is None and not asked.inputs and not path.exists() and not path.suffix:
        raise InputError(
            f"{graph!r} is not a graph file",
            hint='ragweave ask GRAPH "QUESTION", or ragweave ask --docs FOLDER "QUESTION"',
        )
    if path.is_dir():
        raise InputError(f"{graph!r} is a folder, not a graph file", hint=f'ragweave ask --docs {graph} "QUESTION"')
    if asked.question is not None:
        _refuse_blank(asked.question, f'ragweave ask {graph} "QUESTION"')
    opened = open_graph(path, asked.plugins)
    inputs = inputs_of(opened, asked, f"ragweave ask {graph}")
    folders = prepare(opened, path, agreed=asked.yes)
    return _run(opened, inputs, asked, folders)


def prepare(graph: Graph, path: Path, *, agreed: bool) -> list[Path]:
    """Build the indexes that are missing, if the user agrees; the folders that its documents come from."""
    jobs = jobs_of(graph.plan.spec)
    for job in jobs:
        if is_missing(job):
            _offer(job, f"ragweave index {path}", agreed=agreed)
        else:
            say_if_stale(job, f"ragweave index {path}")
    return [job.documents for job in jobs]


def ask_docs(documents: Path, question: str | None, asked: Asked) -> int:
    """Ask a folder of documents, through a graph of three nodes; its index is brought up to date before."""
    from ragweave.orchestrator.errors import InputError

    if asked.question is not None:
        raise InputError("with --docs there is no graph file", hint='ragweave ask --docs FOLDER "QUESTION"')
    if question is None:
        raise InputError("the question is missing", hint=f'ragweave ask --docs {documents} "QUESTION"')
    _refuse_blank(question, f'ragweave ask --docs {documents} "QUESTION"')
    graph = open_docs(documents, asked.plugins)
    return _run(graph, {"question": question}, asked, [documents])


def _refuse_blank(question: str, command: str) -> None:
    from ragweave.orchestrator.errors import InputError

    if not question.strip():
        raise InputError("the question is empty", hint=command)


def inputs_of(graph: Graph, asked: Asked, command: str) -> dict[str, Any]:
    """The inputs of a run. Raises InputError for one that is unknown, ill-formed or missing, naming all that are."""
    from ragweave.orchestrator.errors import InputError

    declared = graph.plan.spec.inputs
    values: dict[str, Any] = {}
    for text in asked.inputs:
        name, sign, value = text.partition("=")
        if not sign:
            raise InputError(f"--input is KEY=VALUE, found {text!r}")
        add_input(values, name, value, declared[name].type if name in declared else None)
    if asked.question is not None:
        texts = [name for name, key in declared.items() if str(key.type) == "str"]
        name = "question" if "question" in declared or len(texts) != 1 else texts[0]
        if name in values:
            raise InputError(f"the input {name!r} is given twice: as the question and by --input")
        values[name] = asked.question
    check_missing(graph, values, command, _option)
    return with_files(graph, values)


def _option(name: str, value: str) -> str:
    return '"QUESTION"' if name == "question" else f"--input {name}={value}"


def _offer(job: Job, command: str, *, agreed: bool) -> None:
    """Build a missing index, if the user agrees. Raises IndexUnusable with the command to run."""
    from ragweave.orchestrator.errors import IndexUnusable

    if not agreed and not confirm(f"There is no index of {near(job.documents)} yet. Build it now?"):
        raise IndexUnusable(f"there is no index for the retriever {job.name!r} yet", hint=f"run `{command}`")
    build(job, quiet=True)


def _run(graph: Graph, inputs: Mapping[str, Any], asked: Asked, folders: Sequence[Path]) -> int:
    result, shown = play(graph, inputs, Whose(asked.thread, asked.user), quiet=asked.as_json)
    if result is None:
        return 1
    write_result(result, folders, as_json=asked.as_json, already=shown)
    return 0


def play(
    graph: Graph,
    inputs: Mapping[str, Any],
    whose: Whose = NOBODY,
    *,
    quiet: bool = False,
    watch: Callable[[Event], None] | None = None,
) -> tuple[Result | None, bool]:
    """Run a graph for a person, and whether the outputs were shown while they came (never if `quiet`).

    The result is None if the run asks and nobody is there to answer. `watch` sees every event.
    """
    live = LiveText() if is_terminal(sys.stdout) and not quiet else None
    graph.resources.notice = live.notice if live is not None else note
    with unwinding():
        result = asyncio.run(_ask(graph, inputs, whose, live, watch))
    return result, live is not None


async def _ask(
    graph: Graph,
    inputs: Mapping[str, Any],
    whose: Whose,
    live: LiveText | None,
    watch: Callable[[Event], None] | None,
) -> Result | None:
    async with graph:
        return await turn(graph, inputs, whose, live, watch)


async def turn(
    graph: Graph,
    inputs: Mapping[str, Any],
    whose: Whose,
    live: LiveText | None,
    watch: Callable[[Event], None] | None = None,
) -> Result | None:
    """Run the graph to its end, asking the user what it asks; None if it asks and nobody is there."""
    if live is None and watch is None:
        return await to_its_end(graph, graph.arun(inputs, **whose._asdict()), live)
    return await to_its_end(graph, shown(graph, graph.stream(inputs, **whose._asdict()), live, watch), live)


async def to_its_end(graph: Graph, first: Awaitable[Result], live: LiveText | None) -> Result | None:
    """Wait for a run, and go on with it for as long as it asks and somebody answers; None if nobody does."""
    try:
        result = await first
        while result.status == "parked":
            if live is not None:
                live.change("")
                live.finish()
            answers = answers_to(result, again(graph, result.run_id))
            if answers is None:
                return None
            result = await graph.aresume(result.run_id, answers=answers, by=person())
    except BaseException:
        if live is not None:
            live.change("")
        raise
    if live is not None:
        from ragweave.orchestrator.result import main_text

        live.change(main_text(result.outputs))
        live.finish()
    return result


def again(graph: Graph, run_id: str) -> str:
    """The command that goes on with a run of a graph; empty if its runs end with this process."""
    source = graph._edition.source
    if graph.store.live or source is None:
        return ""
    from ragweave.cli.finding import RUNS

    beside = (Path.cwd() / RUNS).is_file() and source[0].resolve().parent == Path.cwd()
    return f"ragweave resume {run_id}" + ("" if beside else f" --graph {near(source[0])}") + plugin_options()


async def shown(
    graph: Graph,
    stream: AsyncGenerator[Event, None],
    live: LiveText | None,
    watch: Callable[[Event], None] | None = None,
) -> Result:
    """Show the events of a run as they come; its result."""
    from ragweave.orchestrator.running.speech import Speech

    speech = Speech(graph)
    result: Result | None = None
    async with contextlib.aclosing(stream) as events:
        async for event in events:
            if watch is not None:
                watch(event)
            if event.kind in ("run_done", "run_parked"):
                result = event.data["result"]
            elif live is None:
                pass
            elif event.kind == "started":
                live.status(event.node)
            else:
                for piece in speech.heard(event):
                    if piece.kind == "token":
                        live.add(piece.text)
                    else:
                        live.change("")
    assert result is not None
    return result
