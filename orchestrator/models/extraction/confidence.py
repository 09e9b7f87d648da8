"""Whether the passages answer a clause at all: a logistic model over what the scorer saw of its best segment.

The weights were fitted (L2, five rounds of choosing each question's best clause) on 110 cookbook questions written for this
purpose and 302 encyclopedia questions, half of both unanswerable; `benchmarks/cookbook.py` measures them on others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ragweave.orchestrator.models.extraction.questions import Clause
from ragweave.orchestrator.models.extraction.scoring import Candidate, Scorer
from ragweave.orchestrator.models.extraction.words import weight

THRESHOLD = 0.5
"""Below it, a clause counts as unanswered."""
_MANY_TERMS = 4

_WEIGHTS: Mapping[str, float] = {
    "covered": 3.02,
    "fits_strictly": 4.85,
    "fits_loosely": 0.89,
    "topic": 2.04,
    "unknown": -2.59,
    "held": 0.38,
}
_BIAS = -8.0


def features(scorer: Scorer, clause: Clause, best: Candidate) -> dict[str, float]:
    """What speaks for and against an answer, each between 0 and 1 (`held` up to 4)."""
    strict = clause.strict or clause.wants == "date"
    loose = clause.wants in ("person", "place", "reason", "steps", "thing")
    specific = {term: value for term, value in clause.terms.items() if weight(term) == 1.0} or dict(clause.terms)
    held = scorer.held(specific, best.passage.vocabulary)
    return {
        "covered": best.covered,
        "fits_strictly": best.fits if strict else 1.0,
        "fits_loosely": best.fits if loose else 0.5,
        "topic": best.topic,
        "unknown": 1.0 - held,
        "held": min(held * len(specific), _MANY_TERMS),
    }


def confidence(scorer: Scorer, clause: Clause, best: Candidate) -> float:
    """How sure it is that this segment answers the clause, 0 to 1."""
    found = features(scorer, clause, best)
    return 1.0 / (1.0 + math.exp(-_BIAS - sum(_WEIGHTS[name] * value for name, value in found.items())))
