"""What the tests of indexes have in common."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ragweave.orchestrator.contracts import Embedder, Index
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.filters import FieldKind, Filter, matches
from ragweave.orchestrator.values import Document

FIELDS: Mapping[str, FieldKind] = {
    "language": "str",
    "year": "int",
    "price": "float",
    "draft": "bool",
    "day": "date",
    "tags": "list[str]",
}
"""A field of each kind."""
ACCESS: Mapping[str, Any] = {
    "fields": {"owner": "str", "seen_by": "list[str]"},
    "access": {"tenant": "owner", "readers": "seen_by"},
}
"""Settings of an index whose passages belong to a tenant, and to some users of it."""
DIMENSION = 32
REFUSED = "This text is refused by its embedder."


class WordVectors(Embedder):
    """Texts to the sums of their words' vectors, which are made of the words' hashes: the more words two texts have in
    common, the nearer they are. Refuses one text, as a model may."""

    named: str = "kit"
    length: int = DIMENSION

    @property
    def identity(self) -> str:
        """`kit/32` for that of the tests."""
        return f"{self.named}/{self.length}"

    @property
    def dimension(self) -> int:
        """The numbers of a vector."""
        return self.length

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 of shape (len(texts), dimension), rows of length 1."""
        rows = np.zeros((len(texts), self.length), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            if REFUSED in text:
                raise ModelError("the embedder refuses this text")
            for word in set(re.findall(r"\w+", text.lower())) or {""}:
                row += self._vector(word)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)  # type: ignore[no-any-return]

    def _vector(self, word: str) -> np.ndarray:
        digest = hashlib.shake_256(word.encode("utf-8", "replace")).digest(self.length)
        return np.frombuffer(digest, dtype=np.uint8).astype(np.float32) / 255 - 0.3


class MakeIndex(Protocol):
    """What the fixture `make_index` gives."""

    def __call__(self, embedder: Embedder, place: int = 0, **settings: Any) -> Index:
        """One more index on a place of this test."""


class Indexes:
    """The indexes of one test: opened as it likes, and closed at its end."""

    def __init__(self, make: MakeIndex) -> None:
        self._make = make
        self._open: list[Index] = []

    def __call__(self, *, embedder: Embedder | None = None, place: int = 0, **settings: Any) -> Index:
        """One more; blocks."""
        settings = settings or {"fields": dict(FIELDS)}
        index = self._make(embedder or WordVectors(), place, **settings)
        self._open.append(index)
        return index

    async def reopened(self, **settings: Any) -> Index:
        """Close all of them; a new one, which knows only what was kept."""
        await self.close()
        return self(**settings)

    async def close(self) -> None:
        """Close all of them."""
        closing, self._open = self._open, []
        for index in closing:
            await index.close()


def on_indexes(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test of `indexes` that pytest runs with the fixture `make_index`, and without a plugin for asyncio."""

    def run(make_index: MakeIndex, **others: Any) -> None:
        async def do() -> None:
            indexes = Indexes(make_index)
            try:
                await test(indexes, **others)
            finally:
                await indexes.close()

        asyncio.run(do())

    first, *others = inspect.signature(test).parameters.values()
    fixture = first.replace(name="make_index", annotation=inspect.Parameter.empty)
    run.__signature__ = inspect.Signature([fixture, *others])  # type: ignore[attr-defined]
    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    run.__qualname__ = test.__qualname__
    return run


def passage(key: str, text: str = "", /, **metadata: Any) -> Document:
    """A passage that a search for `passage` finds."""
    return Document(id=key, text=f"passage {text or key}", source=f"{key[:1]}.md", metadata=metadata)


async def found(index: Index, where: Filter = (), query: str = "passage") -> list[str]:
    """The ids of all passages that a filter lets through, sorted."""
    return sorted(document.id for document in await index.search(query, 1000, where))


async def forget(index: Index, documents: Iterable[Document]) -> None:
    """Delete these passages, whatever sources they are of."""
    sources = sorted({document.source for document in documents})
    if sources:
        await index.delete(index.filter({"source": {"in": sources}}))


def let_through(documents: Iterable[Document], where: Filter) -> list[str]:
    """What a filter lets through, as its definition says; sorted ids."""
    return sorted(document.id for document in documents if matches(document, where))


def as_kept(document: Document) -> Mapping[str, Any]:
    """All of a passage but its score."""
    return document.model_dump(exclude={"score"})
