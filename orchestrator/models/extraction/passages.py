"""A document as the segments that an answer may quote, with the words of each and of what stands around it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ragweave.orchestrator.models.extraction.segments import Segment, segments
from ragweave.orchestrator.models.extraction.words import stems, weight
from ragweave.orchestrator.values import Document

_LINK = re.compile(r"\[([^\[\]\n]{1,300})\]\([^()\n]{1,500}\)")
_PARENTHESIS = re.compile(r"\([^()]{0,200}\)")


@dataclass(frozen=True)
class Passage:
    """A document with its segments; `number` is its place among those given, from 1."""

    number: int
    document: Document
    segments: tuple[Segment, ...]

    @property
    def name(self) -> str:
        """The title without the headings that a passage from the middle of a document carries behind it."""
        return self.document.title.partition(" > ")[0].strip()

    @cached_property
    def title(self) -> frozenset[str]:
        """Stems of the title."""
        return stems(self.document.title)

    @cached_property
    def called(self) -> frozenset[str]:
        """Stems by which other passages call it: those of its name that are specific, without parentheses."""
        return frozenset(word for word in stems(_PARENTHESIS.sub("", self.name)) if weight(word) == 1.0)

    @cached_property
    def metadata(self) -> frozenset[str]:
        """Stems of the metadata's texts: tags, authors."""
        found: set[str] = set()
        for value in self.document.metadata.values():
            for text in value if isinstance(value, list | tuple) else [value]:
                if isinstance(text, str):
                    found |= stems(text)
        return frozenset(found)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Stems of everything in the passage, title and metadata included."""
        places = range(len(self.segments))
        return self.title.union(self.metadata, *(self.own(place) | self.above(place) for place in places))

    def own(self, place: int) -> frozenset[str]:
        """Stems of a segment itself."""
        return stems(self.segments[place].text)

    def above(self, place: int) -> frozenset[str]:
        """Stems of the headings above a segment."""
        return frozenset().union(*(stems(heading) for heading in self.segments[place].headings))

    def lead(self, place: int) -> frozenset[str]:
        """Stems of what introduces the list that a segment stands in."""
        return stems(self.segments[place].lead)

    def linked(self, place: int) -> frozenset[str]:
        """Stems of the texts of a segment's links."""
        segment = self.segments[place]
        links = _LINK.finditer(self.document.text, segment.start, segment.end)
        return frozenset().union(*(stems(match[1]) for match in links))

    def names(self, place: int, other: Passage) -> bool:
        """True if a segment names another document: by a link, or by a name of two words or more."""
        same = self.title == other.title or (self.document.source and self.document.source == other.document.source)
        if same or not other.called or not other.called <= self.own(place):
            return False
        return len(other.called) > 1 or other.called <= self.linked(place)


def passages(documents: Sequence[Document]) -> list[Passage]:
    """The documents as passages, numbered from 1."""
    return [
        Passage(number, document, tuple(segments(document.text))) for number, document in enumerate(documents, start=1)
    ]
