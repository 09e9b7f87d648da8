"""Source texts as passages: short documents whole, others cut between sections, paragraphs, items or sentences."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ragweave.orchestrator.values import Document
from ragweave.retrievers.sourcetext import SourceText
from ragweave.retrievers.units import Unit, by_sentence, by_tokens, sized, trim, units_of

VERSION = 2
"""Part of an index's identity: passages cut by another version are cut anew."""
PASSAGE_TOKENS = 512
"""What a passage holds at most; a document up to this size stays whole."""
WINDOW_TOKENS = 240
"""What one vector stands for: a passage is found by its best window."""
SENTENCES = "/sentences"
"""The end of the identity of an index where each sentence has a vector as well."""
_SENTENCE_TOKENS = 8
"""A sentence that is shorter shares its vector with the next one."""

Way = Literal["auto", "heading", "sentence", "tokens", "whole"]

_NO_WORDS = re.compile(r"^[\d\W]*$|^\d{4}-\d\d|://")


@dataclass(frozen=True, slots=True)
class Chunks:
    """How documents are cut into passages.

    `auto` keeps a document of up to `tokens` whole and cuts others into about equal parts between sections and
    paragraphs; `heading` makes a passage of each section; `sentence` joins sentences up to `tokens`; `tokens` cuts
    after so many, wherever that is; `whole` does not cut. `overlap` is how many tokens a passage repeats of the one
    before it.
    """

    by: Way = "auto"
    tokens: int = PASSAGE_TOKENS
    overlap: int = 0
    sentences: bool = False
    """Whether each sentence of a passage has a vector as well."""

    @property
    def identity(self) -> str:
        """Equal for two if they cut alike."""
        return f"{VERSION}/{self.by}/{self.tokens}/{self.overlap}{SENTENCES if self.sentences else ''}"


class _Span(NamedTuple):
    start: int
    end: int
    path: tuple[str, ...] = ()
    """The headings above it."""
    columns: str = ""
    """The header of the table in the middle of which it begins."""


def passages(source: SourceText, chunks: Chunks | None = None) -> list[Document]:
    """The passages of a text, in order: `source.text[start:end]` of a passage's offsets is exactly its text.

    Their titles are that of the document, the headings above and, inside a table, its columns.
    """
    found: list[Document] = []
    line, counted = 1, 0
    for start, end, path, columns in _cut(source, chunks or Chunks()):
        line += source.text.count("\n", counted, start) if source.is_original else 0
        counted = start
        text = source.text[start:end]
        found.append(
            Document(
                id=_identify(source.source, start, end, text),
                text=text,
                title=" > ".join(_without_repeats((source.title, *path, columns))),
                source=source.source,
                offsets=(start, end),
                line=line if source.is_original else None,
                metadata={**source.metadata, **source.places_of(start, end)},
            )
        )
    return found


def cut(document: Document, chunks: Chunks | None = None) -> list[Document]:
    """The passages of a document that a program brings; the document itself where it is small enough.

    Their ids begin with its id. Offsets, and lines where it has one, count in what it was taken from.
    """
    text = SourceText(document.source, document.text, title=document.title, metadata=document.metadata)
    found = passages(text, chunks)
    if len(found) == 1 and found[0].title == document.title:
        return [document]
    start = document.offsets[0] if document.offsets is not None else 0
    first = document.line
    return [
        one.model_copy(
            update={
                "id": f"{document.id}#{number}",
                "offsets": (one.offsets[0] + start, one.offsets[1] + start) if one.offsets is not None else None,
                "line": one.line + first - 1 if one.line is not None and first is not None else None,
            }
        )
        for number, one in enumerate(found, start=1)
    ]


def windows(passage: Document, max_tokens: int = WINDOW_TOKENS) -> list[str]:
    """The texts whose vectors stand for a passage: its title, each with a part of the passage of about equal size."""
    units = list(units_of(SourceText(source="", text=passage.text)))
    spans = _trimmed(passage.text, _balanced(passage.text, units, max_tokens, across=True))
    prefix = f"{passage.title}\n" if passage.title else ""
    found = [
        f"{prefix}{columns}\n{passage.text[start:end]}" if columns else prefix + passage.text[start:end]
        for start, end, _, columns in spans
    ]
    return found or [prefix + passage.text]


def sentences(passage: Document, max_tokens: int = WINDOW_TOKENS) -> list[str]:
    """The sentences of a passage, each with its title; none if it is a single one."""
    units = list(units_of(SourceText(source="", text=passage.text)))
    found: list[tuple[int, int, int]] = []
    for unit in by_sentence(passage.text, units, max_tokens):
        if found and found[-1][2] < _SENTENCE_TOKENS:
            begin, _, tokens = found.pop()
            found.append((begin, unit.end, tokens + unit.tokens))
        else:
            found.append((unit.start, unit.end, unit.tokens))
    prefix = f"{passage.title}\n" if passage.title else ""
    texts = [passage.text[begin:end].strip() for begin, end, _ in found]
    return [prefix + text for text in texts if text] if len(texts) > 1 else []


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


