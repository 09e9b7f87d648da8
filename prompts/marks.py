"""Citation marks in a model's words: `[2]`, `[1][3]`, `[1, 3]`, `[2-4]`.

A mark that points to no passage is taken out, with the spaces before it, while the text is streamed: what a reader sees
as it arrives is the text of the answer. Two things look like such a mark and are left alone: text in backticks, and a
number in brackets right after a word (`items[12]`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBERS = r"\d{1,3}(?:[ ]*[,;–-][ ]*\d{1,3})*"
_MARK = re.compile(rf"\[[ ]*({_NUMBERS})[ ]*\]")
_UNFINISHED_MARK = re.compile(r"\[[ \d,;–-]{0,40}")
_TOKEN = re.compile(r"(?P<space>\s+)|(?P<ticks>`+)|(?P<open>\[)|(?P<other>[^\s`\[]+)")
_PIECE = re.compile(r"(\d+)[ ]*[–-][ ]*(\d+)|(\d+)")


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark in a text: the numbers that it cites, in order, and where it stands."""

    numbers: tuple[int, ...]
    start: int
    end: int


class MarkReader:
    """Takes a text in pieces: `feed` gives what may be shown of it, `end` the rest. White space at the ends is dropped.

    The result does not depend on how the text is cut. `count` is the number of passages; `marks` lists the marks in the
    text that was given out. With `keep` the text stays as it is, and only the marks in it are read.
    """

    def __init__(self, count: int, *, keep: bool = False) -> None:
        self.marks: list[Mark] = []
        self._count = count
        self._keep = keep
        self._held = ""
        self._space = ""
        self._length = 0
        self._after_word = False
        self._fence = 0
        self._code = 0

    def limit(self, count: int) -> None:
        """There are only so many passages after all; to be said before the first piece."""
        self._count = count

    def again(self, text: str) -> None:
        """The text has become this one since it was read: its marks are those in it."""
        self.marks = marks_in(text, self._count)

    def feed(self, piece: str) -> str:
        """The text that is certain by now."""
        self._held += piece
        return self._read(final=False)

    def end(self) -> str:
        """What was held back."""
        return self._read(final=True)

    def _read(self, *, final: bool) -> str:
        shown: list[str] = []
        text, place = self._held, 0
        while place < len(text):
            token = _TOKEN.match(text, place)
            assert token is not None, "every character starts a token"
            end = token.end()
            if token["open"] and not (self._fence or self._code):
                found = self._mark(text, place, final=final)
                if found is None:
                    break
                end = found
                mark = _MARK.fullmatch(text, place, end)
                self._write_mark(mark[0], mark[1], shown) if mark else self._write(text[place:end], shown)
            elif end == len(text) and token["ticks"] and not final:
                break
            elif token["space"]:
                self._space += token[0]
                if "\n" in token[0]:
                    self._code = 0
            else:
                if token["ticks"]:
                    self._toggle(len(token[0]))
                self._write(token[0], shown)
            place = end
        self._held = text[place:]
        return "".join(shown)

    def _mark(self, text: str, place: int, *, final: bool) -> int | None:
        """The end of the mark, or of the bracket, that starts here; None if more text is needed to tell."""
        mark = _MARK.match(text, place)
        if mark is not None and (mark.end() < len(text) or final):
            return place + 1 if text.startswith("(", mark.end()) else mark.end()
        unfinished = _UNFINISHED_MARK.match(text, place)
        if not final and (mark is not None or (unfinished and unfinished.end() == len(text))):
            return None
        return place + 1

    def _write_mark(self, written: str, numbers: str, shown: list[str]) -> None:
        cited = _cited(numbers)
        valid = tuple(number for number in cited if 1 <= number <= self._count)
        if not valid:
            if self._keep or (self._after_word and not self._space):
                self._write(written, shown)
            else:
                self._space = self._space.rstrip(" \t")
            return
        text = written if self._keep or valid == cited else f"[{', '.join(map(str, valid))}]"
        self._write(text, shown)
        self.marks.append(Mark(valid, self._length - len(text), self._length))

    def _write(self, text: str, shown: list[str]) -> None:
        if self._space and self._length:
            shown.append(self._space)
            self._length += len(self._space)
        self._space = ""
        shown.append(text)
        self._length += len(text)
        self._after_word = text[-1].isalnum() or text[-1] == "_"

    def _toggle(self, ticks: int) -> None:
        """A run of backticks opens or closes a block (three or more) or a span of code."""
        if self._fence:
            self._fence = 0 if ticks >= self._fence else self._fence
        elif self._code:
            self._code = 0 if ticks == self._code else self._code
        elif ticks >= 3:
            self._fence = ticks
        else:
            self._code = ticks


def marks_in(text: str, count: int) -> list[Mark]:
    """The marks in a text that stays as it is."""
    reader = MarkReader(count, keep=True)
    reader.feed(text)
    reader.end()
    shift = len(text) - len(text.lstrip())
    return [Mark(mark.numbers, mark.start + shift, mark.end + shift) for mark in reader.marks]


def _cited(numbers: str) -> tuple[int, ...]:
    """`1, 3-5` as (1, 3, 4, 5), each number once."""
    found: dict[int, None] = {}
    for first, last, single in _PIECE.findall(numbers):
        if single:
            found[int(single)] = None
        else:
            found |= dict.fromkeys(range(int(first), int(last) + 1) or (int(first), int(last)))
    return tuple(found)
