"""What a ranking is worth, and whether one system's are better than another's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from sets import Question

Ranking = Mapping[str, Sequence[str]]
METRICS = ("recall@5", "recall@10", "nDCG@10", "all@10")
DRAWS = 10_000


def scores(ranking: Ranking, questions: Sequence[Question]) -> dict[str, np.ndarray]:
    """Metric -> a number for each question, in their order; what a system did not rank counts as nothing found."""
    rows = [score(ranking.get(question.id, ()), question.gold) for question in questions]
    return {metric: np.array([row[metric] for row in rows]) for metric in METRICS}


def score(found: Sequence[str], gold: Sequence[str]) -> dict[str, float]:
    """The metrics of one question."""
    wanted = set(gold)
    hits = [place for place, key in enumerate(dict.fromkeys(found)) if key in wanted]
    ideal = sum(1 / math.log2(place + 2) for place in range(min(10, len(wanted))))
    return {
        "recall@5": sum(place < 5 for place in hits) / len(wanted),
        "recall@10": sum(place < 10 for place in hits) / len(wanted),
        "nDCG@10": sum(1 / math.log2(place + 2) for place in hits if place < 10) / ideal,
        "all@10": float(sum(place < 10 for place in hits) == len(wanted)),
    }


def interval(ours: np.ndarray, theirs: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """Mean of the differences, and where 95 % of the means of questions drawn anew lie (paired bootstrap)."""
    differences = ours - theirs
    draws = np.random.default_rng(seed).integers(0, len(differences), (DRAWS, len(differences)), dtype=np.int32)
    means = differences[draws].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(differences.mean()), float(low), float(high)
