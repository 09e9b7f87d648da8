"""Vectors of passages: searched one by one, or from some ten thousands on by the lists of the nearest centroids (IVF).

With lists, vectors lie in the order of their lists, so that a search reads a few stretches of memory. Jégou, Douze and
Schmid (2011), "Product quantization for nearest neighbor search", section IV, has the inverted file; centroids are
those of spherical k-means on a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ragweave.retrievers.indexes.arrays import Array, Arrays, spans

Floats = npt.NDArray[np.float32]

EXACT = 50_000
"""Up to so many vectors, each is looked at."""
_SAMPLE = 50
"""Vectors that a centroid is learnt from."""
_ROUNDS = 8
_BLOCK = 2_048
_RELEARN = 1.5
"""Centroids are used on until there are so many times the vectors that they were learnt from."""


class Vectors(NamedTuple):
    """The vectors of a segment's passages, of which each may have several, or none."""

    matrix: Floats
    """One vector a row."""
    starts: Array
    """Where the vectors of each passage begin in `places`, and of the last one end; int32."""
    places: Array
    """The row of each vector in `matrix`, passage by passage; int32. Empty if they lie there in this order."""
    owners: Array
    """The passage of each row of `matrix`; int32."""
    centroids: Floats
    """Empty if there are no lists."""
    lists: Array
    """Where each list begins in `matrix`, and the last one ends; int64."""
    learnt: Array
    """From how many vectors the centroids were learnt; int64, of one item."""

    @classmethod
    def of(cls, matrix: Floats, counts: Sequence[int] | Array) -> Vectors:
        """Vectors that lie passage by passage, so many of each, without lists."""
        starts = np.zeros(len(counts) + 1, dtype=np.int32)
        np.cumsum(counts, out=starts[1:])
        owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        none = np.zeros((0, matrix.shape[1]), dtype=np.float32)
        return cls(matrix, starts, _NONE, owners, none, np.zeros(0, np.int64), np.zeros(1, np.int64))

    @classmethod
    def merged(cls, parts: Sequence[tuple[Vectors, Array]]) -> Vectors:
        """The vectors of parts, one behind the other, of each the rows (passages) that are named; with lists, if there
        are many."""
        counts = np.concatenate([part.starts[rows + 1] - part.starts[rows] for part, rows in parts])
        widest = max(parts, key=lambda part: part[0].matrix.shape[0])[0]
        matrix = np.concatenate([part.matrix[part.places_of(rows)] for part, rows in parts])
        return cls.of(matrix, counts).listed(widest)

    @classmethod
    def named(cls, arrays: Arrays, prefix: str) -> Vectors:
        """Those that lie in arrays under a prefix."""
        return cls(*(arrays[f"{prefix}.{field}"] for field in cls._fields))

    def arrays(self, prefix: str) -> dict[str, Array]:
        """The arrays, named with a prefix."""
        return {f"{prefix}.{field}": value for field, value in zip(self._fields, self, strict=True)}

    @property
    def how(self) -> str:
        """How they are searched."""
        return f"ivf {len(self.centroids):,}, {probes(len(self.centroids))} probed" if len(self.centroids) else "exact"

    def places_of(self, rows: Array) -> Array:
        """The rows of the matrix that hold the vectors of some passages, passage by passage."""
        begins = self.starts[rows]
        found = spans(begins, self.starts[rows + 1] - begins)
        return self.places[found] if len(self.places) else found

    def cosines(self, query: Floats, rows: Array | None = None) -> Floats:
        """The cosine of a query's vector and each passage (or those in `rows`), which is that of the passage's best
        vector; -1 for one that has none."""
        if rows is None and not len(self.places):
            every, starts = self.matrix @ query, self.starts
        else:
            rows = np.arange(len(self.starts) - 1) if rows is None else rows
            every = self.matrix[self.places_of(rows)] @ query
            starts = np.concatenate([[0], np.cumsum(self.starts[rows + 1] - self.starts[rows])])
        counts = np.diff(starts)
        if counts.all():
            return every if len(every) == len(counts) else np.maximum.reduceat(every, starts[:-1])
        found = np.full(len(counts), -1.0, dtype=np.float32)
        filled = np.flatnonzero(counts)
        if len(filled):
            found[filled] = np.maximum.reduceat(every, starts[filled])
        return found

    def means(self, rows: Array) -> Floats:
        """The direction of the mean of each passage's vectors; 0 for one that has none."""
        counts = self.starts[rows + 1] - self.starts[rows]
        found = np.zeros((len(rows), self.matrix.shape[1]), dtype=np.float32)
        filled = np.flatnonzero(counts)
        if len(filled):
            begins = np.cumsum(counts[filled]) - counts[filled]
            sums = np.add.reduceat(self.matrix[self.places_of(rows[filled])], begins, axis=0)
            found[filled] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        return found

    def nearest(self, query: Floats, mask: Array | None, wanted: int) -> tuple[Array, Floats, float]:
        """Passages near to a query, ascending, their cosines, and about the lowest cosine of all: that of a centroid.

        Where there are lists, those of the nearest centroids are read: more of them with a `mask` that lets few
        through, and with one of a few thousand passages those themselves.
        """
        size = len(self.starts) - 1
        allowed = size if mask is None else int(np.count_nonzero(mask))
        if mask is not None and (not len(self.centroids) or allowed <= _few(len(self.centroids), size)):
            return _all_of(np.flatnonzero(mask), self, query)
        if not len(self.centroids):
            found = self.cosines(query)
            return np.arange(size), found, float(found.min(initial=0.0))
        near = self.centroids @ query
        count = min(len(near), -(-probes(len(near)) * size // allowed))
        while True:
            rows, cosines = self._probed(query, near, count, mask, wanted)
            if len(rows) >= min(wanted, allowed) or count == len(near):
                return rows, cosines, min(float(near.min()), 0.0)
            count = min(len(near), 2 * count)

    def _probed(self, query: Floats, near: Floats, count: int, mask: Array | None, wanted: int) -> tuple[Array, Floats]:
        """The passages with the best of the vectors in the nearest lists, so many of them that `wanted` are there."""
        probed = np.argpartition(near, -count)[-count:] if count < len(near) else np.arange(len(near))
        begins, ends = self.lists[probed].tolist(), self.lists[probed + 1].tolist()
        stretches = list(zip(begins, ends, strict=True))
        cosines = np.concatenate([self.matrix[begin:end] @ query for begin, end in stretches])
        owners = np.concatenate([self.owners[begin:end] for begin, end in stretches])
        if mask is not None:
            there = mask[owners]
            owners, cosines = owners[there], cosines[there]
        several = -(-len(self.owners) // (len(self.starts) - 1)) * 4 * wanted
        if several < len(owners) and count < len(near):
            best = np.argpartition(cosines, -several)[-several:]
            owners, cosines = owners[best], cosines[best]
        order = np.argsort(owners)
        owners, cosines = owners[order], cosines[order]
        if not len(owners):
            return owners, cosines
        firsts = np.flatnonzero(np.diff(owners, prepend=-1))
        return owners[firsts], np.maximum.reduceat(cosines, firsts)

    def listed(self, known: Vectors | None = None) -> Vectors:
        """The same with lists, if there are more than a few vectors; by the centroids of `known`, while they do."""
        size = len(self.matrix)
        if size <= EXACT:
            return self
        centroids, learnt = (known.centroids, int(known.learnt[0])) if known is not None else (self.centroids, 0)
        if not len(centroids) or not size / _RELEARN <= learnt <= size * _RELEARN:
            centroids, learnt = _learnt(self.matrix), size
        list_of = _assigned(self.matrix, centroids)
        order = np.argsort(list_of, kind="stable").astype(np.int32)
        lists = np.concatenate([[0], np.cumsum(np.bincount(list_of, minlength=len(centroids)))]).astype(np.int64)
        owners = self.owners[order]
        return Vectors(
            self.matrix[order],
            self.starts,
            np.argsort(order).astype(np.int32),
            owners,
            centroids,
            lists,
            np.asarray([learnt], dtype=np.int64),
        )


class Exact:
    """Vectors without lists: the cosines of all passages, with what is the same for each query worked out once."""

    def __init__(self, vectors: Vectors) -> None:
        counts = np.diff(vectors.starts)
        self._vectors = vectors
        self._is_plain = bool((counts == 1).all()) and not len(vectors.places)
        self._filled = np.flatnonzero(counts)
        self._is_filled = len(self._filled) == len(counts)
        self._firsts = vectors.places_of(np.arange(len(counts)))
        begins = vectors.starts[:-1][self._filled]
        others = np.ones(len(self._firsts), dtype=bool)
        others[begins] = False
        self._others = self._firsts[others]
        self._owners = np.repeat(np.arange(len(counts)), counts)[others]
        self._firsts = self._firsts[begins]

    def cosines(self, query: Floats) -> Floats:
        """As `Vectors.cosines` has them."""
        every = self._vectors.matrix @ query
        if self._is_plain:
            return every
        if self._is_filled:
            found = every[self._firsts]
        else:
            found = np.full(len(self._vectors.starts) - 1, -1.0, dtype=np.float32)
            found[self._filled] = every[self._firsts]
        np.maximum.at(found, self._owners, every[self._others])
        return found


_NONE: Array = np.zeros(0, dtype=np.int32)


def probes(lists: int) -> int:
    """How many of these lists a search reads: 38 of 1,264, which are a hundred thousand vectors."""
    return max(24, -(-lists // 34))


def _few(lists: int, size: int) -> int:
    """Up to how many passages it costs less to look at each than at the lists they are in."""
    return 2 * probes(lists) * size // lists


def _all_of(rows: Array, vectors: Vectors, query: Floats) -> tuple[Array, Floats, float]:
    size = len(vectors.starts) - 1
    # Vectors that lie apart are copied before they are multiplied, which takes about as long as three that do not.
    found = vectors.cosines(query)[rows] if 3 * len(rows) > size and not len(vectors.places) else None
    cosines = vectors.cosines(query, rows) if found is None else found
    return rows, cosines, float(cosines.min(initial=0.0))


def _learnt(matrix: Floats) -> Floats:
    """Centroids, four times as many as the root of the vectors."""
    chance = np.random.default_rng(0)
    lists = int(4 * np.sqrt(len(matrix)))
    sample = matrix[np.sort(chance.choice(len(matrix), min(len(matrix), _SAMPLE * lists), replace=False))]
    centroids = sample[chance.choice(len(sample), lists, replace=False)]
    for _ in range(_ROUNDS):
        list_of = _assigned(sample, centroids)
        counts = np.bincount(list_of, minlength=lists)
        filled = np.flatnonzero(counts)
        begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
        sums = sample[chance.choice(len(sample), lists)]  # a list that nothing is near to begins anew elsewhere
        sums[filled] = np.add.reduceat(sample[np.argsort(list_of, kind="stable")], begins[filled], axis=0)
        centroids = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return centroids.astype(np.float32)


def _assigned(matrix: Floats, centroids: Floats) -> Array:
    """The nearest centroid of each vector."""
    found = np.empty(len(matrix), dtype=np.int32)
    across: Any = centroids.T
    for start in range(0, len(matrix), _BLOCK):
        found[start : start + _BLOCK] = np.argmax(matrix[start : start + _BLOCK] @ across, axis=1)
    return found
