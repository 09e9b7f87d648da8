"""The `ragweave` command as its users run it: a process of its own, on a pipe or on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INTERRUPT = "\x03"
"""What Ctrl-C types."""
COMMAND = (sys.executable, "-m", "ragweave")

GRAPH = """\
schema: ragweave/v1
name: notes
inputs: {question: str}
outputs: [answer]
models:
  chat: {type: scripted, replies: ["Tea steeps four minutes [1]."]}
retrievers:
  notes: {type: hybrid, index: index, documents: docs, weight: 0}
nodes:
  retrieve: {type: retriever, retriever: notes}
  answer: {type: generator, model: chat}
edges:
  - start -> retrieve -> answer -> end
"""
"""A graph over the folder `docs` that needs no embedder."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: this one's, without what would change what it prints or whom it asks."""
    hidden = ("CHAT_", "OPENAI_", "NO_COLOR", "COLUMNS", "LINES", "RAGWEAVE_", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(extra or {})}


def ragweave(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """The finished command. Nothing that it prints may be a traceback or a control character."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    for text in (done.stdout, done.stderr):
        assert "Traceback" not in text, text
        assert all(letter.isprintable() or letter in "\n\t" for letter in text), repr(text)
    return done


@contextmanager
def started(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The running command, with pipes; it is ended with the block, if it has not ended by itself."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@dataclass(frozen=True)
class Seen:
    """What a terminal received, and how the command ended."""

    raw: str
    status: int


def on_terminal(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    columns: int = 80,
    typed: Sequence[tuple[str, str]] = (),
    timeout: float = 240,
) -> Seen:
    """Run the command on a terminal; when the first text of a pair of `typed` appears, its second is typed. Each pair
    is looked for behind what the one before it was typed at."""
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        if cwd is not None:
            os.chdir(cwd)
        os.execvpe(COMMAND[0], [*COMMAND, *map(str, arguments)], environment({"TERM": "xterm-256color", **(env or {})}))
    to_type, behind = list(typed), 0
    raw, deadline = b"", time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        raw += piece
        while to_type and (at := raw.find(to_type[0][0].replace("\n", "\r\n").encode(), behind)) >= 0:
            behind = len(raw) if len(to_type[0][0]) < 3 else at + len(to_type[0][0])
            keys = to_type.pop(0)[1]
            if keys == INTERRUPT:
                time.sleep(0.3)  # people are slower than this: a signal between an echo and the wait for a key is lost
            os.write(terminal, keys.encode())
    else:
        os.kill(child, 9)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return Seen(raw.decode("utf-8", "replace").replace("\r\n", "\n"), os.waitstatus_to_exitcode(status))


def wait_until(is_so: Callable[[], bool], timeout: float = 120) -> None:
    """Wait until a condition holds. Raises AssertionError if it never does."""
    deadline = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
