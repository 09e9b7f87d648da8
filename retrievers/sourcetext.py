"""What is read of a file: its text, where its headings and pages are, what is known of it; or why it is not read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Unreadable(Exception):
    """A file cannot be read; the text says why, in a few words that follow its name and a colon."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be read: `source` is its path relative to the indexed folder, with forward slashes."""

    source: str
    path: Path


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out, and why."""

    source: str
    reason: str
    is_there: bool = False
    """True if the file is as good as before and could only not be read now: what is indexed of it stays."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading that begins at `start`; `level` 1 is the highest."""

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text comes from, from `start` up to the next place: `{"page": 4}`, `{"slide": 2}`, `{"record": 17}`."""

    start: int
    metadata: Mapping[str, Any]
    is_document: bool = False
    """True if a document of its own begins here (a message, a record, a sheet): no passage holds parts of two."""


@dataclass(frozen=True, slots=True)
class SourceText:
    """The text of a file. Offsets of passages count characters of `text`, which includes front matter."""

    source: str
    text: str
    body: int = 0
    """Where the text after the front matter starts."""
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What a user should know about how the file was read."""
    headings: tuple[Heading, ...] | None = None
    """None where they are found in the text, which is Markdown or reStructuredText then."""
    places: tuple[Place, ...] = ()
    """In the order of the text."""
    is_original: bool = True
    """True if the text is that of the file itself, so that its lines are those of the file."""

    def places_of(self, start: int, end: int) -> dict[str, Any]:
        """Where the text from `start` to `end` comes from; of several pages the first, and the last as `last_page`."""
        first = bisect_right(self.places, start, key=lambda place: place.start) - 1
        last = bisect_right(self.places, max(start, end - 1), key=lambda place: place.start) - 1
        found = dict(self.places[first].metadata) if first >= 0 else {}
        if last > max(first, 0):
            ends = self.places[last].metadata
            changed = {key: value for key, value in ends.items() if isinstance(value, int) and found.get(key) != value}
            found |= {f"last_{key}" if key in found else key: value for key, value in changed.items()}
        return found
