"""Tables as text, in one rendering wherever they come from: Markdown's, with bars."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

DELIMITER = re.compile(r"^\|(.*)\|[ \t]*\n\|(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*$", re.MULTILINE)
"""The header of a table in a text, which is its first group, and the line under it."""


def rendered(rows: Sequence[Sequence[Any]]) -> str:
    """A table, its first row being the header; empty rows and columns are left out. Empty if nothing is in it."""
    texts = [[cell(value) for value in row] for row in rows]
    texts = [row for row in texts if any(row)]
    width = max(map(len, texts), default=0)
    kept = [column for column in range(width) if any(column < len(row) and row[column] for row in texts)]
    lines = [line([row[column] if column < len(row) else "" for column in kept]) for row in texts]
    if not lines:
        return ""
    return "\n".join([lines[0], rule(len(kept)), *lines[1:]])


def line(cells: Sequence[str]) -> str:
    """One row of a table, of cells made by `cell`."""
    return f"| {' | '.join(cells)} |"


def rule(columns: int) -> str:
    """The line under the header."""
    return line(["---"] * columns)


def cell(value: Any) -> str:
    """A value as it stands in a table: on one line, its bars escaped; whole numbers without a fraction."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return " ".join(str(value).split()).replace("|", "\\|")


def header(text: str) -> tuple[int, str] | None:
    """Where the rows of the first table in a text begin, and its columns: `Region | Product`. None if there is none."""
    found = DELIMITER.search(text)
    return (found.end(), " ".join(found[1].split())) if found else None
