"""What a text is made of: paragraphs, list items, sections; and how those too large are cut."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ragweave.orchestrator.texts.tokens import estimate_tokens
from ragweave.retrievers.loaders import tables
from ragweave.retrievers.sourcetext import Heading, SourceText

_HARD_CHARACTERS = 4_000
_COLUMNS = 200
"""Characters of a table's header that travel with its rows."""

_TOKEN = re.compile(r"[A-Za-z]+|\d+|[^\sA-Za-z\d]")
_HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
_SETEXT = re.compile(r"[ \t]*(=+|-{3,}|~{3,})[ \t]*$")
_FENCE = re.compile(r"[ \t]*(```+|~~~+)")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+\S")
_SENTENCE_END = re.compile(r"""[.!?…]['")\]]*\s+(?=['"(\[]?[A-Z0-9À-ÖØ-Þ])|[。！？]\s*|\n""")


@dataclass(frozen=True, slots=True)
class Unit:
    """What is not cut if it can be avoided: a paragraph, a list item, a heading with what follows it."""

    start: int
    end: int
    path: tuple[str, ...]
    """The headings above it."""
    tokens: int
    columns: str = ""
    """The header of the table in the middle of which it begins."""


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    kind: Literal["text", "item", "heading", "underline", "blank"]
    level: int = 0
    title: str = ""


def units_of(source: SourceText) -> Iterator[Unit]:
    """Paragraphs, list items and fenced blocks, with the headings above; a heading belongs to what follows it."""
    text = source.text
    path: list[tuple[int, str]] = []
    start: int | None = None
    only_headings = False
    headings = source.headings
    lines = _classified(text, source.body) if headings is None else _given(text, source.body, headings)
    for line in lines:
        if start is not None and not only_headings and line.kind in ("blank", "item", "heading"):
            yield _unit(text, start, line.start, path)
            start = None
        if line.kind == "blank":
            continue
        if line.kind == "heading":
            path = [*((level, title) for level, title in path if level < line.level), (line.level, line.title)]
        only_headings = line.kind == "heading" or (only_headings and line.kind == "underline")
        start = line.start if start is None else start
    if start is not None:
        yield _unit(text, start, len(text), path)


def sized(text: str, units: Sequence[Unit], max_tokens: int) -> Iterator[Unit]:
    """The units, with those that are too large cut between sentences, rows of a table between lines, or by force."""
    for unit in units:
        if unit.tokens <= max_tokens:
            yield unit
            continue
        table = tables.header(text[unit.start : unit.end])
        rows, columns = (unit.start + table[0], table[1][:_COLUMNS]) if table else (unit.end, "")
        for begin, end in _pieces(text, unit, max_tokens, rows):
            inside = columns if begin > rows else ""
            yield Unit(begin, end, unit.path, estimate_tokens(text[begin:end]), inside)


def by_sentence(text: str, units: Sequence[Unit], max_tokens: int) -> Iterator[Unit]:
    """Each sentence of the units for itself; one that is too large is cut by force."""
    for unit in units:
        for begin, end in _pieces(text, unit, max_tokens, unit.end):
            yield Unit(begin, end, unit.path, estimate_tokens(text[begin:end]))


def by_tokens(text: str, units: Sequence[Unit], max_tokens: int, overlap: int) -> Iterator[Unit]:
    """Parts of equal token counts, wherever that falls between two words, each beginning `overlap` before the end of
    the one before."""
    if not units:
        return
    starts, counts, total = [], [], 0
    for match in _TOKEN.finditer(text, units[0].start, units[-1].end):
        starts.append(match.start())
        counts.append(total)
        total += 1 + (len(match[0]) - 1) // 8
    place = above = 0
    while place < len(starts):
        after = place + 1
        while after < len(starts) and counts[after] - counts[place] < max_tokens:
            after += 1
        while above + 1 < len(units) and units[above + 1].start <= starts[place]:
            above += 1
        end = starts[after] if after < len(starts) else units[-1].end
        held = (counts[after] if after < len(starts) else total) - counts[place]
        yield Unit(starts[place], end, units[above].path, held)
        if after == len(starts):
            return
        place = max(place + 1, next(back for back in range(after, -1, -1) if counts[after] - counts[back] >= overlap))


