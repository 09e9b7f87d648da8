"""Markdown, reStructuredText and plain text: the text of the file itself, so that offsets and lines are the file's."""

from __future__ import annotations

import re
from pathlib import Path

from ragweave.retrievers.loaders.decoding import decode
from ragweave.retrievers.loaders.frontmatter import front_matter
from ragweave.retrievers.sourcetext import SourceText, Unreadable

_FIRST_HEADING = re.compile(r"^#[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_UNDERLINED = re.compile(r"\A\s*([^\n]+)\n(?:=+|-{3,}|~{3,})[ \t]*$", re.MULTILINE)


def load_markdown(source: str, data: bytes) -> SourceText:
    """Markdown, with or without front matter."""
    return _load(source, data, _FIRST_HEADING, _UNDERLINED)


def load_restructured(source: str, data: bytes) -> SourceText:
    """reStructuredText; headings are lines that are underlined."""
    return _load(source, data, _UNDERLINED)


def load_plain(source: str, data: bytes) -> SourceText:
    """Plain text; front matter and headings as in Markdown where there are any."""
    return _load(source, data)


def name_of(source: str) -> str:
    """A file's name as words."""
    return re.sub(r"[-_\s]+", " ", Path(source).stem).strip()


def _load(source: str, data: bytes, *titles: re.Pattern[str]) -> SourceText:
    text, notes = decode(data)
    if not text.strip():
        raise Unreadable("empty")
    metadata, body, complaint = front_matter(text)
    if complaint:
        notes = (*notes, complaint)
    if not text[body:].strip():
        raise Unreadable("empty after its front matter")
    title = metadata.get("title")
    if not isinstance(title, str) or not title.strip():
        start = text[body : body + 20_000]
        match = next((found for pattern in titles if (found := pattern.search(start))), None)
        title = match[1] if match else name_of(source)
    return SourceText(source, text, body, " ".join(title.split()), metadata, notes)
