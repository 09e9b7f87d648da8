"""Settings of a retriever chosen on questions of which the right documents are known, and what that is worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ragweave.retrievers.indexes.arrays import Array

FOLDS = 5
_DRAWS = 10_000


class Gain(NamedTuple):
    """A difference of means, and where 95 % of the means of questions drawn anew lie (paired bootstrap)."""

    mean: float
    low: float
    high: float

    @property
    def is_real(self) -> bool:
        """True if the interval is above 0."""
        return self.low > 0


class Choice(NamedTuple):
    """What was chosen among the rows of a table of results."""

    best: int
    """The row that is best on all questions."""
    held_out: Array
    """For each question, the result of the row that is best on the questions of other folds."""
    gain: Gain
    """Of `held_out` over the row that is used now."""


def choose(table: Array, now: int, *, results: Array | None = None, folds: int = FOLDS, seed: int = 0) -> Choice:
    """Choose a row of results, one column a question; row `now` is the one in use, and stays where none is better.

    The choice is judged by cross-validation: each fifth of the questions by the row that the other four choose, so that
    what is only luck on these questions does not count as a gain. With `results`, what is held out is read in that
    table, of another metric.
    """
    judged_by = table if results is None else results
    count = table.shape[1]
    fold_of = np.random.default_rng(seed).permutation(count) % min(folds, count)
    held_out = np.empty(count, table.dtype)
    for fold in range(min(folds, count)):
        inside = fold_of != fold
        held_out[~inside] = judged_by[_best(table[:, inside], now), ~inside]
    return Choice(_best(table, now), held_out, bootstrap(held_out - judged_by[now], seed))


def bootstrap(differences: Array, seed: int = 0) -> Gain:
    """The mean of differences, one a question, and its interval."""
    draws = np.random.default_rng(seed).integers(0, len(differences), (_DRAWS, len(differences)), dtype=np.int32)
    low, high = np.quantile(differences[draws].mean(axis=1), (0.025, 0.975))
    return Gain(float(differences.mean()), float(low), float(high))


def judged(found: Sequence[str], right: frozenset[str]) -> tuple[float, float]:
    """nDCG@10 and recall@5 of documents in the order in which they were found, each once."""
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(10, len(right))))
    gained = sum(1 / math.log2(rank + 2) for rank, one in enumerate(found[:10]) if one in right)
    return gained / ideal, len(right.intersection(found[:5])) / len(right)


def _best(table: Array, now: int) -> int:
    if table.shape[1] == 0:
        return now
    means: Array = table.mean(axis=1)
    best = int(np.argmax(means))
    return best if means[best] > means[now] + 1e-9 else now