def sentences(text: str) -> list[tuple[int, int]]:
    """Where each sentence or line of a text starts and ends; together they cover all of it that is not blank."""
    found = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        found.append((start, match.end()))
        start = match.end()
    found.append((start, len(text)))
    trimmed = (trim(text, *span) for span in found)
    return [span for span in trimmed if span[0] < span[1]]


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """A span without the space around it."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _unit(text: str, start: int, end: int, path: Sequence[tuple[int, str]]) -> Unit:
    return Unit(start, end, tuple(title for _, title in path), estimate_tokens(text[start:end]))


def _given(text: str, begin: int, headings: Sequence[Heading]) -> Iterator[_Line]:
    """The lines of a text whose headings are known: whatever else looks like Markdown in it is text."""
    following = 0
    for start, end in _lines(text, begin):
        while following < len(headings) and headings[following].start < end:
            yield _Line(start, "heading", headings[following].level, headings[following].title)
            following += 1
        yield _Line(start, "text" if text[start:end].strip() else "blank")


def _classified(text: str, begin: int) -> Iterator[_Line]:
    """The lines of a text, each with what it is in Markdown or reStructuredText; fenced blocks are text throughout."""
    lines = list(_lines(text, begin))
    fence = ""
    for place, (start, end) in enumerate(lines):
        line = text[start:end].rstrip("\r\n")
        opening = _FENCE.match(line)
        if fence or opening:
            if not fence and opening:
                fence = opening[1]
            elif line.strip().startswith(fence):
                fence = ""
            yield _Line(start, "text")
            continue
        following = text[slice(*lines[place + 1])].rstrip("\r\n") if place + 1 < len(lines) else ""
        level, title = _heading(line, following)
        if level:
            yield _Line(start, "heading", level, title)
        elif not line.strip():
            yield _Line(start, "blank")
        elif _SETEXT.match(line):
            yield _Line(start, "underline")
        else:
            yield _Line(start, "item" if _ITEM.match(line) else "text")


def _heading(line: str, following: str) -> tuple[int, str]:
    """The level and title if this line is a heading, by hashes or by the line under it; level 0 if it is none."""
    match = _HEADING.match(line)
    if match:
        return len(match[1]), match[2]
    title = line.strip()
    under = _SETEXT.match(following) if title and not _SETEXT.match(line) and not _ITEM.match(line) else None
    if under and len(under[1]) >= min(len(title), 8) and len(title) < 200:
        return {"=": 1, "-": 2, "~": 3}[under[1][0]], title
    return 0, ""


def _pieces(text: str, unit: Unit, max_tokens: int, rows: int) -> Iterator[tuple[int, int]]:
    begin = unit.start
    for start, end in _parts(text, unit, rows):
        if estimate_tokens(text[start:end]) <= max_tokens and end - start <= _HARD_CHARACTERS:
            yield begin, end
        else:
            yield from _forced(text, begin, end, max_tokens)
        begin = end


def _parts(text: str, unit: Unit, rows: int) -> Iterator[tuple[int, int]]:
    """The sentences of a unit up to `rows`, and its lines from there on."""
    for start, end in sentences(text[unit.start : rows]):
        yield unit.start + start, unit.start + end
    for start, end in _lines(text, rows, unit.end):
        start, end = trim(text, start, end)
        if start < end:
            yield start, end


def _forced(text: str, begin: int, end: int, max_tokens: int) -> Iterator[tuple[int, int]]:
    """Cuts between words where there are any, so that no piece is longer than what a model reads."""
    count, start = 0, begin
    for match in _TOKEN.finditer(text, begin, end):
        weight = 1 + (len(match[0]) - 1) // 8
        cut = match.start()
        if start < cut and (count + weight > max_tokens or match.end() - start > _HARD_CHARACTERS):
            yield start, cut
            start, count = cut, 0
        count += weight
        while match.end() - start > _HARD_CHARACTERS:
            yield start, start + _HARD_CHARACTERS
            start += _HARD_CHARACTERS
    if start < end:
        yield start, end


def _lines(text: str, begin: int, stop: int | None = None) -> Iterator[tuple[int, int]]:
    stop = len(text) if stop is None else stop
    while begin < stop:
        end = text.find("\n", begin, stop) + 1 or stop
        yield begin, end
        begin = end
