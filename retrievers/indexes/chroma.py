"""The retriever `chroma`: passages found by meaning, in a folder of Chroma. Needs the extra `chroma`."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.contracts import Embedder, IndexStats
from ragweave.orchestrator.errors import IndexUnusable, InputError, MissingExtra
from ragweave.orchestrator.filters import Filter, matches
from ragweave.orchestrator.passages import decoded
from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes import chromaplace
from ragweave.retrievers.indexes.chromaplace import Place
from ragweave.retrievers.indexes.chromarecords import (
    delete,
    found_passages,
    keys_of_files,
    nearest,
    pages,
    pushed_filter,
    put,
)
from ragweave.retrievers.indexes.filled import FilledIndex, KnownSource, NewSource, Shelf, vectors_of
from ragweave.retrievers.indexes.freshness import MOST_FILES, Changes, compared
from ragweave.retrievers.indexes.passagerows import Row, fact_names, facts_of, safe

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Head:
    """What a collection holds."""

    collection: str
    """Its name in Chroma; another one once it was built anew."""
    embedder: str
    dimension: int
    facts: list[str] = field(default_factory=list)
    passages: int = 0
    chunking: str = ""
    began: float = 0.0
    format: int = FORMAT


class Chroma(FilledIndex, type="chroma"):
    """Passages found by meaning alone, in a folder of Chroma.

    Filters are Chroma's own. Several processes may search; one at a time writes. Fill it by `ragweave index GRAPH`, or
    by `add` in Python.
    """

    index: str = Field(min_length=1, description="Folder of the index, relative to the graph file.")
    collection: str = Field(
        "passages", pattern="^[a-zA-Z0-9][a-zA-Z0-9_-]{1,60}[a-zA-Z0-9]$", description="Name of the collection in it."
    )

    _place: Place | None = PrivateAttr(default=None)

    # --- opening ---

    def open(self, resources: Resources) -> None:
        """Open the folder and the embedder. Raises MissingExtra, or IndexUnusable if the index is damaged, of another
        embedder, or has documents that were never indexed."""
        _driver()
        self._resources = resources
        model: Embedder = resources.get("embedders", self.embedder)
        head = self._head(resources)
        if head is None and self.documents is not None:
            raise self.none_yet(resources)
        if head is not None:
            self.refuse_other(head.embedder, model)
        self._model = model
        self._place = chromaplace.take(self.folder_of_index(resources))
        if head is not None and not fact_names(self.fields).keys() <= set(head.facts):
            try:
                self._declare()
            except BaseException:  # nobody closes what was never open
                place, self._place = self._place, None
                chromaplace.leave(place)
                raise

    async def close(self) -> None:
        """Let go of the folder."""
        place, self._place = self._place, None
        if place is not None:
            await asyncio.to_thread(chromaplace.leave, place)  # which waits for those who read

    def shown(self, resources: Resources) -> str:
        """How messages name it."""
        return f"the Chroma index {self.index!r}"

    def exists(self, resources: Resources) -> bool:
        """True if something was ever written."""
        return self._head_file(resources).exists()

    def folder_of_index(self, resources: Resources) -> Path:
        """The folder of Chroma."""
        return Path(resources.folder / Path(self.index).expanduser())

    def _head_file(self, resources: Resources) -> Path:
        return (self.folder_of_index(resources) / f"{self.collection}.head.json").resolve()

    def _sources_file(self, resources: Resources) -> Path:
        return self.folder_of_index(resources) / f"{self.collection}.sources.json"

    def _head(self, resources: Resources) -> Head | None:
        """What there is; None if nothing was ever written. Raises IndexUnusable."""
        try:
            found = json.loads(self._head_file(resources).read_bytes())
            if found["format"] != FORMAT:
                raise IndexUnusable(
                    f"{self.shown(resources)} has format {found['format']}, this version reads {FORMAT}",
                    hint="build it again",
                )
            return Head(**found)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(resources, f"{type(error).__name__}: {error}") from None

    def _sources(self, resources: Resources) -> dict[str, KnownSource]:
        try:
            found = json.loads(self._sources_file(resources).read_bytes())
            return {
                source: KnownSource(digest, int(passages), int(vectors), tuple(notes))
                for source, (digest, passages, vectors, notes) in found.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise self._damaged(resources, f"{type(error).__name__}: {error}") from None

    def _damaged(self, resources: Resources, what: str) -> IndexUnusable:
        return IndexUnusable(f"{self.shown(resources)} is damaged: {what}", hint="delete the folder and build it again")

    # --- reading ---

    def _find(self, query: str, top_k: int, where: Filter) -> list[Document]:
        place = self._opened()
        if not self.exists(self._resources):
            return []
        pushed, exact = pushed_filter(where)
        if pushed is None or self._model is None:
            return []
        vector = self._model.embed_queries([query])[0]
        with place.reading(self._head_file(self._resources)):
            head = self._now()
            collection = place.collection(head.collection)
            wanted = 2 * top_k + 8
            while True:
                metadatas, distances, is_all = nearest(collection, vector, pushed, wanted)
                documents = found_passages(collection, metadatas, distances, top_k, where)
                if len(documents) >= top_k or is_all:
                    return documents
                wanted *= 4 if exact else 8

    def counted(self, resources: Resources) -> IndexStats:
        """What it holds; it need not have been opened."""
        head = self._head(resources)
        how = "hnsw, by Chroma"
        if head is None:
            return IndexStats(0, 0, 0, None, 0, None, how)
        place = chromaplace.take(self.folder_of_index(resources))
        try:
            with place.reading(self._head_file(resources)):
                collection = place.collection(head.collection)
                sources = {str(one["source:str"]) for part in pages(collection, {"window": 0}) for _, one in part}
                vectors = int(collection.count())
        finally:
            chromaplace.leave(place)
        size = sum(file.stat().st_size for file in place.folder.rglob("*") if file.is_file())
        return IndexStats(head.passages, len(sources), vectors, head.embedder, head.dimension, size, how)

    def changes(self, resources: Resources) -> Changes:
        """How the documents have changed since they were indexed; nothing where there are too many of them."""
        head, known = self._head(resources), self._sources(resources)
        if head is None or self.documents is None or len(known) > MOST_FILES:
            return Changes()
        digests = {source: one.digest for source, one in known.items()}
        return compared(self.folder(resources), digests, head.began)

    def _opened(self) -> Place:
        if self._place is None:
            raise IndexUnusable(f"{self.shown(self._resources)} is closed")
        return self._place

    def _now(self) -> Head:
        """What there is at this moment, for those who read or write. Raises IndexUnusable if it is another's now."""
        head = self._head(self._resources)
        if head is None:
            raise self._damaged(self._resources, "it was deleted while it was open")
        if self._model is not None:
            self.refuse_other(head.embedder, self._model)
        return head

    # --- writing ---

    def _keep(self, rows: Sequence[Row]) -> int:
        place, file = self._opened(), self._head_file(self._resources)
        with place.writing(file):
            head = self._now() if self.exists(self._resources) else self._begun(place, self._model)
            collection = place.collection(head.collection)
            with place.alone(file):
                new = put(collection, [(row, False) for row in rows], head.facts, place.batch)
                self._write(replace(head, passages=head.passages + new))
        return new

    def _forget(self, where: Filter) -> int:
        place, file = self._opened(), self._head_file(self._resources)
        if not self.exists(self._resources):
            return 0
        pushed, _ = pushed_filter(where)
        if pushed is None:
            return 0
        with place.writing(file):
            head = self._now()
            collection = place.collection(head.collection)
            gone = {
                str(metadata["passage"])
                for part in pages(collection, where={"$and": [{"window": 0}, pushed]} if pushed else {"window": 0})
                for _, metadata in part
                if matches(decoded(metadata["json"], 0.0), where)
            }
            if gone:
                with place.alone(file):
                    delete(collection, gone)
                    self._write(replace(head, passages=head.passages - len(gone)))
        return len(gone)

    def _declare(self) -> None:
        """Have the passages that are there say what fields they have that were not declared before."""
        place, file = self._opened(), self._head_file(self._resources)
        with place.writing(file):
            head = self._now()
            names = fact_names(self.fields)
            missing = {name: names[name] for name in names.keys() - set(head.facts)}
            collection = place.collection(head.collection)
            passages: dict[str, dict[str, Any]] = {}
            for part in pages(collection, where={"window": 0}):
                passages |= {str(one["passage"]): facts_of(decoded(one["json"], 0.0), missing) for _, one in part}
            with place.alone(file):
                for part in pages(collection):
                    told = [(key, passages.get(str(one["passage"]), {})) for key, one in part]
                    if some := [(key, facts) for key, facts in told if facts]:
                        collection.update(ids=[key for key, _ in some], metadatas=[facts for _, facts in some])
                self._write(replace(head, facts=sorted({*head.facts, *missing})))

    @contextlib.contextmanager
    def filling(self, resources: Resources, embedder: Embedder | None) -> Iterator[Shelf]:
        """The right to fill it from its folder. Raises IndexUnusable if another process does."""
        if embedder is None:
            resources.get("embedders", self.embedder)  # says which package is missing
            raise InputError(f"{self.shown(resources)} is searched by meaning alone: it needs an embedder")
        self._resources = resources
        place = chromaplace.take(self.folder_of_index(resources))
        try:
            with place.writing(self._head_file(resources), waits=False):
                yield _ChromaShelf(self, place, embedder)
        finally:
            chromaplace.leave(place)

    def _begun(self, place: Place, model: Embedder | None) -> Head:
        """What a new collection holds. Raises IndexUnusable if there is one of this name that is not ours."""
        assert model is not None
        name = self.collection
        if name in place.names() and place.collection(name).count():
            raise IndexUnusable(
                f"the collection {name!r} in {self.index!r} was made by another program",
                hint="choose another `collection`, or hand it over from Python as a vector store of LangChain",
            )
        place.new_collection(name)
        return Head(name, model.identity, model.dimension, sorted(fact_names(self.fields)))

    def _write(self, head: Head) -> None:
        chromaplace.write_json(self._head_file(self._resources), asdict(head))


