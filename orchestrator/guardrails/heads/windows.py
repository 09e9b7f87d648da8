"""A text in windows of whole sentences, each short enough that one sentence in it decides."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

LONGEST = 280
"""Characters of a window; a longer sentence is cut."""
_END = re.compile(r"(?<=[.!?。！？])[\"'”’)\]]*\s+|\n+|(?<=[。！？])")


class Window(NamedTuple):
    """A part of a text, from `begin` up to `end`."""

    begin: int
    end: int
    text: str


def windows(text: str) -> list[Window]:
    """Sentences, joined while they fit; together they hold all of the text but the space between them."""
    found: list[Window] = []
    for begin, end in _sentences(text):
        if found and end - found[-1].begin <= LONGEST and found[-1].end - found[-1].begin < LONGEST // 2:
            found[-1] = Window(found[-1].begin, end, text[found[-1].begin : end])
        else:
            found.append(Window(begin, end, text[begin:end]))
    return found


def _sentences(text: str) -> list[tuple[int, int]]:
    cuts = [0, *(match.end() for match in _END.finditer(text)), len(text)]
    found: list[tuple[int, int]] = []
    for begin, end in pairwise(cuts):
        stripped = text[begin:end].rstrip()
        begin, end = begin + len(stripped) - len(stripped.lstrip()), begin + len(stripped)
        while end - begin > LONGEST:
            cut = text.rfind(" ", begin + LONGEST // 2, begin + LONGEST)
            cut = cut if cut > 0 else begin + LONGEST
            found.append((begin, cut))
            begin = cut + (text[cut : cut + 1] == " ")
        if end > begin:
            found.append((begin, end))
    return found
