"""The node types `retriever` and `reranker`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypedDict

from pydantic import Field, PositiveInt

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import RerankerName, RetrieverName
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.values import Document


class Documents(TypedDict):
    """What both nodes write."""

    documents: list[Document]


class RetrieverNode(Node, type="retriever"):
    """Find passages for the question, or for each of several queries where the node is mapped over them."""

    origin: ClassVar[str] = "retrieved"
    example: ClassVar[str] = (
        "retrieve: {type: retriever, retriever: recipes, top_k: 20, map: {over: queries, as: query, merge: best}}"
    )

    retriever: RetrieverName = Field(description="The retriever to ask.")
    top_k: PositiveInt = Field(default=10, description="Passages to find at most, for each query.")
    with_question: bool = Field(
        default=True, description="Search for a query together with the question that it is a part of."
    )

    async def __call__(self, question: str, ctx: Context, query: str | None = None) -> Documents:
        """Search for the question, or for `query` where there is one; a part is understood from the whole."""
        text = query or question
        if query and self.with_question and question.strip() not in query:
            text = f"{query} {question}"
        retriever = await ctx.retriever(self.retriever)
        return {"documents": await retriever.search(text, self.top_k)}


class RerankerNode(Node, type="reranker"):
    """Put passages in the order in which they answer the question, and keep the best."""

    example: ClassVar[str] = "rerank: {type: reranker, top_k: 5}"

    reranker: RerankerName = Field(default="overlap", description="What scores the passages.")
    top_k: PositiveInt = Field(default=5, description="Passages to keep.")

    async def __call__(
        self, question: str, documents: list[Document], ctx: Context, queries: list[str] | None = None
    ) -> Documents:
        """Keep the `top_k` best passages; for each of several queries, the best passage for it is among them."""
        if not documents:
            return {"documents": []}
        reranker = await ctx.reranker(self.reranker)
        scores = await reranker.score(question, documents)
        parts = [query for query in dict.fromkeys(queries or ()) if query != question]
        # What the whole question found says little about its parts, so their leaders are chosen without that score.
        plain = [document.model_copy(update={"score": 0.0}) for document in documents] if parts else []
        leaders = [_leader(await reranker.score(query, plain)) for query in parts]
        kept = keep_leaders(scores, leaders, self.top_k)
        return {"documents": [documents[place].model_copy(update={"score": scores[place]}) for place in kept]}


def keep_leaders(scores: Sequence[float], leaders: Sequence[int], top_k: int) -> list[int]:
    """The places of the `top_k` best scores, best first, with the first `leaders` among them where there is room."""
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    first = list(dict.fromkeys([order[0], *leaders]))[:top_k]
    rest = [place for place in order if place not in first]
    return sorted([*first, *rest[: top_k - len(first)]], key=order.index)


def _leader(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)
