"""Pseudo-relevance feedback: what the best passages have in common is looked for as well."""

from __future__ import annotations

import numpy as np

from ragweave.retrievers.indexes.vectors import Floats

_BELIEVED = 3
"""Passages that are taken to be right."""


def fed_back(scores: Floats, vectors: Floats, share: float) -> Floats:
    """The scores of candidates, `share` of each replaced by how near its vector is to the mean of the best three.

    After Rocchio (1971), on candidates only: nothing else is searched for.
    """
    if share == 0 or len(scores) <= _BELIEVED:
        return scores
    most = float(scores.max())
    first = np.argsort(-scores, kind="stable")[:_BELIEVED]
    near = vectors @ (scores[first] @ vectors[first])
    near = np.maximum(near, 0) / max(float(near.max()), 1e-9)
    return np.asarray((1 - share) * scores + share * most * near, dtype=np.float32)
