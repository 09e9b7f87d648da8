"""A retriever of LangChain as a retriever of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr

from ragweave.orchestrator.contracts import Retriever
from ragweave.orchestrator.errors import ContractError, a
from ragweave.orchestrator.interop.values import document_of
from ragweave.orchestrator.values import Document

if TYPE_CHECKING:
    from langchain_core.retrievers import BaseRetriever


class LangChainRetriever(Retriever):
    """Asks a retriever that the program made, such as `store.as_retriever()`.

    One that takes `k`, as those of vector stores do, is asked for as many documents as wanted; of others, the first are
    taken. Scores are those in the metadata (`relevance_score`, `score`) if every document has one, else 1 / rank.
    """

    given: ClassVar[Any] = None
    """The retriever of a registered type."""
    _retriever: BaseRetriever | None = PrivateAttr(None)

    @classmethod
    def of(cls, retriever: BaseRetriever) -> LangChainRetriever:
        """A resource that asks this retriever."""
        made = cls()
        made._retriever = retriever
        return made

    async def search(self, query: str, top_k: int) -> list[Document]:
        """The documents that it finds, best first. Raises what it raises."""
        retriever: Any = self._retriever or self.given
        found = await retriever.ainvoke(query, k=top_k)  # LangChain passes k on to those alone that take it
        if not isinstance(found, list):
            came = a(type(found).__name__)
            raise ContractError(f"{type(retriever).__name__} returned {came}, not a list of Document")
        documents = [document_of(one) for one in found[:top_k]]
        scores = [_score(one) for one in documents]
        if None in scores:
            scores = [1 / (rank + 1) for rank in range(len(documents))]
        return [one.model_copy(update={"score": score}) for one, score in zip(documents, scores, strict=True)]


def _score(document: Document) -> float | None:
    said = document.metadata.get("relevance_score", document.score or None)
    return float(said) if isinstance(said, (int, float)) else None
