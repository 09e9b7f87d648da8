"""Source texts as passages: short documents whole, others cut between sections, paragraphs, items or sentences."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ragweave.orchestrator.texts.tokens import estimate_tokens
from ragweave.orchestrator.values import Document
from ragweave.retrievers.sourcetext import SourceText

VERSION = 1
"""Part of an index's identity: passages cut by another version are cut anew."""
PASSAGE_TOKENS = 512
"""What a passage holds at most; a document up to this size stays whole."""
WINDOW_TOKENS = 240
"""What one vector stands for: a passage is found by its best window."""
_HARD_CHARACTERS = 4_000

_NO_WORDS = re.compile(r"^[\d\W]*$|^\d{4}-\d\d|://")
_TOKEN = re.compile(r"[A-Za-z]+|\d+|[^\sA-Za-z\d]")
_HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
_SETEXT = re.compile(r"[ \t]*(=+|-{3,}|~{3,})[ \t]*$")
_FENCE = re.compile(r"[ \t]*(```+|~~~+)")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+\S")
_SENTENCE_END = re.compile(r"""[.!?…]['")\]]*\s+(?=['"(\[]?[A-Z0-9À-ÖØ-Þ])|[。！？]\s*|\n""")


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut if it can be avoided: a paragraph, a list item, a heading with what follows it."""

    start: int
    end: int
    path: tuple[str, ...]
    """The headings above it."""
    tokens: int


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    kind: Literal["text", "item", "heading", "underline", "blank"]
    level: int = 0
    title: str = ""


def passages(source: SourceText, max_tokens: int = PASSAGE_TOKENS) -> list[Document]:
    """The passages of a text, in order: `source.text[start:end]` of a passage's offsets is exactly its text."""
    found: list[Document] = []
    line, counted = 1, 0
    for start, end, path in _cut(source, max_tokens):
        line += source.text.count("\n", counted, start)
        counted = start
        text = source.text[start:end]
        found.append(
            Document(
                id=_identify(source.source, start, end, text),
                text=text,
                title=" > ".join(_without_repeats((source.title, *path))),
                source=source.source,
                offsets=(start, end),
                line=line,
                metadata=dict(source.metadata),
            )
        )
    return found


def windows(passage: Document, max_tokens: int = WINDOW_TOKENS) -> list[str]:
    """The texts whose vectors stand for a passage: its title, each with a part of the passage of about equal size."""
    plain = SourceText(source="", text=passage.text)
    spans = _cut(plain, max_tokens, across=True)
    prefix = f"{passage.title}\n" if passage.title else ""
    return [prefix + passage.text[start:end] for start, end, _ in spans] or [prefix + passage.text]


def _cut(source: SourceText, max_tokens: int, across: bool = False) -> list[tuple[int, int, tuple[str, ...]]]:
    """Where the parts of a text start and end, and the headings above each; all of it if that is small enough."""
    units = list(_units(source))
    total = sum(unit.tokens for unit in units)
    if total <= max_tokens:
        spans: list[tuple[int, int, tuple[str, ...]]] = [(source.body, len(source.text), ())]
    else:
        parts = -(-total // max_tokens)
        size = max(16, total // parts + 1 if across else min(max_tokens, total * 5 // (parts * 4)))
        spans = _pack(list(_sized(source.text, units, size)), size, across)
    trimmed = ((*_trim(source.text, start, end), path) for start, end, path in spans)
    return [(start, end, path) for start, end, path in trimmed if start < end]


def labels(passage: Document) -> str:
    """What the front matter says of a document in words (tags, author, category); no titles, dates or addresses."""
    found: list[str] = []
    for key, value in passage.metadata.items():
        values = value if isinstance(value, list) else [value]
        if key != "title":
            found += [
                text for text in values if isinstance(text, str) and len(text) <= 200 and not _NO_WORDS.search(text)
            ]
    return ", ".join(found)


def sentences(text: str) -> list[tuple[int, int]]:
    """Where each sentence or line of a text starts and ends; together they cover all of it that is not blank."""
    found = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        found.append((start, match.end()))
        start = match.end()
    found.append((start, len(text)))
    trimmed = (_trim(text, *span) for span in found)
    return [span for span in trimmed if span[0] < span[1]]


def _units(source: SourceText) -> Iterator[_Unit]:
    """Paragraphs, list items and fenced blocks, with the headings above; a heading belongs to what follows it."""
    text = source.text
    path: list[tuple[int, str]] = []
    start: int | None = None
    only_headings = False
    for line in _classified(text, source.body):
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


def _unit(text: str, start: int, end: int, path: Sequence[tuple[int, str]]) -> _Unit:
    return _Unit(start, end, tuple(title for _, title in path), estimate_tokens(text[start:end]))


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


def _sized(text: str, units: Sequence[_Unit], max_tokens: int) -> Iterator[_Unit]:
    """The units, with those that are too large cut between sentences, or by force where there is no sentence's end."""
    for unit in units:
        if unit.tokens <= max_tokens:
            yield unit
            continue
        for begin, end in _pieces(text, unit, max_tokens):
            yield _Unit(begin, end, unit.path, estimate_tokens(text[begin:end]))


def _pieces(text: str, unit: _Unit, max_tokens: int) -> Iterator[tuple[int, int]]:
    begin = unit.start
    for start, end in sentences(text[unit.start : unit.end]):
        start, end = unit.start + start, unit.start + end
        if estimate_tokens(text[start:end]) <= max_tokens and end - start <= _HARD_CHARACTERS:
            yield begin, end
        else:
            yield from _forced(text, begin, end, max_tokens)
        begin = end


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


def _pack(units: Sequence[_Unit], size: int, across: bool = False) -> list[tuple[int, int, tuple[str, ...]]]:
    """Neighbouring units joined up to `size`: where more than half full, a heading begins a new group unless `across`.

    A last group of less than a quarter joins the one before it.
    """
    groups: list[list[_Unit]] = []
    held = 0
    for unit in units:
        section_ends = bool(groups) and unit.path != groups[-1][-1].path and held > size // 2 and not across
        if not groups or held + unit.tokens > size or section_ends:
            groups.append([])
            held = 0
        groups[-1].append(unit)
        held += unit.tokens
    if len(groups) > 1 and held < size // 4:
        last = groups.pop()
        groups[-1] += last
    return [(group[0].start, group[-1].end, _common(group)) for group in groups]


def _common(group: Sequence[_Unit]) -> tuple[str, ...]:
    """The headings that all units of a group stand under; at least those of the first."""
    path: list[str] = []
    for level in zip(*(unit.path for unit in group), strict=False):
        if len(set(level)) > 1:
            break
        path.append(level[0])
    return tuple(path) or group[0].path


def _lines(text: str, begin: int) -> Iterator[tuple[int, int]]:
    while begin < len(text):
        end = text.find("\n", begin) + 1 or len(text)
        yield begin, end
        begin = end


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _without_repeats(titles: Sequence[str]) -> list[str]:
    kept: list[str] = []
    for title in titles:
        if title and (not kept or title.casefold() != kept[-1].casefold()):
            kept.append(title)
    return kept


def _identify(*parts: Any) -> str:
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()[:20]
