"""Rows of a data file, read one by one: JSON Lines, JSON, CSV, Parquet, or a Hugging Face dataset saved on disk.

What cannot be read as a row comes as a row with an `error` that says where it stands: one bad line does not cost the
rest of the file.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ragweave.orchestrator.errors import MissingExtra, RagweaveError

_LONGEST_LINE = 64 * 1024 * 1024
_LARGEST_JSON = 256 * 1024 * 1024
_BATCH = 1024


class DatasetError(RagweaveError):
    """A data file cannot be read at all."""


class Row(NamedTuple):
    """One row. `number` counts from 1, rows that cannot be read included; `error` says why there are no `values`."""

    number: int
    place: str
    """`file:line` where the format has lines, else `file, row n`."""
    values: Mapping[str, Any]
    error: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, or of a folder that `Dataset.save_to_disk` wrote. Memory does not grow with the file.

    The values of a CSV file are strings. Raises DatasetError if it is no data file or cannot be read at all,
    MissingExtra for Parquet and datasets on disk without pyarrow.
    """
    return _reader(path)(path)


def count_rows(path: Path) -> int | None:
    """How many rows there are about, for a progress bar; None if that is not known without reading them."""
    reader = _reader(path)
    if reader in (_json_lines, _comma_separated):
        with path.open("rb") as file:
            lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        return max(lines - (reader is _comma_separated), 0)
    if reader is _parquet:
        with _parquet_faults(path):
            return int(_arrow("pyarrow.parquet").ParquetFile(path).metadata.num_rows)
    return None


def _reader(path: Path) -> Callable[[Path], Iterator[Row]]:
    if path.is_dir():
        if (path / "state.json").is_file():
            return _saved
        hint = "a dataset on disk has a state.json"
        if (path / "dataset_dict.json").is_file():
            splits = sorted(entry.name for entry in path.iterdir() if entry.is_dir())
            hint = f"it is a dataset with splits; name one: {', '.join(str(path / name) for name in splits)}"
        raise DatasetError(f"{str(path)!r} is a folder without a dataset", hint=hint)
    if not path.exists():
        raise DatasetError(f"{str(path)!r} does not exist")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(
            f"{str(path)!r}: rows cannot be read from {path.suffix or 'a file without a suffix'}",
            hint=f"data files end in {', '.join(_READERS)}, or are a folder with a Hugging Face dataset",
        )
    return reader


def _json_lines(path: Path) -> Iterator[Row]:
    number = 0
    with path.open("rb") as file:
        for at, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 1):
            if not line.strip():
                continue
            number += 1
            place = f"{path}:{at}"
            try:
                value = json.loads(line.rstrip(b"\r\n").decode("utf-8-sig" if at == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                yield Row(number, place, {}, f"not UTF-8: byte {error.start + 1} of the line")
            except ValueError as error:
                column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
                yield Row(number, place, {}, f"not JSON: {getattr(error, 'msg', error)}{column}")
            except RecursionError:
                yield Row(number, place, {}, "not JSON that can be read: nested too deeply")
            else:
                yield _row(number, place, value)


def _json(path: Path) -> Iterator[Row]:
    size = path.stat().st_size
    if size > _LARGEST_JSON:
        raise DatasetError(f"{str(path)!r} has {size:,} bytes of JSON", hint="write one row a line, as .jsonl")
    try:
        data = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{str(path)!r} is not JSON: {error}") from None
    if not isinstance(data, list):
        raise DatasetError(f"{str(path)!r} holds {_kind(data)}, not a list of rows")
    for number, value in enumerate(data, 1):
        yield _row(number, f"{path}, row {number}", value)


def _comma_separated(path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            dialect = csv.excel_tab if path.suffix.lower() == ".tsv" else csv.excel
            reader = csv.DictReader(file, dialect=dialect, strict=True)
            try:
                names = reader.fieldnames or []
            except csv.Error as error:
                raise DatasetError(f"{path}:1: not CSV: {error}") from None
            if len(set(names)) < len(names) or "" in names:
                raise DatasetError(f"{path}:1: the columns need names, each once: {', '.join(map(repr, names))}")
            number = 0
            while True:
                number += 1
                try:
                    values = next(reader, None)
                except csv.Error as error:
                    yield Row(number, f"{path}:{reader.reader.line_num}", {}, f"not CSV: {error}")
                    continue
                if values is None:
                    return
                yield _columns(number, f"{path}:{reader.line_num}", values, len(names))
    except UnicodeDecodeError as error:
        raise DatasetError(f"{str(path)!r} is not UTF-8: {error.reason}", hint="save it as UTF-8") from None


def _columns(number: int, place: str, values: dict[str | None, Any], columns: int) -> Row:
    if None in values:
        return Row(number, place, {}, f"{columns + len(values[None])} values for {columns} columns")
    missing = [str(name) for name, value in values.items() if value is None]
    if missing:
        return Row(number, place, {}, f"no value for {', '.join(map(repr, missing))}")
    return Row(number, place, {str(name): value for name, value in values.items()})


def _parquet(path: Path) -> Iterator[Row]:
    with _parquet_faults(path):
        batches = _arrow("pyarrow.parquet").ParquetFile(path).iter_batches(_BATCH)
        yield from _batched(path, batches)


@contextlib.contextmanager
def _parquet_faults(path: Path) -> Iterator[None]:
    arrow = _arrow("pyarrow")
    try:
        yield
    except (arrow.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise DatasetError(f"{str(path)!r} is not Parquet: {error}") from None


def _saved(path: Path) -> Iterator[Row]:
    """A folder of Arrow streams, which `state.json` lists."""
    arrow, streams = _arrow("pyarrow"), _arrow("pyarrow.ipc")
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        if state.get("_indices_files"):
            raise DatasetError(f"{str(path)!r} was saved with an index", hint="call flatten_indices() before saving it")
        files = [path / entry["filename"] for entry in state["_data_files"]]

        def batches() -> Iterator[Any]:
            for file in files:
                with arrow.memory_map(str(file)) as source:
                    yield from streams.open_stream(source)

        yield from _batched(path, batches())
    except (ValueError, KeyError, TypeError, AttributeError, arrow.ArrowInvalid, FileNotFoundError) as error:
        raise DatasetError(f"{str(path)!r} is no dataset that can be read: {error}") from None


def _batched(path: Path, batches: Iterator[Any]) -> Iterator[Row]:
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _BATCH):
            for values in batch.slice(start, _BATCH).to_pylist():
                number += 1
                yield Row(number, f"{path}, row {number}", values)


def _arrow(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtra("reading Parquet and datasets on disk", "pyarrow", "data") from None


def _row(number: int, place: str, value: Any) -> Row:
    if isinstance(value, dict):
        return Row(number, place, value)
    return Row(number, place, {}, f"{_kind(value)}, not an object with the columns as keys")


def _kind(value: Any) -> str:
    words = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return words.get(type(value), "a number")


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _comma_separated,
    ".tsv": _comma_separated,
    ".parquet": _parquet,
}
