"""`ragweave check`: every problem of graph files at once, and the repairs that are beyond doubt."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragweave.cli.files import write_whole
from ragweave.cli.graphs import check_file, graph_files
from ragweave.cli.problems import count, write_problems
from ragweave.cli.terminal import note, paint, plural, say

if TYPE_CHECKING:
    from ragweave.orchestrator.checking.bound import Checked
    from ragweave.orchestrator.errors import Problem

_MOST = 1000
"""Repairs of one file; a repair that brings up itself must not go on for ever."""


def check_files(paths: Sequence[Path], plugins: Sequence[str], *, as_json: bool, fix: bool) -> int:
    """Check the graphs and show what is wrong; 1 if any of them cannot be run."""
    found: list[Problem] = []
    for path in graph_files(paths):
        if fix:
            _mend(path, plugins, quiet=as_json)
        checked, problems = _checked(path, plugins)
        found += problems
        if not as_json:
            _show(path, checked, problems)
    if as_json:
        say(json.dumps([as_data(problem) for problem in found], indent=2, ensure_ascii=False))
    return int(any(problem.severity == "error" for problem in found))


def as_data(problem: Problem) -> dict[str, Any]:
    """A problem as JSON data."""
    fix = problem.fix
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "severity": problem.severity,
        "message": problem.message,
        "fix": {"line": fix.line, "column": fix.column, "old": fix.old, "new": fix.new} if fix is not None else None,
    }


def _checked(path: Path, plugins: Sequence[str]) -> tuple[Checked | None, list[Problem]]:
    """A checked file, or None if it could not even be read; and its problems."""
    from ragweave.orchestrator.errors import GraphError

    try:
        checked = check_file(path, plugins)
    except GraphError as error:
        return None, list(error.problems)
    return checked, checked.problems


def _show(path: Path, checked: Checked | None, problems: Sequence[Problem]) -> None:
    if any(problem.severity == "error" for problem in problems) or checked is None:
        write_problems(problems)
        return
    edges = len(checked.shape.edges) if checked.shape is not None else 0
    size = f"{plural(len(checked.spec.nodes), 'node')}, {plural(edges, 'edge')}"
    heading = f"{paint(str(path), 'bold')}: {paint('ok', 'green')}"
    if problems:
        write_problems(problems, heading=f"{heading}, with {count(problems)} ({size})")
    else:
        say(f"{heading} ({size})")


def _mend(path: Path, plugins: Sequence[str], *, quiet: bool) -> None:
    """Make every sure repair, again and again while one brings up another, and say what was changed."""
    from ragweave.orchestrator.language.fixes import apply

    mended: list[Problem] = []
    original = _text(path)
    text = original
    while text is not None and len(mended) < _MOST:
        _, problems = _checked(path, plugins) if text == original else _checked_text(path, text)
        changed, applied = apply(text, problems)
        if not applied or changed == text:
            break
        mended += applied
        text = changed if "\r\n" not in text else _with_newlines_of(text, changed)
    if text is None or text == original:
        return
    write_whole(path, text.encode("utf-8"))
    tell = note if quiet else say
    tell(f"{path}: fixed {plural(len(mended), 'problem')}")
    for problem in mended:
        assert problem.fix is not None
        place = f"{path}:{problem.fix.line}:{problem.fix.column}"
        old, new = problem.fix.old, problem.fix.new.rstrip("\r\n")
        tell(f"  {place}  {problem.code}  " + (f"{old!r} -> {new!r}" if old else f"added {new!r}"))


def _text(path: Path) -> str | None:
    """A file as it is, line ends and byte order mark included; None if it is not UTF-8 or not there."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _checked_text(path: Path, text: str) -> tuple[Checked | None, list[Problem]]:
    """Like `_checked`, for a text that is not in its file yet."""
    import os

    from ragweave.orchestrator.checking.check import check
    from ragweave.orchestrator.language.environment import read_dotenv
    from ragweave.orchestrator.language.load import load_text
    from ragweave.orchestrator.resources import Resources

    folder = path.resolve().parent
    spec, problems = load_text(text.encode("utf-8"), file=str(path), folder=folder)
    environ = {**read_dotenv(folder), **os.environ}
    checked = check(spec, problems, Resources(spec.resources.values(), folder=folder, environ=environ))
    return checked, checked.problems


def _with_newlines_of(before: str, after: str) -> str:
    """What a repair added gets the line ends of the file, if the file has only one kind."""
    return after if re.search(r"(?<!\r)\n", before) else re.sub(r"(?<!\r)\n", "\r\n", after)
