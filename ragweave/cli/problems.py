"""Problems of graph files as text: aligned for everybody, with the line and a caret for a person."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ragweave.cli.terminal import cells, clean, is_terminal, paint, plural, width

if TYPE_CHECKING:
    from ragweave.orchestrator.errors import Problem

_WORD = re.compile(r"[\w.$-]+|.")


def write_problems(problems: Sequence[Problem], stream: TextIO | None = None, *, heading: str = "") -> None:
    """The problems of one file under a heading, by default one that counts them."""
    stream = stream or sys.stdout
    file = problems[0].file if problems else "graph"
    stream.write((heading or f"{paint(file, 'bold', stream)}: {count(problems)}") + "\n")
    source = _lines(file) if is_terminal(stream) else []
    places = max((cells(problem.place) for problem in problems), default=0)
    for problem in problems:
        for line in _entry(problem, places, stream):
            stream.write(line + "\n")
        for line in excerpt(problem, source if problem.file == file else [], stream):
            stream.write(line + "\n")
    stream.flush()


def count(problems: Iterable[Problem]) -> str:
    """`2 problems`, `1 problem, 1 warning`."""
    severities = [problem.severity for problem in problems]
    errors, warnings = severities.count("error"), severities.count("warning")
    parts = [plural(errors, "problem")] if errors else []
    return ", ".join([*parts, plural(warnings, "warning")] if warnings else parts)


def _entry(problem: Problem, places: int, stream: TextIO) -> list[str]:
    """Place, code and message in columns; a long message goes on below itself."""
    pad = " " * (places - cells(problem.place))
    start = f"  {problem.place}{pad}  {problem.code}  "
    room = max(width(stream) - cells(start), 40)
    message = f"warning: {problem.message}" if problem.severity == "warning" else problem.message
    lines = textwrap.wrap(clean(message), room, break_long_words=False, break_on_hyphens=False) or [""]
    style = "yellow" if problem.severity == "warning" else "red"
    first = f"  {problem.place}{pad}  {paint(problem.code, style, stream)}  {lines[0]}"
    return [first, *(" " * cells(start) + line for line in lines[1:])]


def excerpt(problem: Problem, source: Sequence[str], stream: TextIO) -> list[str]:
    """The line of the file and a caret under what is wrong; nothing where there is no such line."""
    if not 1 <= problem.line <= len(source):
        return []
    text = clean(source[problem.line - 1].replace("\t", " "))
    column = min(problem.column, len(text) + 1) - 1
    old = problem.fix.old if problem.fix is not None else ""
    found = _WORD.match(text, column)
    marked = old if old and text.startswith(old, column) else found[0] if found is not None else " "
    number = str(problem.line)
    room = max(width(stream) - len(number) - 8, 20)
    skip = max(min(column - room // 2, len(text) - room), 0) if len(text) > room else 0
    shown = text[skip : skip + room]
    before = " " * cells(text[skip:column])
    caret = paint("^" * max(min(cells(marked), room - len(before)), 1), "bold red", stream)
    bar = paint("|", "dim", stream)
    return [f"    {paint(number, 'dim', stream)} {bar} {shown}", f"    {' ' * len(number)} {bar} {before}{caret}"]


def _lines(file: str) -> list[str]:
    """The lines of a file that may be shown; a `.env` file holds secrets."""
    if Path(file).name == ".env":
        return []
    from ragweave.orchestrator.language.yamltext import lines_of

    try:
        return lines_of(Path(file).read_text(encoding="utf-8-sig", errors="replace"))
    except (OSError, ValueError):
        return []
