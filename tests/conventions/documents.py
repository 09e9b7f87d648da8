"""Runs the code blocks of a document, top to bottom, in the current folder.

`python -m tests.conventions.documents PATH` runs one in a process of its own and ends with 1 at the first block that
does not do what the document says. What each kind of block means is written in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import difflib
import inspect
import io
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

RUN = ("python", "yaml", "console")
SHOWN = ("text", "json", "toml", "mermaid", "diff", "dockerfile", "makefile", "")
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>\w*)(?P<rest>.*)$")
MARK = re.compile(r"^\s*<!-- (?P<key>not run|exit status|file): (?P<value>.*\S) -->$")
TIME = re.compile(r"\b\d+(?:\.\d+)?\s?(?:[mµ]s|s|seconds?)\b")
ALLOWED_SECONDS = 120


class Wrong(Exception):
    """A block that cannot be run, or that does not do what the document says."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, the line of its first line, and the marks above it."""

    language: str
    text: str
    line: int
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        if "not run" in self.marks:
            return False
        return self.language in ("python", "console") or "file" in self.marks or self.is_graph

    @property
    def is_graph(self) -> bool:
        return self.language == "yaml" and self.text.lstrip().startswith("schema: ragweave/v1")


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown text. A language that nobody would run or check is refused."""
    marks: dict[str, str] = {}
    opened: re.Match[str] | None = None
    start, body = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if opened is not None:
            if fence and len(fence["ticks"]) >= len(opened["ticks"]) and not (fence["language"] or fence["rest"]):
                yield Block(opened["language"], "".join(body), start, marks)
                opened, marks = None, {}
            else:
                body.append(re.sub(f"^ {{0,{len(opened['indent'])}}}", "", line) + "\n")
        elif fence:
            if fence["language"] not in RUN + SHOWN:
                raise Wrong(f"line {number}: ```{fence['language']} is not run; use one of {', '.join(RUN + SHOWN)}")
            opened, start, body = fence, number + 1, []
        elif mark := MARK.match(line):
            marks[mark["key"]] = mark["value"]
        elif line.strip():
            marks = {}
    if opened is not None:
        raise Wrong(f"line {start - 1}: this block is never closed")


def commands(block: Block) -> Iterator[tuple[str, str, int]]:
    """The commands of a console block, each with the output shown below it and its line."""
    command, shown, start = "", list[str](), block.line
    for number, line in enumerate(block.text.splitlines(), block.line):
        if command.endswith("\\"):
            command = command[:-1] + line.removeprefix("> ").lstrip()
        elif line.startswith("$ "):
            if command:
                yield command, "\n".join(shown), start
            command, shown, start = line[2:], [], number
        elif command:
            shown.append(line)
        elif line.strip():
            raise Wrong(f"line {number}: a console block starts with a line that starts with '$ '")
    if command:
        yield command, "\n".join(shown), start


def same(shown: str, printed: str) -> bool:
    """Whether a text is what the document shows. `...` stands for any text, on a line of its own for any lines."""
    pattern = ""
    for line in _normal(shown):
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _normal(printed))) is not None


def _normal(text: str) -> list[str]:
    lines = [re.sub(r"\s+", " ", TIME.sub("<time>", line)).rstrip() for line in text.strip().splitlines()]
    return [line for line in lines if line]


def _expect(shown: str, printed: str, line: int) -> None:
    if not same(shown, printed):
        diff = difflib.unified_diff(shown.splitlines(), printed.splitlines(), "shown", "printed", lineterm="", n=99)
        raise Wrong(f"line {line}: the document shows something else than is printed\n" + "\n".join(diff))


class Desk:
    """Where the blocks of one document are run: one namespace for its Python, one folder for its commands."""

    def __init__(self, document: Path) -> None:
        self.document = document
        self.folder = Path.cwd()
        self.module = types.ModuleType("document")
        sys.modules["document"] = self.module

    def run(self, block: Block) -> None:
        """Run one block.

        Raises:
            Wrong: it does not do what the document says.
        """
        if name := block.marks.get("file"):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        if block.is_graph:
            self._check(block)
        elif block.language == "python" and not name:
            self._execute(block)
        elif block.language == "console":
            self._type(block)

    def _check(self, block: Block) -> None:
        import ragweave

        problems = ragweave.Graph.parse(block.text).check()
        if problems:
            raise Wrong(f"line {block.line}: the graph has problems\n" + "\n".join(map(str, problems)))

    def _execute(self, block: Block) -> None:
        source = "\n" * (block.line - 1) + block.text  # so that a traceback shows the line of the document
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(source, str(self.document), "exec", flags=flags, dont_inherit=True)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            result = types.FunctionType(code, vars(self.module))()
            if inspect.iscoroutine(result):
                asyncio.run(result)
        shown = [line.strip()[2:].strip() for line in block.text.splitlines() if line.strip().startswith("#>")]
        if shown:
            _expect("\n".join(shown), printed.getvalue(), block.line)

    def _type(self, block: Block) -> None:
        typed = list(commands(block))
        for position, (command, shown, line) in enumerate(typed, 1):
            if command.split()[0] == "make":
                continue
            if command.startswith("cd "):
                self.folder = (self.folder / command[3:].strip()).resolve(strict=True)
                continue
            status = int(block.marks.get("exit status", 0)) if position == len(typed) else 0
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=ALLOWED_SECONDS,
                check=False,
            )
            if done.returncode != status:
                raise Wrong(f"line {line}: {command!r} ended with {done.returncode}\n{done.stdout}")
            if shown.strip():
                _expect(shown, done.stdout, line)


def _environment() -> dict[str, str]:
    """The environment of a command: this Python's programs first, plain output, no keys, no model hub."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY") and not k.startswith("CHAT_")}
    kept.pop("PYTHONPATH", None)
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return kept | {"PATH": path, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "100", "HF_HUB_OFFLINE": "1"}


def main(path: str) -> None:
    """Run a document."""
    document = Path(path)
    desk = Desk(document)
    try:
        for block in blocks(document.read_text(encoding="utf-8")):
            if block.runs:
                desk.run(block)
    except Wrong as wrong:
        sys.exit(f"{document}: {wrong}")


if __name__ == "__main__":
    main(sys.argv[1])