class _ChromaShelf:
    """An index while it is filled."""

    def __init__(self, index: Chroma, place: Place, embedder: Embedder) -> None:
        self._index, self._place, self._embedder = index, place, embedder
        self._resources = index._resources
        self._head = index._head(self._resources)
        self._anew = False
        self.known: dict[str, KnownSource] = {}
        self.rebuilt = ""
        if self._head is None:
            return
        if self._head.embedder != embedder.identity:
            self.rebuilt, self._anew = f"it was built with the embedder {self._head.embedder}", True
        elif self._head.chunking not in ("", index.cutting.identity):
            self.rebuilt = "its documents were cut with other settings, or by another version"
        else:
            self.known = index._sources(self._resources)

    def put(self, fresh: Mapping[str, NewSource], gone: Sequence[str], began: float) -> None:
        """Replace what is known of these files, and forget others. Where all is made anew, a new collection is filled
        beside the old one, which is searched until then."""
        index, place, old = self._index, self._place, self._head
        head = old if old is not None and not self._anew else self._other(old)
        rows = [(row, True) for new in fresh.values() for row in new.rows]
        added = self._others(old) if self._anew and old is not None else []
        collection = place.collection(head.collection)
        file = index._head_file(self._resources)
        with place.alone(file):
            left: set[str] = set()
            if not self._anew:
                changed = None if self.rebuilt else [*(fresh.keys() & self.known.keys()), *gone]
                left = keys_of_files(collection, changed) - {safe(row.document.id) for row, _ in rows}
                delete(collection, left)
            new = put(collection, [*rows, *added], head.facts, place.batch)
            sources = {source: one for source, one in self.known.items() if source not in gone}
            sources |= {source: one.known for source, one in fresh.items()}
            chromaplace.write_json(index._sources_file(self._resources), {key: [*one] for key, one in sources.items()})
            index._write(
                replace(
                    head,
                    passages=head.passages + new - len(left),
                    chunking=index.cutting.identity,
                    began=began,
                )
            )
            if old is not None and old.collection != head.collection:
                place.drop(old.collection)

    def _other(self, old: Head | None) -> Head:
        """A new collection, beside an old one if there is one."""
        if old is None:
            return self._index._begun(self._place, self._embedder)
        own = self._index.collection
        name = f"{own}-2" if old.collection == own else own
        self._place.new_collection(name)
        return replace(
            old, collection=name, embedder=self._embedder.identity, dimension=self._embedder.dimension, passages=0
        )

    def _others(self, old: Head) -> list[tuple[Row, bool]]:
        """The passages that were added one by one, embedded anew."""
        collection = self._place.collection(old.collection)
        where = {"$and": [{"window": 0}, {"file": False}]}
        bodies = [str(one["json"]) for part in pages(collection, where=where) for _, one in part]
        documents = [decoded(body, 0.0) for body in bodies]
        vectors = vectors_of(documents, self._embedder) if documents else []
        return [(Row(*one), False) for one in zip(documents, bodies, vectors, strict=True)]


def _driver() -> None:
    from importlib.util import find_spec

    if find_spec("chromadb") is None:
        raise MissingExtra("the retriever type 'chroma'", "chromadb", "chroma")
