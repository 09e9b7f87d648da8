"""Spreadsheets, through openpyxl, which reads rows one after the other: a far cell cannot fill the memory."""

from __future__ import annotations

import datetime
import io
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ragweave.retrievers.loaders import archives, cannot_import, loader, tables
from ragweave.retrievers.loaders.texts import name_of
from ragweave.retrievers.sourcetext import Heading, Place, SourceText

_LARGEST = 256 * 1024 * 1024
MAX_ROWS = 200_000
MAX_COLUMNS = 500
_EMPTY_ROWS = 1_000
"""Rows without a cell after which a sheet is taken to have ended."""


@loader("xlsx", "xlsm", version="1")
def load_xlsx(source: str, data: bytes) -> SourceText:
    """A workbook: each sheet as a table under its name, formulas by their last value."""
    archive = archives.open_archive(data, "XLSX", _LARGEST)
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise cannot_import("reading XLSX", error) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        parts: list[str] = []
        headings: list[Heading] = []
        places: list[Place] = []
        notes: list[str] = []
        length = 0
        for sheet in book.worksheets:
            rows = list(islice(_rows(sheet.iter_rows(max_col=MAX_COLUMNS, values_only=True)), MAX_ROWS + 1))
            if len(rows) > MAX_ROWS:
                notes.append(f"only the first {MAX_ROWS:,} rows of its sheet {sheet.title!r} were read")
            table = tables.rendered(rows[:MAX_ROWS])
            if table and sheet.sheet_state == "visible":
                headings.append(Heading(length, 1, sheet.title))
                places.append(Place(length, {"sheet": sheet.title}, is_document=True))
                parts.append(f"## {sheet.title}\n\n{table}\n\n")
                length += len(parts[-1])
        book.close()
    metadata = archives.core_properties(archive)
    title = metadata.pop("title", "") or name_of(source)
    return SourceText(
        source, "".join(parts), 0, title, metadata, tuple(notes), tuple(headings), tuple(places), is_original=False
    )


def _rows(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[Any]]:
    """The rows that hold something, their dates as ISO 8601."""
    empty = 0
    for row in rows:
        if all(value is None for value in row):
            empty += 1
            if empty > _EMPTY_ROWS:
                return
            continue
        empty = 0
        yield [_value(value) for value in row]


def _value(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value
