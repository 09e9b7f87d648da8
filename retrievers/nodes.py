"""The node types `retriever` and `reranker`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypedDict

from pydantic import Field, PositiveInt

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Index, RerankerName, Retriever, RetrieverName
from ragweave.orchestrator.errors import ContractError, NodeError
from ragweave.orchestrator.filters import Demand, Fault, FieldKind, Filter, bound, compiled, matches
from ragweave.orchestrator.node import Node, Read, Remark, Signature
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import Type, type_of
from ragweave.orchestrator.values import Document

_KINDS: Mapping[FieldKind, Any] = {"int": int, "float": float, "bool": bool}

_NEARLY = 0.8
"""A passage of so much of a part's best score speaks for that part: no other has to make room."""


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
    where: dict[str, Any] = Field(
        default_factory=dict,
        description='Only passages whose metadata fulfil this: {year: {">=": 2024}, language: "{language}"}; '
        "{language} stands for the state key of that name.",
    )

    def signature(self, resources: Resources) -> Signature:
        """Reads the question, `query` where there is one, and the state keys that `where` names."""
        if not self.where:
            return self.declared
        conditions, faults = self._filter(resources.as_declared("retrievers", self.retriever))
        named = {one.key: Read(_type(one)) for one in conditions if one.key}
        reads = {**named, **self.declared.reads}
        return self.declared._replace(
            reads=reads, faults=tuple(Remark(fault.message, ("where", *fault.place)) for fault in faults)
        )

    def _filter(self, retriever: Retriever | None) -> tuple[Filter, list[Fault]]:
        if retriever is None:  # its own settings are wrong, which is told of where they are
            return (), []
        fields = retriever.filterable() if isinstance(retriever, Index) else None
        if fields is None:
            return (), [Fault(f"{self.retriever!r} cannot filter", ())]
        return compiled(self.where, fields)

    async def __call__(self, question: str, ctx: Context, query: str | None = None, **state: Any) -> Documents:
        """Search for the question, or for `query` where there is one; a part is understood from the whole."""
        text = query or question
        if query and self.with_question and question.strip() not in query:
            text = f"{query} {question}"
        retriever = await ctx.retriever(self.retriever)
        conditions, faults = self._filter(retriever) if self.where else ((), [])
        for fault in faults:
            raise NodeError(f"where.{'.'.join(map(str, fault.place))}: {fault.message}")
        if not isinstance(retriever, Index):
            return {"documents": await retriever.search(text, self.top_k)}
        keys = {"question": question, "query": query, **state}
        where = (*bound(conditions, keys), *retriever.allowed(ctx.tenant, ctx.user))
        found = await retriever.search(text, self.top_k, where)
        for document in found:
            if not matches(document, where):
                raise ContractError(
                    f"the retriever {self.retriever!r} gave {document.id!r}, which its filter does not let through",
                    hint="nothing of what it found is shown",
                )
        return {"documents": found}


def _type(condition: Demand) -> Type:
    """The type of a state key that a condition takes its value from."""
    one = type_of(_KINDS.get(condition.kind, str))
    return Type("list", one) if condition.operator == "in" else one


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
        best = sorted(range(len(scores)), key=lambda place: -scores[place])[: self.top_k]
        of_parts = [await reranker.score(query, plain) for query in parts]
        leaders = [_leader(one) for one in of_parts if not _served(one, best)]
        kept = keep_leaders(scores, leaders, self.top_k)
        return {"documents": [documents[place].model_copy(update={"score": scores[place]}) for place in kept]}


def keep_leaders(scores: Sequence[float], leaders: Sequence[int], top_k: int) -> list[int]:
    """The places of the `top_k` best scores, best first, with the first `leaders` among them where there is room."""
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    first = list(dict.fromkeys([order[0], *leaders]))[:top_k]
    rest = [place for place in order if place not in first]
    return sorted([*first, *rest[: top_k - len(first)]], key=order.index)


def _served(scores: Sequence[float], kept: Sequence[int]) -> bool:
    """True if one of those that are kept anyway is nearly as good for this part as the best."""
    return max(scores[place] for place in kept) >= _NEARLY * max(scores)


def _leader(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)
