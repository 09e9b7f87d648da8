"""Texts as vectors of their words and letters: what a classifier uses where there is no embedder."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
    Sparse = tuple[Array, Array]
    """The places of a vector that are not 0, and the numbers there."""

HALF = 2048
"""Numbers a vector has for words and pairs of words, and as many for runs of 3 to 5 letters within a word."""
_WORD = re.compile(r"\w+")


class Words:
    """Hashed counts, dampened by logarithm and weighted by how rare a feature is among the examples (TF-IDF)."""

    identity = f"words/{HALF}/1-2/3-5"

    def __init__(self, weights: Array) -> None:
        self.weights = weights

    @classmethod
    def of(cls, texts: Sequence[str]) -> Words:
        """Weights from these texts."""
        import numpy as np

        seen = np.zeros(2 * HALF, dtype=np.float32)
        for text in texts:
            seen[list({place for place, _ in _features(text)})] += 1
        return cls(np.log((1 + len(texts)) / (1 + seen)).astype(np.float32) + 1)

    def embed(self, texts: Sequence[str]) -> Array:
        """float32 of shape (len(texts), 4096), rows of length 1; 0 for a text without a letter."""
        import numpy as np

        vectors = np.zeros((len(texts), 2 * HALF), dtype=np.float32)
        for row, text in enumerate(texts):
            places, values = self.sparse(text)
            vectors[row, places] = values
        return vectors

    def sparse(self, text: str) -> Sparse:
        """The same vector of one text, without what is 0."""
        import numpy as np

        counts: dict[int, int] = {}
        for place, sign in _features(text):
            counts[place] = counts.get(place, 0) + sign
        places = np.fromiter(counts, dtype=np.int64, count=len(counts))
        values = np.fromiter(counts.values(), dtype=np.float32, count=len(counts))
        values = np.sign(values) * np.log1p(np.abs(values)) * self.weights[places]
        for half in (places < HALF, places >= HALF):
            values[half] /= max(float(np.linalg.norm(values[half])), 1e-9)
        values /= max(float(np.linalg.norm(values)), 1e-9)
        return places, values


def _features(text: str) -> Iterator[tuple[int, int]]:
    """Where each feature is counted, and with which sign: what falls on one place cancels instead of adding up."""
    words = _WORD.findall(text.casefold())
    for feature in (*words, *(f"{left} {right}" for left, right in pairwise(words))):
        number = zlib.crc32(feature.encode("utf-8", "replace"))
        yield number % HALF, 1 if number & 0x80000000 else -1
    for word in words:
        padded = f" {word} "
        for length in (3, 4, 5):
            for start in range(len(padded) - length + 1):
                number = zlib.crc32(padded[start : start + length].encode("utf-8", "replace"))
                yield HALF + number % HALF, 1 if number & 0x80000000 else -1
