"""CSV and TSV as a table."""

from __future__ import annotations

import csv
import io

from ragweave.retrievers.loaders import loader, tables
from ragweave.retrievers.loaders.decoding import decode
from ragweave.retrievers.loaders.texts import name_of
from ragweave.retrievers.sourcetext import Place, SourceText

_SNIFFED = 64 * 1024
_DELIMITERS = ",;\t|"


@loader("csv", "tsv", version="1")
def load_csv(source: str, data: bytes) -> SourceText:
    """A file of rows; its first row names the columns. What separates them is told from the start of the file."""
    text, notes = decode(data)
    lines: list[str] = []
    places: list[Place] = []
    length = width = 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(source, text[:_SNIFFED]))
    line = 1
    for row in reader:
        cells = [tables.cell(value) for value in row]
        if any(cells):
            width = width or len(cells)
            cells += [""] * (width - len(cells))
            lines.append(tables.line(cells) + "\n")
            if len(lines) == 1:
                lines[0] += tables.rule(len(cells)) + "\n"
            places.append(Place(length, {"line": line}))
            length += len(lines[-1])
        line = reader.line_num + 1
    return SourceText(source, "".join(lines), 0, name_of(source), {}, notes, (), tuple(places), is_original=False)


def _delimiter(source: str, start: str) -> str:
    """The character that stands equally often, and most often, in the first lines outside of quotes."""
    if source.lower().endswith(".tsv"):
        return "\t"
    best = (0, 0, ",")
    for rank, delimiter in enumerate(_DELIMITERS):
        try:
            rows = [row for _, row in zip(range(20), csv.reader(io.StringIO(start), delimiter=delimiter), strict=False)]
        except csv.Error:
            continue
        widths = [len(row) for row in rows[:-1] or rows if row]
        if widths and min(widths) > 1:
            best = max(best, (widths.count(widths[0]) * min(max(widths), 50), -rank, delimiter))
    return best[2]
