"""JSON and JSON lines: each value on a line of its own with the path to it, each record for itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ragweave.retrievers.loaders import loader
from ragweave.retrievers.loaders.decoding import decode
from ragweave.retrievers.loaders.texts import name_of
from ragweave.retrievers.sourcetext import Heading, Place, SourceText, Unreadable

_TITLES = ("title", "name", "headline", "subject", "question", "id", "_id", "key")


@loader("json", version="1")
def load_json(source: str, data: bytes) -> SourceText:
    """A JSON file: the objects of a list as records, anything else as one."""
    text, notes = decode(data)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"no JSON: {error}") from None
    except RecursionError:
        raise Unreadable("JSON nested too deeply") from None
    is_list = isinstance(value, list) and all(isinstance(record, dict) for record in value)
    records = list(enumerate(value, start=1)) if is_list else [(0, value)]
    return _text(source, records, notes, {})


@loader("jsonl", "ndjson", version="1")
def load_lines(source: str, data: bytes) -> SourceText:
    """A record on each line; lines that are no JSON are counted in a note."""
    text, notes = decode(data)
    records: list[tuple[int, Any]] = []
    lines: dict[int, int] = {}
    wrong: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            records.append((len(records) + 1, json.loads(line)))
            lines[len(records)] = number
        except (ValueError, RecursionError):
            wrong.append(number)
    if wrong and not records:
        raise Unreadable(f"no JSON: line {wrong[0]}")
    if wrong:
        count = f"{len(wrong):,} lines are" if len(wrong) > 1 else "1 line is"
        notes = (*notes, f"{count} no JSON and left out, the first is line {wrong[0]}")
    return _text(source, records, notes, lines)


def _text(source: str, records: list[tuple[int, Any]], notes: tuple[str, ...], lines: dict[int, int]) -> SourceText:
    parts: list[str] = []
    headings: list[Heading] = []
    places: list[Place] = []
    length = 0
    for number, record in records:
        text = "\n".join(f"{path}: {value}" if path else value for path, value in _leaves(record, ""))
        if not text:
            continue
        if number:
            place = {"record": number, **({"line": lines[number]} if number in lines else {})}
            places.append(Place(length, place, is_document=True))
            headings.append(Heading(length, 1, _title(record) or f"Record {number}"))
        parts.append(text + "\n\n")
        length += len(parts[-1])
    title = "" if len(records) != 1 else _title(records[0][1])
    return SourceText(
        source, "".join(parts), 0, title or name_of(source), {}, notes, tuple(headings), tuple(places),
        is_original=False,
    )  # fmt: skip


def _title(record: Any) -> str:
    if isinstance(record, dict):
        for key in _TITLES:
            value = record.get(key)
            if isinstance(value, (str, int)) and 0 < len(str(value)) <= 200:
                return " ".join(str(value).split())
    return ""


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Each value that is not a container, with the keys to it; lists of plain values on one line."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        if all(not isinstance(inner, (dict, list)) for inner in value):
            yield path, ", ".join(_plain(inner) for inner in value)
            return
        for number, inner in enumerate(value, start=1):
            yield from _leaves(inner, f"{path}[{number}]")
    elif value is not None and value != "":
        yield path, _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
