"""Retrievers, graphs that find documents, and embedders as LangChain calls them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document as TheirDocument
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, PositiveInt

from ragweave.orchestrator.contracts import Embedder, Index, Retriever
from ragweave.orchestrator.errors import ContractError
from ragweave.orchestrator.filters import filter_of
from ragweave.orchestrator.interop.values import theirs
from ragweave.orchestrator.running.bridge import wait_for


class PassageRetriever(BaseRetriever):
    """A retriever of ours: `k` documents, with their scores in the metadata.

    Of an index, a call may have a `where`, and `tenant` and `user` if it has an `access`:
    `retriever.invoke("…", where={"year": 2024}, tenant="acme")`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    k: PositiveInt = 10

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **given: Any
    ) -> list[TheirDocument]:
        return wait_for(self._found(query, **given))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **given: Any
    ) -> list[TheirDocument]:
        return await self._found(query, **given)

    async def _found(
        self, query: str, k: int | None = None, where: dict[str, Any] | None = None, tenant: str = "", user: str = ""
    ) -> list[TheirDocument]:
        if isinstance(self.retriever, Index):
            wanted = filter_of(where or {}, self.retriever.filterable() or {})
            allowed = self.retriever.allowed(tenant, user)
            found = await self.retriever.search(query, k or self.k, (*wanted, *allowed))
        else:
            filter_of(where or {}, {})
            found = await self.retriever.search(query, k or self.k)
        return [theirs(one) for one in found]


class GraphRetriever(BaseRetriever):
    """A graph that writes documents: it is given the question, and `configurable` may have thread_id, user, tenant and
    deadline."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    graph: Any
    output: str = "documents"
    question: str = "question"

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **given: Any
    ) -> list[TheirDocument]:
        return wait_for(self._found(query, given))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **given: Any
    ) -> list[TheirDocument]:
        return await self._found(query, given)

    async def _found(self, query: str, given: dict[str, Any]) -> list[TheirDocument]:
        result = await self.graph.arun({**given, self.question: query})
        found = [theirs(one) for one in result[self.output] or ()]
        if not all(isinstance(one, TheirDocument) for one in found):
            raise ContractError(f"{self.graph.name!r} writes no documents as {self.output!r}")
        return found


class EmbedderEmbeddings(Embeddings):
    """An embedder of ours."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self.model = embedder.identity

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of passages."""
        return self.embedder.embed(list(texts)).tolist() if texts else []

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return self.embedder.embed_queries([text])[0].tolist()  # type: ignore[no-any-return]
