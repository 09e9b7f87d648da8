"""Settings of a resource or a node changed in the text of a graph file; comments and all else stay as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_ENDS = " \t\r\n,}#"


def changed(text: str, place: tuple[str, ...], settings: Mapping[str, Any]) -> str | None:
    """The text of a graph file with these settings at a place such as `("retrievers", "docs")`.

    A setting that is there gets its new value, others come behind the `type`. None if that cannot be done for sure.
    """
    from ragweave.orchestrator.language.yamltext import read

    for name, value in reversed(list(settings.items())):  # new ones come behind the type, the first of them last
        reading = read(text)
        given = _at(reading.data, place) if reading.readable else None
        if not isinstance(given, dict):
            return None
        key = name if name in given else "type"
        mark = reading.value_marks.get((*place, key))
        if mark is None or (name in given and isinstance(given[name], (dict, list))):
            return None
        edited = _replaced(text, mark.line, mark.column, name, value, is_new=name not in given)
        if edited is None:
            return None
        text = edited
    after = read(text)
    there = _at(after.data, place) if after.readable else None
    fits = isinstance(there, dict) and all(there.get(name) == value for name, value in settings.items())
    return text if fits else None


def _replaced(text: str, line: int, column: int, name: str, value: Any, *, is_new: bool) -> str | None:
    lines = text.splitlines(keepends=True)
    before, row = "".join(lines[: line - 1]), lines[line - 1]
    start = column - 1
    if row[start : start + 1] in "'\"":
        end = row.find(row[start], start + 1) + 1
        if end == 0:
            return None
    else:
        end = start
        while end < len(row) and row[end] not in _ENDS:
            end += 1
    after = "".join(lines[line:])
    if not is_new:
        return f"{before}{row[:start]}{_written(value)}{row[end:]}{after}"
    if "{" in row[:start]:
        return f"{before}{row[:end]}, {name}: {_written(value)}{row[end:]}{after}"
    indent = row[: len(row) - len(row.lstrip())]
    newline = "\r\n" if row.endswith("\r\n") else "\n"
    row = row if row.endswith("\n") else row + newline
    return f"{before}{row}{indent}{name}: {_written(value)}{newline}{after}"


def _at(data: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
