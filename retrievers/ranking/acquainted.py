"""The names of a collection that is not large: who names whose title is worked out once, and a query only looks it up.

What comes out is what `mentions.vouch` gives, which finds it for each query anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ragweave.retrievers.indexes.arrays import Array, spans
from ragweave.retrievers.indexes.words import best
from ragweave.retrievers.ranking.mentions import COMMON, ENOUGH, Asked, Floats, Part, Weights, rarity_of, reached_by
from ragweave.retrievers.ranking.nametable import NameTable

MOST = 20_000
"""Passages up to which a query adds up over all of them."""


class Acquainted:
    """All passages of an index, and whose titles each of them names."""

    def __init__(self, parts: Sequence[Part], sources_of: Callable[[Array], Array]) -> None:
        tables = [part.names for part in parts]
        table = tables[0] if len(tables) == 1 else NameTable.merged([(one, np.arange(one.size)) for one in tables])
        counts = np.diff(table.starts)
        rarity = rarity_of(counts, table.size)
        documents = sources_of(np.arange(table.size))
        self._size = table.size
        self._titled = _titled(table, rarity, documents)
        self._shared = _Shared.of(table, counts, rarity)
        firsts = np.flatnonzero(np.diff(documents, prepend=-1))
        lengths = np.diff(firsts, append=table.size)
        self._begins, self._ends = np.repeat(firsts, lengths), np.repeat(firsts + lengths, lengths)
        self._stretches = _Stretches.of(firsts, lengths)

    def vouch(self, scores: Floats, asked: Asked, weights: Weights) -> Floats:
        """The scores of all passages, between 0 and 1, with what those that name them give."""
        parents = best(scores, weights.parents).tolist()
        meant = dict(sorted(zip(asked.rows.tolist(), asked.strengths.tolist(), strict=True)))  # the largest stays
        said = set(asked.all.tolist()) if any(meant.get(parent) for parent in parents) else set()
        reached = np.zeros(self._size)
        for parent in parents:
            rows, strengths = self._titled.of(parent)
            strengths = weights.titled * strengths
            sure = meant.get(parent, 0.0)
            if sure:
                every = weights.shared * sure * self._shared.by(parent, said, self._size)
                every[self._begins[parent] : self._ends[parent]] = 0
                every[rows] += strengths
                rows = np.flatnonzero(every)
                strengths = every[rows]
            if len(rows):
                raised = reached_by(scores[parent], scores[rows], strengths, weights)
                reached[rows] = np.maximum(reached[rows], raised)
        self._stretches.leave_the_best(reached)
        return np.asarray(np.maximum(scores, reached.astype(scores.dtype)))


class _Shared(NamedTuple):
    """The names of each row that some others hold, but not many."""

    bounds: Array
    """Where those of each row begin, and of the last one end."""
    names: Array
    """As numbers, by which a question has them."""
    starts: Array
    """Where the rows begin that hold each …"""
    counts: Array
    """… and how many they are."""
    rarity: Floats
    rows: Array

    @classmethod
    def of(cls, table: NameTable, counts: Array, rarity: Floats) -> _Shared:
        """Those of a table."""
        is_shared = ((counts > 1) & (counts <= COMMON))[table.held]
        held = table.held[is_shared]
        bounds = np.concatenate([[0], np.cumsum(is_shared)])[table.bounds]
        return cls(bounds, table.keys[held], table.starts[held], counts[held], rarity[held], np.asarray(table.rows))

    def by(self, row: int, said: set[int], size: int) -> Floats:
        """How much each row shares with one, from 0 to 1, leaving out the names that were said."""
        here = slice(self.bounds[row], self.bounds[row + 1])
        names = self.names[here].tolist()
        left = [place for place, name in enumerate(names) if name not in said]
        starts, counts, rarity = self.starts[here][left], self.counts[here][left], self.rarity[here][left]
        told: Floats = np.bincount(self.rows[spans(starts, counts)], np.repeat(rarity, counts), size)
        return np.minimum(told / ENOUGH, 1)


class _Stretches(NamedTuple):
    """The rows of documents that have several, document by document."""

    rows: Array
    begins: Array
    """Where those of each document begin."""
    documents: Array
    """The place of the document of each."""

    @classmethod
    def of(cls, firsts: Array, lengths: Array) -> _Stretches:
        """Of all documents, given by their first rows."""
        several = lengths > 1
        firsts, lengths = firsts[several], lengths[several]
        documents = np.repeat(np.arange(len(firsts)), lengths)
        return cls(spans(firsts, lengths), np.cumsum(lengths) - lengths, documents)

    def leave_the_best(self, values: Floats) -> None:
        """Make the values of all rows 0 but for the best of each document; of equal ones the first stays."""
        here = values[self.rows]
        if not here.any():
            return
        most = np.maximum.reduceat(here, self.begins)[self.documents]
        places = np.flatnonzero((here == most) & (most > 0))
        documents = self.documents[places]
        is_first = np.ones(len(places), bool)
        np.not_equal(documents[1:], documents[:-1], out=is_first[1:])
        firsts = places[is_first]
        values[self.rows] = 0
        values[self.rows[firsts]] = here[firsts]


class _Titled(NamedTuple):
    """Of each row the rows whose titles it names."""

    bounds: Array
    """Where those of each row begin, and of the last one end."""
    rows: Array
    strengths: Floats

    def of(self, row: int) -> tuple[Array, Floats]:
        here = slice(self.bounds[row], self.bounds[row + 1])
        return self.rows[here], self.strengths[here]


def _titled(table: NameTable, rarity: Floats, documents: Array) -> _Titled:
    """Whose titles each row names. A title that several documents have means each of them less."""
    titles, firsts, bearers = np.unique(table.titles, return_index=True, return_counts=True)
    if not len(titles):
        return _Titled(np.zeros(table.size + 1, np.int64), np.zeros(0, np.int64), np.zeros(0))
    place = np.searchsorted(table.keys, titles)
    known = table.keys[np.minimum(place, len(table.keys) - 1)] == titles
    first, several = np.zeros(len(table.keys), np.int64), np.zeros(len(table.keys), np.int64)
    first[place[known]], several[place[known]] = firsts[known], bearers[known]
    naming = several[table.held] > 0
    names = table.held[naming]
    namers = np.repeat(np.arange(table.size), np.diff(table.bounds))[naming]
    count = several[names]
    pair = np.repeat(np.arange(len(names)), count)
    rows = table.titled[spans(first[names], count)]
    is_own = np.zeros(len(names), bool)
    is_own[pair[rows == namers[pair]]] = True
    kept = ~is_own[pair] & (documents[rows] != documents[namers[pair]])
    pair, rows = pair[kept], rows[kept]
    strengths = rarity[names[pair]] / np.sqrt(count[pair])
    pairs, places = np.unique(namers[pair] * table.size + rows, return_inverse=True)
    most = np.zeros(len(pairs))
    np.maximum.at(most, places, strengths)
    bounds = np.searchsorted(pairs, np.arange(table.size + 1) * table.size)
    return _Titled(bounds, pairs % table.size, most)
