"""`ragweave chat`: one question after the other, in a conversation that can be gone on with."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragweave.cli.answers import write_exceeded, write_outputs
from ragweave.cli.asking import Asked, Whose, inputs_of, prepare, shown, to_its_end, turn
from ragweave.cli.documents import open_docs
from ragweave.cli.failures import status_of
from ragweave.cli.graphs import open_graph
from ragweave.cli.interrupts import unwinding
from ragweave.cli.live import LiveText
from ragweave.cli.terminal import is_terminal, note, one_line, say

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph

_HELP = """\
  a line        asks it; end a line with \\ to go on in the next, or write a longer text between two lines of \"\"\"
  /new          starts another conversation
  /thread       says which conversation this is
  /quit         leaves, and so does Ctrl-D; Ctrl-C ends an answer"""
_FENCE = '"""'


@dataclass(frozen=True, slots=True)
class Chat:
    """What the command line says."""

    graph: Path | None
    docs: Path | None = None
    inputs: tuple[str, ...] = ()
    thread: str = ""
    yes: bool = False
    plugins: tuple[str, ...] = ()
    user: str = ""


def chat(asked: Chat) -> int:
    """Talk with a graph, or with a folder of documents, until the user leaves. Raises RagweaveError."""
    graph, folders, again = _opened(asked)
    remembers = any(kind == "memories" for kind, _ in graph.plan.spec.resources)
    thread = asked.thread or _new_thread()
    is_person = sys.stdin.isatty() and is_terminal(sys.stdout)
    if is_person:
        _edit_lines()
        note(f"{asked.docs or asked.graph}: ask away; /help says what else there is")
        if not remembers:
            note("this graph has no memory: each question stands alone")
    with unwinding(), asyncio.Runner() as runner:
        runner.run(graph.__aenter__())
        try:
            if asked.thread:
                _go_on(runner, graph, asked, folders)
            thread = _talk(runner, graph, asked, folders, thread, is_person=is_person)
        finally:
            runner.run(graph.__aexit__(None, None, None))
    if is_person and remembers:
        who = f" --user {shlex.quote(asked.user)}" if asked.user else ""
        note(f"to go on: {again} --thread {shlex.quote(thread)}{who}")
    return 0


def _opened(asked: Chat) -> tuple[Graph, Sequence[Path], str]:
    """The graph, where its documents lie, and the command that opens it again."""
    from ragweave.orchestrator.errors import InputError

    hint = "ragweave chat GRAPH, or ragweave chat --docs FOLDER"
    if (asked.graph is None) == (asked.docs is None):
        raise InputError(
            "there is nothing to talk with" if asked.docs is None else "a graph or --docs, not both", hint=hint
        )
    if asked.docs is not None:
        graph = open_docs(asked.docs, asked.plugins, conversing=True)
        return graph, [asked.docs], f"ragweave chat --docs {shlex.quote(str(asked.docs))}"
    assert asked.graph is not None
    graph = open_graph(asked.graph, asked.plugins)
    inputs_of(graph, Asked("", asked.inputs), f"ragweave chat {asked.graph}")
    folders = prepare(graph, asked.graph, agreed=asked.yes)
    return graph, folders, f"ragweave chat {shlex.quote(str(asked.graph))}"


def _go_on(runner: asyncio.Runner, graph: Graph, asked: Chat, folders: Sequence[Path]) -> None:
    """Give the answers that the conversation is still owed: those of runs whose process was killed."""
    from ragweave.orchestrator.errors import RagweaveError

    for run_id, question in runner.run(_owed(graph, asked)):
        note(f"going on with what was broken off{': ' + one_line(question) if question else ''}")
        live = LiveText() if is_terminal(sys.stdout) else None
        graph.resources.notice = live.notice if live is not None else note
        try:
            result = runner.run(to_its_end(graph, shown(graph, graph.stream_resume(run_id), live), live))
        except RagweaveError as error:
            status_of(error)
            continue
        if result is not None:
            write_outputs(result.outputs, folders, already=live is not None)
            write_exceeded(result)
            say()


async def _owed(graph: Graph, asked: Chat) -> list[tuple[str, str]]:
    """The runs of the conversation that were broken off, each with its question."""
    found = []
    for record in await graph.store.crashed():
        if (record.thread_id, record.user, record.graph) == (asked.thread, asked.user, graph.name):
            events = await graph.store.events(record.run_id)
            inputs = events[0].data.get("inputs", {}) if events else {}
            found.append((record.run_id, str(inputs.get("question", ""))))
    return found


def _talk(
    runner: asyncio.Runner, graph: Graph, asked: Chat, folders: Sequence[Path], thread: str, *, is_person: bool
) -> str:
    """Turn after turn; the thread of the last one. Without a person, the first error ends it."""
    from ragweave.orchestrator.errors import RagweaveError

    while True:
        try:
            text = _question(prompt="you> " if is_person else "")
        except EOFError:
            if is_person:
                say()
            return thread
        except KeyboardInterrupt:
            if not is_person:
                raise
            say()
            note("Ctrl-D or /quit leaves")
            continue
        command = text.strip()
        if not command:
            continue
        if command.startswith("/"):
            if command in ("/quit", "/exit", "/q"):
                return thread
            thread = _obey(command, thread)
            continue
        try:
            _answer(runner, graph, asked, folders, text, thread)
        except KeyboardInterrupt:
            if not is_person:
                raise
            note("stopped")
        except RagweaveError as error:
            if not is_person:
                raise
            status_of(error)


def _obey(command: str, thread: str) -> str:
    if command == "/new":
        thread = _new_thread()
        note(f"a new conversation: {thread}")
    elif command == "/thread":
        note(thread)
    else:
        if command not in ("/help", "/?"):
            note(f"there is no {command.split(maxsplit=1)[0]}")
        for line in _HELP.splitlines():
            sys.stderr.write(line + "\n")
    return thread


def _answer(
    runner: asyncio.Runner, graph: Graph, asked: Chat, folders: Sequence[Path], question: str, thread: str
) -> None:
    inputs = inputs_of(graph, Asked(question, asked.inputs), "ragweave chat")
    live = LiveText() if is_terminal(sys.stdout) else None
    graph.resources.notice = live.notice if live is not None else note
    result = runner.run(turn(graph, inputs, Whose(thread, asked.user), live))
    if result is not None:
        write_outputs(result.outputs, folders, already=live is not None)
        write_exceeded(result)
        say()


def _question(prompt: str) -> str:
    """What the user asks, of one line or of several. Raises EOFError, KeyboardInterrupt."""
    line = _line(prompt)
    if line.strip() == _FENCE:
        lines: list[str] = []
        while (line := _line("...> " if prompt else "")).strip() != _FENCE:
            lines.append(line)
        return "\n".join(lines)
    text = line
    while text.endswith("\\"):
        text = text[:-1] + "\n" + _line("...> " if prompt else "")
    return text


def _line(prompt: str) -> str:
    if prompt:
        return input(prompt)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def _edit_lines() -> None:
    """Arrow keys and earlier lines, where Python has them."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  input() uses it once it is there


def _new_thread() -> str:
    return secrets.token_hex(3)
