"""Where the part of a text begins that is not decided while the text goes on."""

from __future__ import annotations

import re

_LAST_WORD = re.compile(r"\S+\Z")


def last_word(text: str, longest: int) -> int:
    """Where its last word begins, of which more may come; `longest` characters before the end at the earliest."""
    first = max(0, len(text) - longest)
    found = _LAST_WORD.search(text, first)
    return found.start() if found is not None else len(text)


def last_words(text: str, count: int, longest: int) -> int:
    """Where its last words begin, so many of them; `longest` characters before the end at the earliest."""
    first = max(0, len(text) - longest)
    begins = [match.start() for match in re.finditer(r"\S+", text[first:])]
    return first + begins[-count] if len(begins) >= count else first
