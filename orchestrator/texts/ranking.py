"""Which sentences of a text matter: the central ones, those near a question, and none that says another's again."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from ragweave.orchestrator.models.extraction.segments import Segment, segments
from ragweave.orchestrator.models.extraction.words import stems, weight, words

Vector = Mapping[str, float]
"""Weights by stem, of length 1; empty for a text without words that say something."""

LEADING = 0.2
"""What the first sentence of a text gains: writers say there what they are going to say."""
DANGLING = 0.7
"""The factor of a sentence that starts with a word for something said before."""
WHOLE = 6
"""Words that a sentence has that says something; a shorter one counts less."""
FILLER = 0.25
"""A sentence with less than this share of the best score is left out even where there is room."""
_DANGLES = re.compile(
    r"(?:it|they|he|she|this|that|these|those|there|then|but|and|so|however|also|its|their|his|her)\b", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[.!?…:;。！？][\"'”’)\]]*$")


def vectors(texts: Sequence[str]) -> list[Vector]:
    """Texts as words, those that are rare among these texts counting more (TF-ISF)."""
    bags = [Counter(word.stem for word in words(text) if weight(word.stem) > 0.0) for text in texts]
    spread = Counter(stem for bag in bags for stem in bag)
    found: list[Vector] = []
    for bag in bags:
        raw = {
            stem: (1.0 + math.log(count)) * weight(stem) * math.log1p(len(texts) / spread[stem])
            for stem, count in bag.items()
        }
        length = math.sqrt(sum(value * value for value in raw.values()))
        found.append({stem: value / length for stem, value in raw.items()} if length else {})
    return found


def dot(left: Vector, right: Vector) -> float:
    """The cosine of two vectors of length 1."""
    if len(left) > len(right):
        left, right = right, left
    return sum(value * right[stem] for stem, value in left.items() if stem in right)


def centrality(found: Sequence[Vector]) -> list[float]:
    """How near each text is to all others, from 0 to 1 for the nearest.

    Degree centrality with cosines as weights, as in LexRank (Erkan and Radev 2004); the sum of a vector's cosines is
    its product with the sum of all vectors, so the cost grows with the number of texts and not with its square.
    """
    everything: dict[str, float] = {}
    for vector in found:
        for stem, value in vector.items():
            everything[stem] = everything.get(stem, 0.0) + value
    raw = [dot(vector, everything) - dot(vector, vector) for vector in found]
    most = max(raw, default=0.0)
    return [value / most if most > 0.0 else 1.0 for value in raw]


def choose(
    scores: Sequence[float], found: Sequence[Vector], costs: Sequence[int], budget: int, *, diversity: float = 0.4
) -> list[int]:
    """The places of the best texts whose costs fit the budget together, in their order.

    Maximal marginal relevance (Carbonell and Goldstein 1998): a text loses `diversity` times the square of its cosine
    to the nearest one that was chosen before; the square leaves those that only share the topic most of what they had.
    Where nothing fits, the best text alone is chosen.
    """
    if not scores:
        return []
    nearest = [0.0] * len(scores)
    left, chosen = budget, list[int]()
    rest = set(range(len(scores)))
    while rest := {place for place in rest if costs[place] <= left}:
        best = max(rest, key=lambda place: ((1 - diversity) * scores[place] - diversity * nearest[place], -place))
        chosen.append(best)
        rest.discard(best)
        left -= costs[best]
        for place in rest:
            nearest[place] = max(nearest[place], dot(found[place], found[best]) ** 2)
    return sorted(chosen) or [max(range(len(scores)), key=lambda place: (scores[place], -place))]


def summarise(text: str, max_words: int, *, question: str = "", form: Literal["prose", "points"] = "prose") -> str:
    """The sentences of a text that say most of it, in its order and in its words, with at most `max_words` words.

    With a question, those that share words with it come first. Markup and headings are left out; if not even one
    sentence fits, the best one stands alone. The method is `centrality` and `choose`; sentences at the beginning gain
    a little, sentences that start with a word for something said before lose.
    """
    parts = segments(text)
    if not parts:
        return " ".join(text.split()[:max_words])
    found = vectors([part.text for part in parts])
    asked = stems(question)
    scores = []
    for place, (part, central) in enumerate(zip(parts, centrality(found), strict=True)):
        shared = len(asked & found[place].keys()) / len(asked) if asked else 0.0
        score = central + shared + LEADING / (1 + place)
        length = len(part.text.split())
        scores.append(score * (DANGLING if place and _DANGLES.match(part.text) else 1.0) * min(1.0, length / WHOLE))
    worth = [place for place, score in enumerate(scores) if score >= FILLER * max(scores)]
    costs = [len(parts[place].text.split()) for place in worth]
    places = choose([scores[place] for place in worth], [found[place] for place in worth], costs, max_words)
    return _written([parts[worth[place]] for place in places], form)


def _written(parts: Sequence[Segment], form: str) -> str:
    if form == "points":
        return "\n".join(f"- {part.text}" for part in parts)
    return " ".join(part.text if _SENTENCE_END.search(part.text) else part.text + "." for part in parts)
