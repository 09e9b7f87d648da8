"""What indexes in a database have in common: they are filled from a folder of documents, or passage by passage."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.contracts import Embedder, EmbedderName, Index, IndexStats
from ragweave.orchestrator.errors import IndexUnusable, InputError
from ragweave.orchestrator.filters import Filter, refuse_all
from ragweave.orchestrator.passages import encoded, sound
from ragweave.orchestrator.values import Document
from ragweave.retrievers import chunking
from ragweave.retrievers.chunking import PASSAGE_TOKENS, WINDOW_TOKENS, Chunks, Way
from ragweave.retrievers.indexes.passagerows import Row, last_of_each

if TYPE_CHECKING:
    import numpy as np

    from ragweave.orchestrator.resources import Resources
    from ragweave.retrievers.indexes.entries import Tell
    from ragweave.retrievers.indexes.freshness import Changes
    from ragweave.retrievers.indexes.indexing import IndexReport


class KnownSource(NamedTuple):
    """A file as a database knows it."""

    digest: str
    passages: int
    vectors: int
    notes: tuple[str, ...] = ()


class NewSource(NamedTuple):
    """A file that was read, with its passages."""

    known: KnownSource
    rows: Sequence[Row]


class Shelf(Protocol):
    """A database while its folder is read: what it holds, and what takes its place, in one go."""

    @property
    def known(self) -> Mapping[str, KnownSource]:
        """The files by their paths; none where all of it is to be made anew."""

    rebuilt: str
    """Why nothing of what was there can be used again; empty if it can, or if there was nothing."""

    def put(self, fresh: Mapping[str, NewSource], gone: Sequence[str], began: float) -> None:
        """Replace what is known of these files, and forget others, all or nothing."""


class FilledIndex(Index):
    """An index in a database. Passages are found by the best of their windows, as in `hybrid`."""

    documents: str | None = Field(
        default=None, description="Folder or pattern (docs/**/*.md) of documents that the index is built from."
    )
    embedder: EmbedderName = Field(default="minilm", description="What turns texts into vectors.")
    chunks: Way = Field(
        default="auto", description="Where documents are cut: auto, heading, sentence, tokens, or whole for not at all."
    )
    chunk_tokens: int = Field(default=PASSAGE_TOKENS, ge=16, le=8192, description="Tokens that a passage has at most.")
    chunk_overlap: int = Field(
        default=0, ge=0, le=4096, description="Tokens that a passage repeats of the one before; at most half of it."
    )

    _resources: Any = PrivateAttr(default=None)
    _model: Embedder | None = PrivateAttr(default=None)

    @property
    def cutting(self) -> Chunks:
        """How documents are cut for this index."""
        return Chunks(self.chunks, self.chunk_tokens, self.chunk_overlap)

    # --- what each database does in its own way; all of it blocks ---

    @abstractmethod
    def shown(self, resources: Resources) -> str:
        """How messages name it."""

    def folder_of_index(self, resources: Resources) -> Path | None:
        """Where it lies on this machine; None if it lies elsewhere."""
        return None

    @abstractmethod
    def exists(self, resources: Resources) -> bool:
        """True if it was ever filled. Raises IndexUnusable if that cannot be told."""

    @abstractmethod
    def changes(self, resources: Resources) -> Changes:
        """How the documents have changed since they were indexed; nothing where that cannot be told soon."""

    @abstractmethod
    def filling(self, resources: Resources, embedder: Embedder | None) -> AbstractContextManager[Shelf]:
        """The right to fill it from its folder. Raises IndexUnusable if another process does."""

    @abstractmethod
    def _find(self, query: str, top_k: int, where: Filter) -> list[Document]: ...

    @abstractmethod
    def _keep(self, rows: Sequence[Row]) -> int: ...

    @abstractmethod
    def _forget(self, where: Filter) -> int: ...

    @abstractmethod
    def counted(self, resources: Resources) -> IndexStats:
        """What it holds; it need not have been opened."""

    # --- what they have in common ---

    def fill(
        self,
        resources: Resources,
        embedder: Embedder | None,
        progress: Tell | None = None,
    ) -> IndexReport:
        """Index the folder `documents`, or bring it up to date. Blocks. Raises InputError if there is nothing to index,
        IndexUnusable."""
        from ragweave.retrievers.indexes.filling import fill

        return fill(self, resources, embedder, progress)

    def folder(self, resources: Resources) -> Path:
        """Where its documents are. Raises InputError if it has none."""
        if self.documents is None:
            raise InputError(f"{self.shown(resources)} has no documents to index", hint="give it `documents: FOLDER`")
        return resources.folder / Path(self.documents).expanduser()

    async def search(self, query: str, top_k: int, where: Filter = ()) -> list[Document]:
        """Up to `top_k` passages that `where` lets through, best first. Blank queries find nothing."""
        if not query.strip() or top_k < 1:
            return []
        return await asyncio.to_thread(self._find, sound(query), top_k, where)

    async def add(self, documents: Sequence[Document]) -> int:
        """Keep these passages, each in place of one with the same id; how many are new. Raises ModelError,
        IndexUnusable."""
        if not documents:
            return 0
        return await asyncio.to_thread(lambda: self._keep(self.rows_of(last_of_each(documents))))

    async def delete(self, where: Filter) -> int:
        """Forget every passage that `where` lets through; how many. Raises InputError for the empty filter."""
        refuse_all(where)
        return await asyncio.to_thread(self._forget, where)

    async def stats(self) -> IndexStats:
        """What the index holds now."""
        return await asyncio.to_thread(self.counted, self._resources)

    def rows_of(self, documents: Sequence[Document]) -> list[Row]:
        """Passages with the vectors of their windows; with none where there is no embedder."""
        bodies = [encoded(one) for one in documents]  # first, since it may refuse them
        vectors = vectors_of(documents, self._model)
        return [Row(*one) for one in zip(documents, bodies, vectors, strict=True)]

    def refuse_other(self, known: str, embedder: Embedder) -> None:
        """Raise IndexUnusable if its vectors are those of another embedder."""
        if known != embedder.identity:
            raise IndexUnusable(
                f"{self.shown(self._resources)} was built with the embedder {known!r}, "
                f"but {self.embedder!r} is {embedder.identity!r}",
                hint="name the embedder that it was built with, or build it again with `ragweave index`",
            )

    def none_yet(self, resources: Resources) -> IndexUnusable:
        """The error of an index whose documents were never indexed."""
        return IndexUnusable(
            f"{self.shown(resources)} is empty: its documents {self.documents!r} were never indexed",
            hint="run `ragweave index` on the graph file",
        )


def windows_of(document: Document) -> list[str]:
    """The texts whose vectors stand for a passage."""
    return [sound(window) for window in chunking.windows(document, WINDOW_TOKENS)]


def vectors_of(
    documents: Sequence[Document],
    embedder: Embedder | None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> list[np.ndarray]:
    """The vectors of each passage's windows. `tell` hears how many of all windows are done."""
    import numpy as np

    if embedder is None:
        return [np.zeros((0, 0), dtype=np.float32)] * len(documents)
    from ragweave.retrievers.embedders import kept

    windows = [windows_of(one) for one in documents]
    texts = [window for some in windows for window in some]
    made = kept.embed_all(embedder, texts, tell)
    ends = np.cumsum([len(some) for some in windows])
    return np.split(made, ends[:-1])
