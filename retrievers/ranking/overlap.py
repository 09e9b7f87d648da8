"""A reranker that needs no model: the score that found a passage, and how much of the question stands in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import Field

from ragweave.orchestrator.contracts import Reranker
from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes.words import stems


@dataclass(frozen=True, slots=True)
class _Bag:
    """The stems of a passage: all of them, of its title, and the pairs that stand side by side."""

    all: frozenset[str]
    title: frozenset[str]
    pairs: frozenset[tuple[str, str]]


class Overlap(Reranker, type="overlap"):
    """Scores passages by what they share with the question, on top of the score that found them.

    A passage gains by the share of the question's words that it holds (rare words count for more), by pairs of words
    that stand side by side in both, and by a title that the question names.
    """

    retrieval: float = Field(default=1.0, ge=0, description="Weight of the score that found the passage.")
    coverage: float = Field(default=0.5, ge=0, description="Weight of the question's words in the passage.")
    phrases: float = Field(default=0.2, ge=0, description="Weight of pairs of neighbouring words.")
    titles: float = Field(default=0.5, ge=0, description="Weight of a title that the question names.")

    async def score(self, question: str, documents: Sequence[Document]) -> list[float]:
        """One number a document, higher is better; 0.0 at least, and no more than the sum of the weights."""
        if not documents:
            return []
        words = stems(question)
        bags = [_bag(document) for document in documents]
        rarity = {word: _rarity(word, bags) for word in set(words)}
        pairs = set(pairwise(words))
        found = _scaled([document.score for document in documents])
        return [
            self.retrieval * prior
            + self.coverage * _covered(rarity, bag.all)
            + self.phrases * len(pairs & bag.pairs) / max(len(pairs), 1)
            + self.titles * _named(rarity, bag.title)
            for prior, bag in zip(found, bags, strict=True)
        ]


def _bag(document: Document) -> _Bag:
    title, text = stems(document.title), stems(document.text)
    pairs = {*pairwise(title), *pairwise(text)}
    return _Bag(frozenset(title) | frozenset(text), frozenset(title), frozenset(pairs))


def _rarity(word: str, bags: Sequence[_Bag]) -> float:
    """The inverse document frequency of a word among the passages at hand, as BM25 has it."""
    holding = sum(word in bag.all for bag in bags)
    return math.log1p((len(bags) - holding + 0.5) / (holding + 0.5))


def _covered(rarity: dict[str, float], held: frozenset[str]) -> float:
    total = sum(rarity.values())
    return sum(weight for word, weight in rarity.items() if word in held) / total if total > 0 else 0.0


def _named(rarity: dict[str, float], title: frozenset[str]) -> float:
    """How much of the question is in the title, times how much of the title is in the question."""
    return _covered(rarity, title) * len(title & rarity.keys()) / len(title) if title else 0.0


def _scaled(scores: Sequence[float]) -> list[float]:
    """From 0 for the worst to 1 for the best; all 0 where a retriever tells none from another."""
    low, high = min(scores), max(scores)
    return [(score - low) / (high - low) if high > low else 0.0 for score in scores]
