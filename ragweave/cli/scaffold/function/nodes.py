"""Nodes of this project. A parameter is a state key that is read, a key of the TypedDict one that is written."""

from __future__ import annotations

import re
from collections import Counter
from typing import TypedDict

from ragweave import node


class Counted(TypedDict):
    """How often each word occurs, and whether one occurs twice."""

    counts: dict[str, int]
    repeated: bool


class Named(TypedDict):
    """The words in a sentence."""

    names: str


@node
def count_words(text: str) -> Counted:
    """Count the words of a text."""
    counts = Counter(re.findall(r"\w+", text.lower()))
    return {"counts": dict(counts), "repeated": any(count > 1 for count in counts.values())}


@node
async def name_words(counts: dict[str, int], most: int) -> Named:
    """Name the words that occur most often."""
    words = [f"{word} ({count})" for word, count in Counter(counts).most_common(most)]
    return {"names": ", ".join(words)}
