"""A question and an index that is open: which passages may be among the best, and how they rank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes.arrays import Array
from ragweave.retrievers.indexes.bm25 import TITLE_BOOST
from ragweave.retrievers.indexes.stored import StoredIndex
from ragweave.retrievers.indexes.vectors import Floats
from ragweave.retrievers.indexes.words import best
from ragweave.retrievers.ranking.diversity import diverse
from ragweave.retrievers.ranking.feedback import fed_back
from ragweave.retrievers.ranking.fusion import Scales, reciprocal
from ragweave.retrievers.ranking.links import follow
from ragweave.retrievers.ranking.mentions import Asked, Collection, Weights, asked, boosts, vouch
from ragweave.retrievers.ranking.neighbours import around, joined, stretches

_WORD_CANDIDATES = 200
"""Passages of a large index that words bring in, beside those that are near."""
_NEAREST = 100
_DIVERSE = 4
"""Candidates to choose each passage from, where they are to be unlike."""


_WHOLE = Weights()


class Ways(NamedTuple):
    """How passages are ranked."""

    fusion: str = "auto"
    weight: float = 0.6
    boosts: float = 0.35
    links: bool = True
    feedback: float = 0.0

    @property
    def weights(self) -> Weights:
        """What names count."""
        return Weights(named=self.boosts, labelled=_WHOLE.labelled * self.boosts / _WHOLE.named)


class Candidates(NamedTuple):
    """Passages that may be among the best, and what is known of each."""

    query: str
    vector: Floats | None
    """The query's; None where there are no vectors."""
    mask: Array | None
    """Which passages may be shown; None for all."""
    names: Asked
    rows: Array
    """Ascending."""
    words: Floats
    """BM25, 0 where no word of the query stands."""
    cosines: Floats | None
    lowest: float
    """About the lowest cosine of the collection; 0 at most."""
    every: Floats
    """BM25 of all passages."""


def ranked(stored: StoredIndex, found: Candidates, ways: Ways) -> tuple[Array, Floats]:
    """The rows of passages that may be among the best, ascending, and their scores, between 0 and 1."""
    scales = Scales.of(found.words, found.cosines, found.lowest, ways.weight)
    is_rrf = ways.fusion == "rrf"
    fused = (
        reciprocal(found.words, found.cosines, scales.weight) if is_rrf else scales.fused(found.words, found.cosines)
    )
    rows, total = found.rows, _fed_back(stored, found.rows, fused, ways.feedback)
    weights = ways.weights
    if ways.boosts and (len(found.names.rows) or len(found.names.labelled)):
        gained = boosts(found.names, len(stored), weights)
        # What neither words nor meaning found is not found by its labels alone.
        total = np.where(total > 0, total + (gained if len(rows) == len(gained) else gained[rows]), total)
    if ways.links:

        def scored(others: Array) -> Floats:
            if is_rrf:
                return np.zeros(len(others), np.float32)
            cosines = None if found.vector is None else stored.cosines(found.vector, others)
            return scales.fused(found.every[others], cosines)

        if stored.has_any_links:
            total = follow(found.query, rows, total, stored)
        if found.mask is None and len(rows) == len(stored) and stored.acquainted is not None:
            total = stored.acquainted.vouch(total, found.names, weights)
            return rows, total / max(1.0, float(total.max(initial=0.0)))
        around = Collection(len(stored), found.mask, stored.sources_of, scored)
        rows, total = vouch(rows, total, found.names, stored.named, around, weights)
    return rows, total / max(1.0, float(total.max(initial=0.0)))


def _fed_back(stored: StoredIndex, rows: Array, scores: Floats, share: float) -> Floats:
    if not share or not stored.vectors:
        return scores
    places = np.sort(best(scores, _NEAREST))
    if not len(places):
        return scores
    changed = scores.copy()
    changed[places] = fed_back(scores[places], stored.means_of(rows[places]), share)
    return changed


def candidates(stored: StoredIndex, query: str, vector: Floats | None, mask: Array | None, top_k: int) -> Candidates:
    """All passages that the mask lets through; of a large index, those near to the query's vector, those that words
    rank first, and those whose titles it names."""
    names = asked(query, stored.named)
    words = stored.words.scores(query, TITLE_BOOST)
    if words is None:
        words = np.zeros(len(stored), dtype=np.float32)
    if vector is None:
        rows = np.arange(len(stored)) if mask is None else np.flatnonzero(mask)
        return Candidates(query, None, mask, names, rows, words[rows], None, 0.0, words)
    rows, cosines, lowest = stored.nearest(vector, mask, max(top_k, _NEAREST))
    if len(rows) == len(stored):
        return Candidates(query, vector, mask, names, rows, words, cosines, lowest, words)
    if mask is not None:
        words[~mask] = 0
    first = np.union1d(best(words, max(_WORD_CANDIDATES, top_k)), names.rows[words[names.rows] > 0])
    others = first[rows[np.minimum(np.searchsorted(rows, first), len(rows) - 1)] != first] if len(rows) else first
    if len(others):
        every = np.concatenate([rows, others])
        cosines = np.concatenate([cosines, stored.cosines(vector, others)])
        order = np.argsort(every, kind="stable")
        rows, cosines = every[order], cosines[order]
    return Candidates(query, vector, mask, names, rows, words[rows], cosines, lowest, words)


def chosen(stored: StoredIndex, rows: Array, scores: Floats, top_k: int, diversity: float) -> tuple[Array, Floats]:
    """The `top_k` best rows and their scores; with `diversity`, unlike ones first."""
    places = best(scores, top_k if not diversity else max(_DIVERSE * top_k, 50))
    if diversity and stored.vectors and len(places):
        order = np.argsort(rows[places])
        vectors = np.empty((len(places), int(stored.manifest["dimension"])), np.float32)
        vectors[order] = stored.means_of(rows[places][order])
        places = places[diverse(scores[places], vectors, diversity, top_k)]
    return rows[places[:top_k]], scores[places[:top_k]]


def expanded(stored: StoredIndex, rows: Array, scores: Floats, mask: Array | None, expand: str) -> Iterator[Document]:
    """The passages in some rows, best first, each with its neighbours or with all of its document."""
    best_first, rounded = rows.tolist(), [round(score, 6) for score in scores.tolist()]
    if expand == "none":
        yield from stored.passages(best_first, rounded)
        return
    scored = dict(zip(best_first, rounded, strict=True))
    reach = 1 if expand == "neighbours" else None

    def around_row(row: int) -> range:
        first, last = stored.stretch_of(row)
        return around(row, first, last, reach, lambda other: mask is None or bool(mask[other]))

    for row, stretch in stretches(scored, around_row):
        hit = stored.passage(row, scored[row])
        yield joined(hit, [stored.passage(other) for other in stretch]) if len(stretch) > 1 else hit
