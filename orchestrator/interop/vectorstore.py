"""A vector store of LangChain as an index of a graph."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr

from ragweave.orchestrator.access import Access
from ragweave.orchestrator.contracts import Index, IndexStats
from ragweave.orchestrator.errors import IndexUnusable, InputError
from ragweave.orchestrator.filters import FieldKind, Fields, Filter, matches, refuse_all
from ragweave.orchestrator.interop.values import document_of
from ragweave.orchestrator.passages import decoded, encoded, sound
from ragweave.orchestrator.values import Document

if TYPE_CHECKING:
    from langchain_core.documents import Document as TheirDocument
    from langchain_core.vectorstores import VectorStore

_WHOLE = "ragweave"
"""The metadata under which a store keeps a passage of ours as it was, since few keep lists or nothing at all."""


class VectorStoreIndex(Index):
    """Asks a vector store that the program made, such as `Chroma(…)` of langchain-chroma.

    A filter is kept here: the store is asked for more until enough fulfil it. `delete` and `stats` need a store whose
    documents can be listed, which those of LangChain itself and of langchain-chroma are. Scores are relevance scores
    where the store has them, else 1 / rank.
    """

    given: ClassVar[Any] = None
    """The store of a registered type."""
    _store: VectorStore | None = PrivateAttr(None)

    @classmethod
    def of(
        cls, store: VectorStore, *, fields: Mapping[str, FieldKind] | None = None, access: Access | None = None
    ) -> VectorStoreIndex:
        """An index that asks this store; `fields` are the metadata that searches may filter by, and their kinds."""
        made = cls(fields=dict(fields or {}), access=access)
        made.check_settings()
        made._store = store
        return made

    @property
    def store(self) -> Any:
        """The vector store."""
        return self._store if self._store is not None else self.given

    def filterable(self) -> Fields | None:
        """The fields that were declared; None of a store that is not known to give all it has when asked for it, if
        none were."""
        return self.fields if self.fields or self._lister() is not None else None

    async def search(self, query: str, top_k: int, where: Filter = ()) -> list[Document]:
        """Up to `top_k` passages that `where` lets through, best first. Raises what the store raises."""
        if not query.strip() or top_k < 1:
            return []
        query = sound(query)
        wanted = 4 * top_k + 20 if where else top_k
        while True:
            found = await self._scored(query, wanted)
            kept = [one for one in found if matches(one, where)][:top_k]
            if len(kept) == top_k or len(found) < wanted:
                return kept
            wanted *= 4

    async def add(self, documents: Sequence[Document]) -> int:
        """Keep these passages, each in place of one with the same id; how many are new. Where the store cannot look up
        ids, all count as new."""
        given = {_id(one.id): one for one in documents}
        if not given:
            return 0
        kept = [_theirs(one) for one in given.values()]
        old = await self._there(list(given))
        await self.store.aadd_documents(kept, ids=list(given))
        return len(given) - len(old)

    async def delete(self, where: Filter) -> int:
        """Forget every passage that `where` lets through; how many. Raises InputError for the empty filter, and for a
        store that cannot say what it holds."""
        refuse_all(where)
        gone = [key for key, document in self._listed("deleted from by a filter") if matches(document, where)]
        if gone:
            await self.store.adelete(ids=gone)
        return len(gone)

    async def stats(self) -> IndexStats:
        """What the store holds now. Raises InputError for one that cannot say."""
        from ragweave.orchestrator.interop.embedder import LangChainEmbedder

        documents = [document for _, document in self._listed("counted")]
        embeddings = self.store.embeddings
        embedder = getattr(embeddings, "embedder", None)
        if embedder is None and embeddings is not None:
            embedder = LangChainEmbedder.of(embeddings)
        return IndexStats(
            passages=len(documents),
            documents=len({one.source for one in documents}),
            vectors=len(documents),
            embedder=embedder.identity if embedder is not None else None,
            dimension=embedder.dimension if embedder is not None and documents else 0,
            bytes=None,
            how=f"by {type(self.store).__name__} of LangChain",
        )

    async def _scored(self, query: str, count: int) -> list[Document]:
        try:
            pairs = await self.store.asimilarity_search_with_score(query, k=count)
        except NotImplementedError:
            pairs = [(one, None) for one in await self.store.asimilarity_search(query, k=count)]
        scale = self._scale()
        return [
            _ours(one).model_copy(update={"score": 1 / rank if scale is None else scale(score)})
            for rank, (one, score) in enumerate(pairs, start=1)
        ]

    def _scale(self) -> Any:
        """What makes a relevance of the store's own score, which may be a distance; None where nobody knows."""
        if _is(self.store, *_IN_MEMORY):
            return float
        try:
            relevance = self.store._select_relevance_score_fn()  # what LangChain has each store say it by
        except (NotImplementedError, AttributeError, ValueError):
            return None
        return lambda score: float(relevance(score))

    async def _there(self, ids: list[str]) -> list[Any]:
        try:
            return list(await self.store.aget_by_ids(ids))
        except NotImplementedError:
            return []

    def _lister(self) -> Any:
        return next((listed for known, listed in _LISTED.items() if _is(self.store, *known)), None)

    def _listed(self, what: str) -> Iterable[tuple[str, Document]]:
        lister = self._lister()
        if lister is None:
            raise InputError(
                f"a {type(self.store).__name__} cannot be {what}: LangChain has no call that lists what a store holds",
                hint="call the store itself",
            )
        return lister(self.store)  # type: ignore[no-any-return]


_IN_MEMORY = ("langchain_core.vectorstores.in_memory", "InMemoryVectorStore")
_CHROMA = ("langchain_chroma.vectorstores", "Chroma")


def _is(store: Any, module: str, name: str) -> bool:
    known = getattr(sys.modules.get(module), name, None)
    return known is not None and isinstance(store, known)


def _of_memory(store: Any) -> list[tuple[str, Document]]:
    from langchain_core.documents import Document as TheirDocument

    rows = list(store.store.values())
    return [
        (row["id"], _ours(TheirDocument(page_content=row["text"], metadata=row["metadata"], id=row["id"])))
        for row in rows
    ]


def _of_chroma(store: Any) -> list[tuple[str, Document]]:
    from langchain_core.documents import Document as TheirDocument

    found = store.get(include=["documents", "metadatas"])
    return [
        (key, _ours(TheirDocument(page_content=text or "", metadata=metadata or {}, id=key)))
        for key, text, metadata in zip(found["ids"], found["documents"], found["metadatas"], strict=True)
    ]


_LISTED = {_IN_MEMORY: _of_memory, _CHROMA: _of_chroma}


def _ours(document: TheirDocument) -> Document:
    whole = document.metadata.get(_WHOLE)
    if isinstance(whole, str):
        try:
            return decoded(whole, 0.0)
        except IndexUnusable:
            pass  # somebody else's word
    return document_of(document).model_copy(update={"score": 0.0})


def _theirs(document: Document) -> TheirDocument:
    from langchain_core.documents import Document as TheirDocument

    metadata = {key: value for key, value in document.metadata.items() if _is_simple(key) and _is_simple(value)}
    own = {"title": document.title, "source": document.source, "line": document.line}
    metadata |= {key: value for key, value in own.items() if value and _is_simple(value)}
    return TheirDocument(page_content=sound(document.text), metadata={**metadata, _WHOLE: encoded(document)})


def _is_simple(value: Any) -> bool:
    """True for what every store keeps."""
    if isinstance(value, str):
        return sound(value) == value and "\0" not in value
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53)


def _id(key: str) -> str:
    if key and sound(key) == key and "\0" not in key:
        return key
    return f"ragweave-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"