def _cut(source: SourceText, chunks: Chunks) -> list[_Span]:
    """Where the passages of a text start and end, and what stands above each."""
    text, size, overlap = source.text, chunks.tokens, min(chunks.overlap, chunks.tokens // 2)
    spans: list[_Span] = []
    is_part = any(place.is_document for place in source.places)
    for units in _documents(source):
        if chunks.by == "auto":
            spans += _balanced(text, units, size, overlap, is_part=is_part)
        elif chunks.by == "whole":
            spans.append(_Span(units[0].start, units[-1].end, units[0].path if is_part else ()))
        elif chunks.by == "heading":
            spans += _pack(list(sized(text, units, size)), size, overlap, sections=True)
        elif chunks.by == "sentence":
            spans += _pack(list(by_sentence(text, units, size)), size, overlap, across=True)
        else:
            spans += [_Span(unit.start, unit.end, unit.path) for unit in by_tokens(text, units, size, overlap)]
    return _trimmed(text, spans)


def _documents(source: SourceText) -> list[list[Unit]]:
    """The units of each document in a text, which is one for most."""
    begins = [place.start for place in source.places if place.is_document]
    found: dict[int, list[Unit]] = {}
    for unit in units_of(source):
        found.setdefault(bisect_right(begins, unit.start), []).append(unit)
    return list(found.values())


def _balanced(
    text: str, units: Sequence[Unit], max_tokens: int, overlap: int = 0, *, across: bool = False, is_part: bool = False
) -> list[_Span]:
    """All of a document if it is small enough, else parts of about equal size."""
    total = sum(unit.tokens for unit in units)
    if total <= max_tokens:
        return [_Span(units[0].start, units[-1].end, units[0].path if is_part else ())] if units else []
    parts = -(-total // max_tokens)
    size = max(16, total // parts + 1 if across else min(max_tokens, total * 5 // (parts * 4)))
    return _pack(list(sized(text, units, size)), size, overlap, across)


def _trimmed(text: str, spans: Sequence[_Span]) -> list[_Span]:
    trimmed = (_Span(*trim(text, span.start, span.end), span.path, span.columns) for span in spans)
    return [span for span in trimmed if span.start < span.end]


def _pack(
    units: Sequence[Unit], size: int, overlap: int = 0, across: bool = False, sections: bool = False
) -> list[_Span]:
    """Neighbouring units joined up to `size`: where more than half full, a heading begins a new group unless `across`.

    With `sections` every heading does. A last group of less than a quarter joins the one before it, unless it is a
    section.
    """
    groups: list[list[Unit]] = []
    held = 0
    for unit in units:
        is_other = bool(groups) and unit.path != groups[-1][-1].path
        section_ends = is_other and (sections or held > size // 2) and not across
        if not groups or held + unit.tokens > size or section_ends:
            repeated = _repeated(groups[-1], min(overlap, size - unit.tokens)) if groups and not section_ends else []
            groups.append(repeated)
            held = sum(one.tokens for one in repeated)
        groups[-1].append(unit)
        held += unit.tokens
    ends_section = len(groups) > 1 and sections and groups[-1][0].path != groups[-2][-1].path
    if len(groups) > 1 and held < size // 4 and not ends_section:
        last = groups.pop()
        groups[-1] += last
    return [_Span(group[0].start, group[-1].end, _common(group), group[0].columns) for group in groups]


def _repeated(group: Sequence[Unit], overlap: int) -> list[Unit]:
    """The last units of a group that hold no more than `overlap` tokens together; never all of it."""
    found: list[Unit] = []
    for unit in reversed(group[1:]):
        if sum(one.tokens for one in found) + unit.tokens > overlap:
            break
        found.insert(0, unit)
    return found


def _common(group: Sequence[Unit]) -> tuple[str, ...]:
    """The headings that all units of a group stand under; at least those of the first."""
    path: list[str] = []
    for level in zip(*(unit.path for unit in group), strict=False):
        if len(set(level)) > 1:
            break
        path.append(level[0])
    return tuple(path) or group[0].path


def _without_repeats(titles: Sequence[str]) -> list[str]:
    kept: list[str] = []
    for title in titles:
        if title and (not kept or title.casefold() != kept[-1].casefold()):
            kept.append(title)
    return kept


def _identify(*parts: Any) -> str:
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()[:20]
