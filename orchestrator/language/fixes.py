"""Repairs: the problems that have one sure remedy are mended in the text, which otherwise stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ragweave.orchestrator.errors import Fix, Problem

_LINE = re.compile(r"[^\n\r\x85\u2028\u2029]*(?:\r\n|[\n\r\x85\u2028\u2029]|$)")


def apply(text: str, problems: Iterable[Problem]) -> tuple[str, list[Problem]]:
    """The text with every `Fix` made, and the problems that this mends, in the order of the file.

    A fix is left out if the text at its place is not what it replaces, or if it overlaps one before it.
    """
    starts = [match.start() for match in _LINE.finditer(text)]
    planned: list[tuple[int, int, str, Problem]] = []
    for problem in problems:
        if problem.fix is not None:
            found = _span(text, starts, problem.fix)
            if found is not None:
                planned.append((*found, problem))
    planned.sort(key=lambda row: (row[0], row[1]))
    applied: list[Problem] = []
    pieces: list[str] = []
    done = 0
    same: tuple[int, int, str] | None = None
    for start, end, new, problem in planned:
        if same == (start, end, new):
            applied.append(problem)  # two problems, one remedy
        elif start >= done and (same is None or same[:2] != (start, end)):
            pieces += [text[done:start], new]
            done, same = end, (start, end, new)
            applied.append(problem)
    return "".join([*pieces, text[done:]]), applied


def _span(text: str, starts: list[int], fix: Fix) -> tuple[int, int, str] | None:
    """Start and end of what a fix replaces, and by what; quotes around it stay."""
    if not 1 <= fix.line <= len(starts):
        return None
    start = starts[fix.line - 1] + fix.column - 1
    if text[:1] == "\ufeff" and fix.line == 1:
        start += 1
    if fix.old and text[start : start + 1] in ("'", '"') and not text.startswith(fix.old, start):
        start += 1
    end = start + len(fix.old)
    if text[start:end] != fix.old:
        return None
    if fix.old and fix.old[-1].isalnum() and (text[end : end + 1].isalnum() or text[end : end + 1] == "_"):
        return None
    return start, end, fix.new
