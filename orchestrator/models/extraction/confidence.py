"""Whether the passages answer a clause at all: a logistic model over what the scorer saw of its best segment.

The weights were fitted (L2; of each question the clause that speaks most for an answer) on 139 cookbook questions of
`examples/cookbook/more_questions.jsonl`, 302 questions of CLAPNQ and 100 of HotpotQA, about half of each unanswerable;
then the biases were raised by 0.3, because a wrong refusal costs a reader more than a quote that misses.
`benchmarks/cookbook.py` measures them, also on questions that they were not fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ragweave.orchestrator.models.extraction.questions import Clause
from ragweave.orchestrator.models.extraction.scoring import Candidate, Scorer
from ragweave.orchestrator.models.extraction.words import weight

THRESHOLD = 0.5
"""Below it, a clause counts as unanswered."""
UNTIED = 0.25
"""Below this share of the question's other words near a segment, the segment may hold the noun asked for, but of
something else. Of 291 questions that their passages answer, 5 have no better segment; of 276 that they do not, 36."""
_UNSURE = 0.25
_MANY_TERMS = 4

_BY_WORDS: Mapping[str, float] = {
    "covered": 4.39,
    "fits_strictly": 4.9,
    "fits_loosely": 1.94,
    "topic": 2.52,
    "unknown": -1.15,
    "held": 0.28,
    "bias": -10.6,
}
_BY_MEANING: Mapping[str, float] = {
    "covered": 3.25,
    "fits_strictly": 4.52,
    "fits_loosely": 2.53,
    "topic": 1.63,
    "unknown": -1.39,
    "held": 0.21,
    "near": 6.09,
    "bias": -12.7,
}


def features(scorer: Scorer, clause: Clause, best: Candidate) -> dict[str, float]:
    """What speaks for and against an answer, each between 0 and 1 (`held` up to 4); `near` only where it is known."""
    strict = clause.wanted.strict or clause.wanted.sort == "date"
    loose = clause.wanted.sort in ("person", "place", "reason", "steps", "thing")
    specific = {term: value for term, value in clause.terms.items() if weight(term) == 1.0} or dict(clause.terms)
    held = scorer.held(specific, best.passage.vocabulary)
    found = {
        "covered": best.covered,
        "fits_strictly": best.fits if strict else 1.0,
        "fits_loosely": best.fits if loose else 0.5,
        "topic": best.topic,
        "unknown": 1.0 - held,
        "held": min(held * len(specific), _MANY_TERMS),
        "bias": 1.0,
    }
    return found if best.near is None else {**found, "near": best.near}


def confidence(scorer: Scorer, clause: Clause, best: Candidate) -> float:
    """How sure it is that this segment answers the clause, 0 to 1."""
    found = features(scorer, clause, best)
    weights = _BY_MEANING if "near" in found else _BY_WORDS
    sure = 1.0 / (1.0 + math.exp(-sum(weights[name] * value for name, value in found.items())))
    return min(sure, _UNSURE) if best.tied < UNTIED else sure
