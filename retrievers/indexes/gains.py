"""What passages gain by words, worked out once for all words where passages are few: a query then only adds it up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ragweave.retrievers.indexes.arrays import Array, spans


class Gained(NamedTuple):
    """What the passages of a segment gain by the words of a field: those of each word, one word behind the other."""

    terms: Array
    counts: Array
    """How many passages hold each word."""
    rows: Array
    gains: Array


class Gains(NamedTuple):
    """What each passage gains by each of its words, in all fields together."""

    terms: Array
    """The hashes of the words, ascending; uint64."""
    starts: Array
    """Where the passages of each word begin, and of the last one end."""
    rows: Array
    gains: Array

    @classmethod
    def of(cls, gained: Sequence[Gained]) -> Gains:
        """Those of some fields in some segments."""
        terms = np.unique(np.concatenate([one.terms for one in gained]))
        places = [np.searchsorted(terms, one.terms) for one in gained]
        starts = np.zeros(len(terms) + 1, dtype=np.int64)
        for one, place in zip(gained, places, strict=True):
            starts[place + 1] += one.counts
        np.cumsum(starts, out=starts)
        rows, gains = np.empty(starts[-1], dtype=np.int64), np.empty(starts[-1])
        free = starts[:-1].copy()
        for one, place in zip(gained, places, strict=True):
            at = spans(free[place], one.counts)
            rows[at], gains[at] = one.rows, one.gains
            free[place] += one.counts
        return cls(terms, starts, rows, gains)

    def sums(self, hashes: Array, count: int) -> Array | None:
        """What each of `count` rows gains by these words together; None if no row holds one of them."""
        places = np.minimum(np.searchsorted(self.terms, hashes), len(self.terms) - 1)
        places = places[self.terms[places] == hashes]
        if not len(places):
            return None
        held = [
            slice(*span) for span in zip(self.starts[places].tolist(), self.starts[places + 1].tolist(), strict=True)
        ]
        rows, gains = (np.concatenate([kind[span] for span in held]) for kind in (self.rows, self.gains))
        return np.bincount(rows, gains, count).astype(np.float32)
