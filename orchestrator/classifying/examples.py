"""The examples of a classifier: from the graph file, or from a file of its own (JSON lines, CSV or YAML)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ragweave.orchestrator import sources
from ragweave.orchestrator.errors import ResourceError, closest, did_you_mean
from ragweave.orchestrator.language.yamltext import read
from ragweave.orchestrator.node import Remark

TEXTS = ("text", "question", "query", "utterance", "example")
LABELS = ("label", "intent", "category", "class")
ENDINGS = (".jsonl", ".csv", ".yaml", ".yml")


class Example(NamedTuple):
    """A text, its label, where it stands in words (`labels.refund[0]` or `intents.csv:12`), and in the settings."""

    text: str
    label: str
    place: str
    way: tuple[str | int, ...] = ()


class Examples(NamedTuple):
    """What a classifier is taught: labels in the order in which they first stand, and texts."""

    labels: tuple[str, ...]
    examples: tuple[Example, ...]
    remarks: tuple[Remark, ...] = ()
    """Of each text under several labels, both places."""

    @property
    def texts(self) -> list[str]:
        """The texts of the examples."""
        return [example.text for example in self.examples]


def of_map(labels: Mapping[str, Any], place: str = "labels") -> Examples:
    """Examples by label; a text alone is one example. Raises ResourceError."""

    def rows() -> Iterator[Example]:
        for label, texts in labels.items():
            at = f"{place}.{label}"
            listed = [texts] if isinstance(texts, str) else texts
            if not isinstance(listed, Sequence) or not all(isinstance(text, str) for text in listed):
                raise ResourceError(f"{at}: expected a list of texts, found {type(texts).__name__}")
            if not listed:
                raise ResourceError(
                    f"{at} has no examples",
                    hint="write some, or for all labels none: labels: [refund, hours] decides by the labels' own words",
                )
            for number, text in enumerate(listed):
                one = (at, (place, label)) if isinstance(texts, str) else (f"{at}[{number}]", (place, label, number))
                yield Example(text, str(label), *one)

    return _checked(rows(), place)


def of_names(labels: Sequence[str], place: str = "labels") -> Examples:
    """Labels without examples: each is its own, its words without underscores. Raises ResourceError."""
    seen: dict[str, int] = {}
    for number, label in enumerate(labels):
        if label in seen:
            raise ResourceError(f"{place}: {label!r} stands twice, at [{seen[label]}] and [{number}]")
        seen[label] = number
    rows = (Example(label.replace("_", " "), label, f"{place}[{number}]") for number, label in enumerate(labels))
    return _checked(rows, place)


class Columns(NamedTuple):
    """The columns that a user has named; None for the first of the usual names that is there."""

    text: str | None = None
    label: str | None = None


USUAL = Columns()


def of_file(file: Path, shown: str, columns: Columns = USUAL) -> Examples:
    """The examples of a file; `shown` is what errors call it. Raises ResourceError with the line.

    JSON lines and CSV have a column `text` (or `question`, `query`, `utterance`, `example`) and a column `label` (or
    `intent`, `category`, `class`), or those that `columns` names; YAML is a map of labels to texts, or a list of such
    rows.
    """
    if file.suffix not in ENDINGS:
        raise ResourceError(f"labels_file {shown!r}: expected one of {', '.join(ENDINGS)}")
    try:
        text = sources.read_bytes(file).decode("utf-8-sig")
    except FileNotFoundError:
        beside = [one.name for one in file.parent.iterdir()] if file.parent.is_dir() else []
        near = did_you_mean(file.name, [name for name in beside if name.endswith(ENDINGS)])
        raise ResourceError(f"labels_file {shown!r} does not exist{near}") from None
    except OSError as error:
        raise ResourceError(f"labels_file {shown!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ResourceError(f"labels_file {shown!r} is not UTF-8 (byte {error.start:,})") from None
    if file.suffix == ".jsonl":
        return _checked(_of_json_lines(text, shown, columns), shown)
    if file.suffix == ".csv":
        return _checked(_of_csv(text, shown, columns), shown)
    reading = read(text, shown)
    if not reading.readable or reading.problems:
        problem = reading.problems[0]
        raise ResourceError(f"{problem.place}: {problem.message}")
    if isinstance(reading.data, Mapping):
        for what, name in columns._asdict().items():
            if name is not None:
                raise ResourceError(f"{shown} is a map of labels to texts and has no columns; delete {what}_column")
        return of_map(reading.data, shown)
    if not isinstance(reading.data, list):
        raise ResourceError(f"{shown}: expected a map of labels to texts, or a list of rows with text and label")
    rows = ((reading.marks[(number,)].line, row) for number, row in enumerate(reading.data))
    return _checked(_of_rows(rows, shown, columns), shown)


def _of_json_lines(text: str, shown: str, columns: Columns) -> Iterator[Example]:
    def rows() -> Iterator[tuple[int, Any]]:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise ResourceError(f"{shown}:{number}: this line is not JSON: {error}") from None

    return _of_rows(rows(), shown, columns)


def _of_csv(text: str, shown: str, columns: Columns) -> Iterator[Example]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)

    def rows() -> Iterator[tuple[int, Any]]:
        try:
            for row in reader:
                if None in row:
                    raise ResourceError(
                        f"{shown}:{reader.line_num}: more fields than the header has",
                        hint='put a text with commas in "quotes"',
                    )
                yield reader.line_num, row
        except csv.Error as error:
            raise ResourceError(f"{shown}:{reader.line_num}: {error}") from None

    return _of_rows(rows(), shown, columns)


def _of_rows(rows: Iterable[tuple[int, Any]], shown: str, columns: Columns) -> Iterator[Example]:
    for number, row in rows:
        at = f"{shown}:{number}"
        if not isinstance(row, Mapping):
            raise ResourceError(f"{at}: expected a row with text and label, found {type(row).__name__}")
        found = []
        for what, given, usual in (("text", columns.text, TEXTS), ("label", columns.label, LABELS)):
            name = _column(row, what, given, usual, at)
            if not isinstance(row[name], str):
                raise ResourceError(f"{at}: {name!r} is {row[name]!r}, not a text")
            found.append(row[name])
        yield Example(found[0], found[1], at)


def _column(row: Mapping[Any, Any], what: str, given: str | None, usual: Sequence[str], at: str) -> str:
    """The column of a row that holds its text or its label."""
    names = [str(name) for name in row]
    if given is not None and given not in row:
        near = did_you_mean(given, names)
        raise ResourceError(f"{at}: the row has no {given!r}, which {what}_column names{near}")
    if given is not None:
        return given
    found = next((name for name in usual if name in row), None)
    if found is None:
        raise ResourceError(
            f"{at}: the row has no {what!r} (nor {', '.join(usual[1:])}); it has: {', '.join(names) or 'nothing'}",
            hint=f"say which it is, as in {what}_column: {_likeliest(names, usual)}" if names else "",
        )
    return found


def _likeliest(names: Sequence[str], usual: Sequence[str]) -> str:
    """The name that is nearest to a usual one; else the first."""
    return next((near for near in (closest(name, names) for name in usual) if near is not None), names[0])


def _checked(rows: Iterable[Example], place: str) -> Examples:
    """Refuse what cannot be meant; of one text under several labels tell both places."""
    first: dict[str, Example] = {}
    kept: list[Example] = []
    remarks: list[Remark] = []
    for row in rows:
        row = row._replace(text=row.text.strip(), label=row.label.strip())
        if not row.label:
            raise ResourceError(f"{row.place}: the label is empty")
        if not row.text:
            raise ResourceError(f"{row.place}: the example of {row.label!r} is empty")
        known = first.setdefault(" ".join(row.text.casefold().split()), row)
        if known is row:
            kept.append(row)
        elif known.label != row.label:
            kept.append(row)
            said = f"{row.place}: {row.text!r} is an example of {row.label!r}, and at {known.place} of {known.label!r}"
            remarks.append(Remark(f"{said}; delete one of them", row.way))
    labels = tuple(dict.fromkeys(row.label for row in kept))
    if len(labels) < 2:
        has = f"only {labels[0]!r}" if labels else "none"
        raise ResourceError(f"{place}: a classifier needs 2 labels at least, and there is {has}")
    return Examples(labels, tuple(kept), tuple(remarks))
