"""The default retriever: passages found by words and by meaning, the two scores on one scale and added."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, PrivateAttr

from ragweave.orchestrator import passages
from ragweave.orchestrator.contracts import Embedder, EmbedderName, Index, IndexStats
from ragweave.orchestrator.errors import IndexUnusable, MissingExtra, NodeError
from ragweave.orchestrator.filters import Filter, refuse_all
from ragweave.orchestrator.values import Document
from ragweave.retrievers.chunking import PASSAGE_TOKENS, Chunks, Way
from ragweave.retrievers.indexes import generations

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources
    from ragweave.retrievers.indexes.searching import Ways
    from ragweave.retrievers.indexes.stored import StoredIndex
    from ragweave.retrievers.indexes.vectors import Floats
    from ragweave.retrievers.indexes.writing import Writing


_SOON = 4_000
"""Up to so many passages a search, but for the first, takes little more time than to hand it to a thread."""
_SPARE = 3
"""Passages to find for each that is wanted, where some are left out."""


class _Opened(NamedTuple):
    stored: StoredIndex
    model: Embedder | None


class Hybrid(Index, type="hybrid"):
    """Passages of a folder of documents, found by words (BM25) and by meaning (vectors).

    Build the index first: `ragweave index GRAPH`, or `ragweave index FOLDER --to INDEX`.
    """

    index: str = Field(description="Folder of the index, relative to the graph file.")
    documents: str | None = Field(
        default=None, description="Folder or pattern (docs/**/*.md) of documents that the index is built from."
    )
    embedder: EmbedderName = Field(default="minilm", description="What turns texts into vectors.")
    windows: Literal["passage", "sentences"] = Field(
        default="passage",
        description="What has a vector: up to 240 tokens of a passage, or each of its sentences as well.",
    )
    fusion: Literal["auto", "rrf"] = Field(
        default="auto", description="How both become one score: auto adds them on one scale, rrf adds reciprocal ranks."
    )
    weight: float = Field(
        default=0.6, ge=0, le=1, description="Share of meaning in the score; the rest is that of words."
    )
    boosts: float = Field(
        default=0.35, ge=0, le=1, description="What a title gains that the question names; labels and dates gain less."
    )
    links: bool = Field(
        default=True, description="Also bring in documents that the best passages link to, or name by their titles."
    )
    feedback: float = Field(
        default=0.0, ge=0, le=1, description="Share of nearness to the three best passages in the score."
    )
    diversity: float = Field(
        default=0.0, ge=0, lt=1, description="0 ranks by score alone; more puts passages first that say something else."
    )
    duplicates: Literal["keep", "drop"] = Field(
        default="keep", description="drop leaves out passages that say nearly the same as a better one."
    )
    expand: Literal["none", "neighbours", "parent"] = Field(
        default="none", description="Gives each passage with the one before and behind it, or with all of its document."
    )

    chunks: Way = Field(
        default="auto", description="Where documents are cut: auto, heading, sentence, tokens, or whole for not at all."
    )
    chunk_tokens: int = Field(default=PASSAGE_TOKENS, ge=16, le=8192, description="Tokens that a passage has at most.")
    chunk_overlap: int = Field(
        default=0, ge=0, le=4096, description="Tokens that a passage repeats of the one before; at most half of it."
    )

    @property
    def cutting(self) -> Chunks:
        """How documents are cut for this retriever's index."""
        return Chunks(self.chunks, self.chunk_tokens, self.chunk_overlap, self.windows == "sentences")

    _opened: _Opened | None = PrivateAttr(default=None)
    _folder: Any = PrivateAttr(default=None)
    _seen: Any = PrivateAttr(default=None)
    _searched: Any = PrivateAttr(default=None)
    _said: set[str] = PrivateAttr(default_factory=set)
    _resources: Any = PrivateAttr(default=None)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    def open(self, resources: Resources) -> None:
        """Open the index and its embedder. Raises IndexUnusable if it is damaged or of another embedder.

        Where there is none yet, `add` makes one, and a search says how to build it. When the index is built again,
        searches that begin after that use the new one. One that cannot be used is said through `resources.say`, and the
        old one goes on.
        """
        self._resources = resources
        self._folder = resources.folder / Path(self.index).expanduser()
        self._seen = generations.stamp(self._folder)
        self._opened = self._open_current(None) if self._seen is not None else None

    def _open_current(self, previous: StoredIndex | None) -> _Opened:
        from ragweave.retrievers.indexes.stored import StoredIndex  # needs numpy, which a check of the graph does not

        stored = StoredIndex(self._folder, previous)
        if previous is None and stored.manifest.get("chunking") != self.cutting.identity:
            said = f"the index {self.index!r} was cut by another version or with other settings"
            self._resources.say(f"{said}; `ragweave index` on the graph file cuts it anew")
        return _Opened(stored, self._open_embedder(stored, self._resources) if self.weight > 0 else None)

    def _current(self) -> _Opened:
        """The index as it is now, opened anew if it was written again. Raises IndexUnusable if there is none."""
        stamp = generations.stamp(self._folder)
        if stamp != self._seen and stamp is not None:
            with self._lock:
                if stamp != self._seen:
                    self._opened = self._opened_again()
                    self._seen = stamp
        if self._opened is None:
            raise self._missing()
        return self._opened

    def _opened_again(self) -> _Opened:
        if self._opened is None:
            return self._open_current(None)
        try:
            return self._open_current(self._opened.stored)
        except NodeError as error:
            self._resources.say(f"the index {self.index!r} was built again; the old one is used on: {error}")
        return self._opened

    async def search(self, query: str, top_k: int, where: Filter = ()) -> list[Document]:
        """Up to `top_k` passages that `where` lets through, best first; scores are between 0 and 1. Blank queries find
        nothing."""
        if not query.strip() or top_k < 1:
            return []
        sound = passages.sound(query)
        now = self._opened if generations.stamp(self._folder) == self._seen else None
        stored, model = now if now is not None else await asyncio.to_thread(self._current)
        vector = await model.embed_query(sound) if model is not None else None
        is_plain = not where and self.duplicates == "keep" and len(stored) <= _SOON
        if is_plain and self._searched is stored:
            return self._search(stored, vector, sound, top_k, where)
        found = await asyncio.to_thread(self._search, stored, vector, sound, top_k, where)
        if is_plain:
            self._searched = stored
        return found

    @property
    def ways(self) -> Ways:
        """How passages are ranked."""
        from ragweave.retrievers.indexes.searching import Ways  # needs numpy, which a check of the graph does not

        return Ways(self.fusion, self.weight, self.boosts, self.links, self.feedback)

    def _search(
        self, stored: StoredIndex, vector: Floats | None, query: str, top_k: int, where: Filter
    ) -> list[Document]:
        from ragweave.retrievers.indexes.searching import candidates, chosen, expanded, ranked
        from ragweave.retrievers.ranking.diversity import distinct

        mask = stored.mask(where) if where else None
        wanted = top_k if self.duplicates == "keep" else top_k * _SPARE
        found = ranked(stored, candidates(stored, query, vector, mask, wanted), self.ways)
        rows, scores = chosen(stored, *found, wanted, self.diversity)
        passages = expanded(stored, rows, scores, mask, self.expand)
        return list(islice(passages if self.duplicates == "keep" else distinct(passages), top_k))

    @property
    def searches_by_meaning(self) -> bool:
        """True if the index has vectors, and its embedder is there. Raises IndexUnusable if there is no index."""
        return self._current().model is not None

    def source_named(self, name: str) -> str | None:
        """The source of the index that a path means, with or without its extension; None if there is none."""
        return self._current().stored.sites.resolve(name, "")

    def tried(self, query: str, ways: Sequence[Ways], top_k: int = 20) -> list[list[str]]:
        """For each way to rank, the sources of the best passages, each once: all of one pass over the index."""
        from ragweave.retrievers.indexes.searching import candidates, chosen, ranked

        stored, model = self._current()
        vector = model.embed_queries([query])[0] if model is not None else None
        found = candidates(stored, query, vector, None, top_k)
        tried = [chosen(stored, *ranked(stored, found, way), top_k, self.diversity)[0].tolist() for way in ways]
        sources = {row: stored.passage(row).source for row in {row for rows in tried for row in rows}}
        return [list(dict.fromkeys(sources[row] for row in rows)) for rows in tried]

    async def add(self, documents: Sequence[Document]) -> int:
        """Keep these passages as they are, each in place of one with the same id; how many are new.

        They lie beside those of the folder, and `ragweave index` leaves them there. Makes the index where there is
        none. Waits for another that is writing, up to half a minute. Raises IndexUnusable, InputError.
        """
        return await asyncio.to_thread(lambda: self._writing().add(documents))

    async def delete(self, where: Filter) -> int:
        """Forget every passage that `where` lets through; how many. No file of the index holds anything of them after
        that. What is deleted of a file stays away until the file changes. Raises InputError for the empty filter."""
        refuse_all(where)
        return await asyncio.to_thread(lambda: self._writing().delete(where))

    async def stats(self) -> IndexStats:
        """What the index holds now."""
        stored, _ = await asyncio.to_thread(self._current)
        return stored.stats()

    def _writing(self) -> Writing:
        from ragweave.retrievers.indexes.committing import Facts
        from ragweave.retrievers.indexes.writing import Writing

        with contextlib.suppress(IndexUnusable):
            self._current()
        stored = self._opened.stored if self._opened is not None else None
        wanted = self.weight > 0 if stored is None else stored.embedder is not None
        model = self._resources.get("embedders", self.embedder) if wanted else None
        return Writing(self._folder, stored, Facts(model, self.cutting.identity, self.fields))

    def _missing(self) -> IndexUnusable:
        return IndexUnusable(f"there is no index in {str(self._folder)!r}", hint=f"run `{self._command()}`")

    def _command(self) -> str:
        return f"ragweave index {self.documents or 'DOCUMENTS'} --to {self.index}"

    def _open_embedder(self, stored: StoredIndex, resources: Resources) -> Embedder | None:
        """The embedder of the index; None, said once, where only words can be searched."""
        if stored.embedder is None:
            self._say_once(f"the index {self.index!r} was built without an embedder: searching by words only")
            return None
        try:
            model: Embedder = resources.get("embedders", self.embedder)
        except MissingExtra as error:
            self._say_once(f"{error}: searching by words only")
            return None
        if model.identity != stored.embedder:
            raise IndexUnusable(
                f"the index {self.index!r} was built with the embedder {stored.embedder!r}, "
                f"but {self.embedder!r} is {model.identity!r}",
                hint=f"build it again with `{self._command()}`, or name the embedder that it was built with",
            )
        return model

    def _say_once(self, notice: str) -> None:
        if notice not in self._said:
            self._said.add(notice)
            self._resources.say(notice)
