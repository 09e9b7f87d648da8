"""Jupyter notebooks: text as it is, code and what it printed as blocks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ragweave.retrievers.loaders import loader
from ragweave.retrievers.loaders.decoding import decode
from ragweave.retrievers.loaders.texts import name_of
from ragweave.retrievers.sourcetext import Place, SourceText, Unreadable

_OUTPUT = 4_000
"""Characters of one output that are kept."""
_HEADING = re.compile(r"^#[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@loader("ipynb", version="1")
def load_notebook(source: str, data: bytes) -> SourceText:
    """A notebook as Markdown."""
    text, notes = decode(data)
    try:
        book = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"no notebook: {error}") from None
    if not isinstance(book, dict):
        raise Unreadable("no notebook: it has no cells")
    cells = book.get("cells") or [cell for sheet in book.get("worksheets", []) for cell in sheet.get("cells", [])]
    language = str(book.get("metadata", {}).get("kernelspec", {}).get("language", "python"))
    parts: list[str] = []
    places: list[Place] = []
    title = str(book.get("metadata", {}).get("title", ""))
    length = 0
    for number, cell in enumerate(cells, start=1):
        body = "\n\n".join(_blocks(cell, language))
        if not body.strip():
            continue
        if not title and cell.get("cell_type") == "markdown" and (found := _HEADING.search(body)):
            title = found[1]
        places.append(Place(length, {"cell": number}))
        parts.append(body + "\n\n")
        length += len(parts[-1])
    return SourceText(
        source, "".join(parts), 0, title or name_of(source), {}, notes, None, tuple(places), is_original=False
    )


def _blocks(cell: dict[str, Any], language: str) -> Iterator[str]:
    body = _lines(cell.get("source", cell.get("input", ""))).strip("\n")
    if cell.get("cell_type") != "code":
        yield body
        return
    if body.strip():
        yield _fenced(body, language)
    for output in cell.get("outputs", []):
        kinds = output.get("data", output)
        said = _COLOUR.sub("", _lines(kinds.get("text/plain", output.get("text", ""))))
        if output.get("output_type") == "error":
            said = f"{output.get('ename', '')}: {output.get('evalue', '')}"
        if said.strip():
            yield _fenced(said.strip("\n")[:_OUTPUT], "")


def _fenced(text: str, language: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`{3,}", text)), default=2))
    return f"{fence}{language}\n{text}\n{fence}"


def _lines(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value)
