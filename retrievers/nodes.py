"""The node types `retriever` and `reranker`."""

from __future__ import annotations

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
        "retrieve: {type: retriever, retriever: recipes, top_k: 20, map: {over: queries, as: query, merge: rrf}}"
    )

    retriever: RetrieverName = Field(description="The retriever to ask.")
    top_k: PositiveInt = Field(default=10, description="Passages to find at most, for each query.")

    async def __call__(self, question: str, ctx: Context, query: str | None = None) -> Documents:
        """Search for `query`, or for the question where there is none."""
        retriever = await ctx.retriever(self.retriever)
        return {"documents": await retriever.search(query or question, self.top_k)}


class RerankerNode(Node, type="reranker"):
    """Put passages in the order in which they answer the question, and keep the best."""

    example: ClassVar[str] = "rerank: {type: reranker, top_k: 5}"

    reranker: RerankerName = Field(default="overlap", description="What scores the passages.")
    top_k: PositiveInt = Field(default=5, description="Passages to keep.")

    async def __call__(
        self, question: str, documents: list[Document], ctx: Context, queries: list[str] | None = None
    ) -> Documents:
        """Keep the `top_k` best passages; the best one for each of the queries is among them where there is room."""
        if not documents:
            return {"documents": []}
        reranker = await ctx.reranker(self.reranker)
        scores = await reranker.score(question, documents)
        order = sorted(range(len(documents)), key=lambda place: -scores[place])
        kept = order[: self.top_k]
        return {"documents": [documents[place].model_copy(update={"score": scores[place]}) for place in kept]}
