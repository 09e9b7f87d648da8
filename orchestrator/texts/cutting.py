"""A long text as pieces that end where a reader would pause: behind a section, a paragraph, a sentence, a word."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from ragweave.orchestrator.models.extraction.segments import sentences
from ragweave.orchestrator.texts.tokens import Count, estimate_tokens

# Chinese and Japanese have no spaces between words: there, each character may be the last one of a piece.
_WIDE = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_CLOSING = r"、。！？，．：；」』）】〉》”’"
_WORD = re.compile(rf"\s*([{_WIDE}][{_CLOSING}]*|[^\s{_WIDE}]+)\s*")
_BLANK_LINE = re.compile(r"\n[ \t]*\r?\n")
_HEADING = re.compile(r"#{1,6}[ \t]")
_ITEM = re.compile(r"[ \t]*(?:[-*+•>|]|\d{1,3}[.)])[ \t]")

WORD, LINE, SENTENCE, PARAGRAPH, SECTION = range(5)
"""How good a place is to cut at; a better one is preferred in the second half of what fits."""


class Piece(NamedTuple):
    """`text[start:end]` of a text that was cut, of which `text[start:fresh]` stands in the piece before, too."""

    start: int
    fresh: int
    end: int


def cut(text: str, max_tokens: int, overlap: int = 0, count: Count = estimate_tokens) -> list[Piece]:
    """Cut a text into pieces of at most `max_tokens` tokens, up to `overlap` of them repeated from the piece before.

    The parts `[fresh:end]` of all pieces are the text, character by character: white space belongs to the word before
    it. No word is cut: one that is longer than a piece is a piece of its own. Pieces of one text have about the same
    size, as far as paragraphs and sentences allow. A text of white space has no pieces.
    """
    words = _Words(text, count)
    if not words.ends:
        return []
    pieces: list[Piece] = []
    per_character = count(text) / len(text)
    at = 0
    while at < len(words.ends):
        fresh = words.start(at)
        left = -(-per_character * (len(text) - fresh) // max_tokens)
        even = max_tokens if left <= 1 else min(max_tokens, int(per_character * (len(text) - fresh) * 1.25 / left) + 1)
        begin = words.back(at, overlap, pieces[-1].fresh) if pieces and overlap else fresh
        if begin < fresh and not words.fits(begin, at, max_tokens):
            begin = fresh
        last = words.furthest(at, begin, max(even, min(overlap * 2, max_tokens)))
        if last < len(words.ends) - 1:
            last = words.pause(at, last)
        pieces.append(Piece(begin, fresh, words.ends[last]))
        at = last + 1
    return pieces


class _Words:
    """The words of a text by number; each ends where the next one starts."""

    def __init__(self, text: str, count: Count) -> None:
        found = [(match.end(1), match.end()) for match in _WORD.finditer(text)]
        self.ends = [end for _, end in found]
        self._visible = [end for end, _ in found]
        self._text, self._count = text, count
        self._sentences = frozenset(end for _, end in sentences(text))

    def start(self, word: int) -> int:
        """Where a word starts; the first one has the white space before it."""
        return self.ends[word - 1] if word else 0

    def fits(self, begin: int, word: int, budget: int) -> bool:
        """True if the text from `begin` to the end of a word has at most `budget` tokens."""
        return self._count(self._text[begin : self.ends[word]].strip()) <= budget

    def furthest(self, first: int, begin: int, budget: int) -> int:
        """The last word, from `first` on, up to which the text from `begin` fits; `first` if not even that does."""
        step, known = 16, first
        while known + step < len(self.ends) and self.fits(begin, known + step, budget):
            known += step
            step *= 2
        return known + _last(min(step, len(self.ends) - 1 - known), lambda on: self.fits(begin, known + on, budget))

    def back(self, word: int, overlap: int, least: int) -> int:
        """Where to start so that at most `overlap` tokens before `word` are repeated: at a sentence, if there is one.

        What starts at `least` or before is not repeated.
        """
        first = bisect_left(self.ends, least + 1) + 1
        room = max(word - first, 0)
        here = self.start(word)
        most = _last(room, lambda back: self._count(self._text[self.start(word - back) : here].strip()) <= overlap)
        sentence = next((back for back in range(most, 0, -1) if self._rank(word - back - 1) >= SENTENCE), most)
        return self.start(word - sentence)

    def pause(self, first: int, last: int) -> int:
        """The best word to end with, in the second half of those from `first` to `last`."""
        middle = (self.start(first) + self.ends[last]) // 2
        return max(
            (word for word in range(first, last + 1) if self.ends[word] > middle),
            key=lambda word: (self._rank(word), word),
        )

    def _rank(self, word: int) -> int:
        """How good it is to cut behind a word."""
        end = self.ends[word]
        content = self._visible[word]
        gap = self._text[content:end]
        if _BLANK_LINE.search(gap):
            return SECTION if _HEADING.match(self._text, end) else PARAGRAPH
        if content in self._sentences:
            return SENTENCE
        if "\n" in gap:
            line = end - len(gap.rpartition("\n")[2])
            return SENTENCE if _ITEM.match(self._text, line) or _HEADING.match(self._text, end) else LINE
        return WORD


def _last(most: int, holds: Callable[[int], bool]) -> int:
    """The largest number up to `most` for which something holds that holds for 0 and stops holding once."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
