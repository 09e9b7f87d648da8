"""A question and an index that is open: which passages may be among the best, and how they rank."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ragweave.retrievers.indexes.arrays import Array
from ragweave.retrievers.indexes.stored import StoredIndex
from ragweave.retrievers.indexes.vectors import Floats
from ragweave.retrievers.indexes.words import best
from ragweave.retrievers.ranking.fusion import Scales, reciprocal
from ragweave.retrievers.ranking.links import follow
from ragweave.retrievers.ranking.mentions import Asked, Collection, Weights, asked, boosts, vouch

TITLE_BOOST = 0.3
_WORD_CANDIDATES = 200
"""Passages of a large index that words bring in, beside those that are near."""
_NEAREST = 100


class Ways(NamedTuple):
    """How passages are ranked."""

    fusion: str = "auto"
    weight: float = 0.6
    boosts: float = 0.35
    links: bool = True

    @property
    def weights(self) -> Weights:
        """What names count."""
        whole = Weights()
        return Weights(named=self.boosts, labelled=whole.labelled * self.boosts / whole.named)


class Candidates(NamedTuple):
    """Passages that may be among the best, and what is known of each."""

    rows: Array
    """Ascending."""
    words: Floats
    """BM25, 0 where no word of the query stands."""
    cosines: Floats | None
    """None where there are no vectors."""
    lowest: float
    """About the lowest cosine of the collection; 0 at most."""
    every: Floats
    """BM25 of all passages."""


def ranked(
    stored: StoredIndex, query: str, vector: Floats | None, mask: Array | None, top_k: int, ways: Ways
) -> tuple[Array, Floats]:
    """The rows of passages that may be among the `top_k` best, ascending, and their scores, between 0 and 1."""
    names = asked(query, stored.named)
    found = candidates(stored, query, vector, mask, top_k, names)
    scales = Scales.of(found.words, found.cosines, found.lowest, ways.weight)
    if ways.fusion == "rrf":
        total = reciprocal(found.words, found.cosines, scales.weight)
    else:
        total = scales.fused(found.words, found.cosines)
    rows = found.rows
    if ways.boosts:
        gained = boosts(names, len(stored), ways.weights)
        # What neither words nor meaning found is not found by its labels alone.
        total = np.where(total > 0, total + gained[rows], total)
    if ways.links:

        def scored(others: Array) -> Floats:
            if ways.fusion == "rrf":
                return np.zeros(len(others), np.float32)
            cosines = None if vector is None else stored.cosines(vector, others)
            return scales.fused(found.every[others], cosines)

        around = Collection(len(stored), mask, stored.sources_of, scored)
        total = follow(query, rows, total, stored)
        rows, total = vouch(rows, total, names, stored.named, around, ways.weights)
    return rows, total / max(1.0, float(total.max(initial=0.0)))


def candidates(
    stored: StoredIndex, query: str, vector: Floats | None, mask: Array | None, top_k: int, names: Asked
) -> Candidates:
    """All passages that the mask lets through; of a large index, those near to the query's vector, those that words
    rank first, and those whose titles it names."""
    words = stored.words.scores(query, TITLE_BOOST)
    if words is None:
        words = np.zeros(len(stored), dtype=np.float32)
    if vector is None:
        rows = np.arange(len(stored)) if mask is None else np.flatnonzero(mask)
        return Candidates(rows, words[rows], None, 0.0, words)
    rows, cosines, lowest = stored.nearest(vector, mask, max(top_k, _NEAREST))
    if len(rows) == len(stored):
        return Candidates(rows, words, cosines, lowest, words)
    if mask is not None:
        words[~mask] = 0
    first = np.union1d(best(words, max(_WORD_CANDIDATES, top_k)), names.rows[words[names.rows] > 0])
    others = first[rows[np.minimum(np.searchsorted(rows, first), len(rows) - 1)] != first] if len(rows) else first
    if len(others):
        every = np.concatenate([rows, others])
        cosines = np.concatenate([cosines, stored.cosines(vector, others)])
        order = np.argsort(every, kind="stable")
        rows, cosines = every[order], cosines[order]
    return Candidates(rows, words[rows], cosines, lowest, words)
