"""Passages that say the same: ranked lower, or left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes.arrays import Array
from ragweave.retrievers.indexes.vectors import Floats
from ragweave.retrievers.indexes.words import stems

_SAME = 0.9
"""Words that two near-duplicates share, of all that they have."""


def diverse(scores: Floats, vectors: Floats, share: float, limit: int) -> Array:
    """The places of up to `limit` candidates, chosen one after the other: each by its score and, for `share` of the
    choice, by how unlike it is to those chosen before (maximal marginal relevance, Carbonell and Goldstein 1998)."""
    worth = (1 - share) * scores / max(float(scores.max(initial=0.0)), 1e-9)
    alike = np.zeros(len(scores), np.float32)
    chosen: list[int] = []
    left = np.ones(len(scores), bool)
    while len(chosen) < min(limit, len(scores)):
        place = int(np.argmax(np.where(left, worth - share * alike, -np.inf)))
        chosen.append(place)
        left[place] = False
        alike = np.maximum(alike, vectors @ vectors[place])
    return np.array(chosen, np.int64)


def distinct(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents without those of which nine tenths of the words stand in one before, and the other way round."""
    seen: list[frozenset[str]] = []
    for document in documents:
        words = frozenset(stems(document.text)) or frozenset((document.text,))
        if all(len(words & other) < _SAME * len(words | other) for other in seen):
            seen.append(words)
            yield document
