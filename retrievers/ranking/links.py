"""Links between documents: a passage that is found vouches for those it links to, where the query asks for them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragweave.retrievers.indexes.words import best, stems

if TYPE_CHECKING:
    from ragweave.retrievers.indexes.arrays import Array
    from ragweave.retrievers.indexes.stored import StoredIndex
    from ragweave.retrievers.indexes.vectors import Floats

PARENTS = 3
SHARE = 0.4

_INLINE = re.compile(r"(?<!!)\[([^\[\]\n]{0,200})\]\(\s*<?([^()\s<>]{1,500})>?(?:\s+[\"'(][^)\n]*)?\)")
_WIKI = re.compile(r"\[\[([^\[\]|\n]{1,200})(?:\|([^\[\]\n]{1,200}))?\]\]")
_PAGE = re.compile(r"\.(?:md|markdown|x?html?|txt|rst)$", re.IGNORECASE)
_PAGES = (".md", ".markdown", ".txt", ".rst", ".html", ".htm", ".xhtml")


@dataclass(frozen=True, slots=True)
class Link:
    """A link in a text: its words, and what it points to as written."""

    words: str
    target: str


def links_in(text: str) -> Iterator[Link]:
    """The links of a Markdown text to pages of the same collection: `[words](target)` and `[[target|words]]`."""
    for match in _INLINE.finditer(text):
        target = match[2].split("#")[0].split("?")[0]
        if target and "://" not in target and not target.startswith(("mailto:", "tel:", "//")):
            yield Link(match[1], target)
    for match in _WIKI.finditer(text):
        yield Link(match[2] or match[1], match[1].split("#")[0].strip())


class Sites:
    """Finds the file that a link means among the files of a collection."""

    def __init__(self, sources: Mapping[str, object], stems: Mapping[str, str | None] | None = None) -> None:
        self._sources = sources
        self._stems = _by_stem(sources) if stems is None else stems

    def resolve(self, target: str, source: str) -> str | None:
        """The file that `target` means in `source`: by its path, with or without extension, else by a unique name."""
        folder = "" if target.startswith("/") else posixpath.dirname(source)
        path = posixpath.normpath(posixpath.join(folder, target.lstrip("/")))
        bare = _PAGE.sub("", path)
        pages = [bare + extension for extension in _PAGES]
        folders = [f"{bare}/{name}.md" for name in ("index", "README", "_index")]
        for candidate in (path, *pages, *folders):
            if candidate in self._sources:
                return candidate
        return self._stems.get(stem_of(bare))


def follow(query: str, rows: Array, scores: Floats, stored: StoredIndex) -> Floats:
    """The scores of the passages in `rows`, ascending, with a bonus for documents that the best of them link to.

    A link counts as far as its words and the linked title cover what the query asks beyond the linking document's own
    title (one word of average rarity is enough). The best passage of the linked document gains up to 0.4 of the score
    of the passage that links to it, and never overtakes it.
    """
    import numpy as np

    asked: set[str] = set()
    raised = scores
    for place in best(scores, PARENTS):
        if not stored.has_links(int(rows[place])):
            continue
        passage = stored.passage(int(rows[place]))
        asked = asked or set(stems(query))
        for link in links_in(passage.text):
            target = stored.sites.resolve(link.target, passage.source)
            if target is None or target == passage.source:
                continue
            linked = stored.by_source[target]
            rest = asked - set(stems(stored.by_source[passage.source].title))
            share = _share(rest, set(stems(f"{link.words} {linked.title}")), stored.words.rarity)
            begin, end = np.searchsorted(rows, [linked.first, linked.first + linked.passages])
            if share == 0 or begin == end:
                continue
            there = begin + int(np.argmax(scores[begin:end]))
            gained = min(scores[there] + SHARE * share * scores[place], scores[place] * 0.999)
            if gained > raised[there]:
                raised = raised.copy() if raised is scores else raised
                raised[there] = gained
    return raised


def _share(rest: set[str], offered: set[str], rarity: Callable[[str], float]) -> float:
    """How much of what is asked a link offers, from 0 to 1."""
    covered = rest & offered
    if not covered:
        return 0.0
    mean = sum(map(rarity, rest)) / len(rest)
    return min(1.0, sum(map(rarity, covered)) / max(mean, 1e-9))


def _by_stem(sources: Iterable[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for source in sources:
        stem = stem_of(source)
        found[stem] = None if stem in found else source
    return found


def stem_of(path: str) -> str:
    """What is left of a file's name where the ways to write it differ: its extension, case, spaces and dashes."""
    return re.sub(r"[\s_-]+", "-", _PAGE.sub("", posixpath.basename(path)).strip().lower())
