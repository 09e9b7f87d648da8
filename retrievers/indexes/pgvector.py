"""The retriever `pgvector`: passages found by words and by meaning, in tables of a PostgreSQL database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr, SecretStr

from ragweave.orchestrator.contracts import Embedder, IndexStats
from ragweave.orchestrator.errors import IndexUnusable, MissingExtra
from ragweave.orchestrator.filters import Filter, matches
from ragweave.orchestrator.passages import decoded
from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes import pgtables
from ragweave.retrievers.indexes.filled import FilledIndex, KnownSource, NewSource, Shelf, vectors_of
from ragweave.retrievers.indexes.freshness import MOST_FILES, Changes, compared
from ragweave.retrievers.indexes.passagerows import Row, fact_names, facts_of
from ragweave.retrievers.indexes.pgserver import Server
from ragweave.retrievers.indexes.pgtables import Head, Tables
from ragweave.retrievers.indexes.pgvalues import average_words

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources

_CANDIDATES = 100
"""Passages that each of both searches finds at least; what is shown is chosen among them."""


class PgVector(FilledIndex, type="pgvector"):
    """Passages found by words (BM25) and by meaning (vectors) in a PostgreSQL database with pgvector.

    Any number of machines may search and write. Fill it by `ragweave index GRAPH`, or by `add` in Python.
    """

    url: SecretStr = Field(description="The address, such as ${env:DATABASE_URL}.", min_length=1)
    index: str = Field(
        "passages", pattern="^[a-z_][a-z0-9_]{0,40}$", description="What the names of its tables begin with."
    )
    namespace: str = Field(
        "ragweave",
        pattern="^[a-z_][a-z0-9_]{0,62}$",
        description="The schema of the database in which the tables are; it is made where there is none.",
    )
    weight: float = Field(
        default=0.6, ge=0, le=1, description="Share of meaning in the score; the rest is that of words."
    )

    _server: Server | None = PrivateAttr(default=None)

    # --- opening ---

    def open(self, resources: Resources) -> None:
        """Connect, and open the embedder. Raises MissingExtra, ResourceError for an address that is none, or
        IndexUnusable if the server cannot be reached, or the index is of another embedder or was never filled."""
        self._resources = resources
        self._server = server = self._new_server()
        try:
            self._open(server, resources)
        except BaseException:
            self._server = None
            server.close()
            raise

    def _open(self, server: Server, resources: Resources) -> None:
        head = server.do(lambda: self._head(server), again=True)
        if head is None and self.documents is not None:
            raise self.none_yet(resources)
        if self.weight > 0:
            self._model = self._embedder_of(head, resources)
        if head is not None:
            self._check(head)
            if not fact_names(self.fields).keys() <= set(head.facts):
                server.do(lambda: self._declare(server))

    async def close(self) -> None:
        """Let go of the connections."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def shown(self, resources: Resources) -> str:
        """How messages name it."""
        return f"the index {self.index!r} in PostgreSQL"

    def exists(self, resources: Resources) -> bool:
        """True if something was ever written. Raises IndexUnusable if the server cannot be asked."""
        with self._connected() as server:
            return server.do(lambda: self._head(server), again=True) is not None

    def _new_server(self) -> Server:
        return Server(self.url.get_secret_value(), self.namespace, self.index)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Server]:
        """The server, for those who need not have opened the index."""
        if self._server is not None:
            yield self._server
            return
        server = self._new_server()
        try:
            yield server
        finally:
            server.close()

    def _opened(self) -> Server:
        if self._server is None:
            raise IndexUnusable(f"{self.shown(self._resources)} is closed")
        return self._server

    def _tables(self, connection: Any) -> Tables:
        return Tables(self.namespace, self.index, connection)

    def _embedder_of(self, head: Head | None, resources: Resources) -> Embedder | None:
        """The embedder; None, said once, where only words can be searched."""
        if head is not None and head.embedder is None:
            resources.say(f"{self.shown(resources)} was built without an embedder: searching by words only")
            return None
        try:
            found: Embedder = resources.get("embedders", self.embedder)
        except MissingExtra as error:
            resources.say(f"{error}: searching by words only")
            return None
        return found

    def _check(self, head: Head) -> None:
        """Raise IndexUnusable for an index that is not for this version, or for this embedder."""
        if head.format != pgtables.FORMAT:
            raise IndexUnusable(
                f"{self.shown(self._resources)} has format {head.format}, this version reads {pgtables.FORMAT}",
                hint="build it again under another name",
            )
        if self._model is not None and head.embedder is not None:
            self.refuse_other(head.embedder, self._model)

    async def _head(self, server: Server) -> Head | None:
        async with server.reading() as connection:
            return None if connection is None else await self._tables(connection).head()

    # --- reading ---

    def _find(self, query: str, top_k: int, where: Filter) -> list[Document]:
        server = self._opened()
        from ragweave.retrievers.indexes.words import stems

        words = list(dict.fromkeys(stems(query))) if self.weight < 1 else []
        vector = self._model.embed_queries([query])[0] if self._model is not None else None

        async def find() -> list[Document]:
            async with server.reading() as connection:
                tables = self._tables(connection)
                head = await tables.head() if connection is not None else None
                if head is None:
                    return []
                self._check(head)
                weights = await tables.weights(words, head.passages)
                limit = max(_CANDIDATES, 4 * top_k)
                found = set(await tables.by_words(weights, where, limit, head.passages))
                if vector is not None and head.embedder is not None:
                    found.update(await tables.near(vector, where, limit, hnsw=head.hnsw))
                scores = fuse(await tables.scores(sorted(found), weights, vector), self.weight)
                best = sorted(scores, key=lambda one: (-scores[one], one))[:top_k]
                bodies = await tables.bodies(best)
            documents = [decoded(bodies[one], round(scores[one], 6)) for one in best]
            return [one for one in documents if matches(one, where)]

        return server.do(find, again=True)

    def counted(self, resources: Resources) -> IndexStats:
        """What it holds; it need not have been opened."""

        async def count() -> IndexStats:
            async with server.reading() as connection:
                head = await self._tables(connection).head() if connection is not None else None
                if head is None:
                    return IndexStats(0, 0, 0, None, 0, None, "exact")
                sources, size = await self._tables(connection).size()
            how = "hnsw, by pgvector" if head.hnsw else "exact"
            return IndexStats(head.passages, sources, head.vectors, head.embedder, head.dimension, size, how)

        with self._connected() as server:
            return server.do(count, again=True)

    def changes(self, resources: Resources) -> Changes:
        """How the documents have changed since they were indexed; nothing where there are too many of them."""

        async def known() -> tuple[Head | None, dict[str, str]]:
            async with server.reading() as connection:
                head = await self._tables(connection).head() if connection is not None else None
                rows = await self._tables(connection).sources() if head is not None else []
                return head, {source: digest for source, digest, *_ in rows}

        with self._connected() as server:
            head, digests = server.do(known, again=True)
        if head is None or self.documents is None or len(digests) > MOST_FILES:
            return Changes()
        return compared(self.folder(resources), digests, head.began)

    # --- writing ---

    def _keep(self, rows: Sequence[Row]) -> int:
        server = self._opened()
        average = average_words([row.document for row in rows])

        async def keep() -> tuple[int, Head]:
            async with server.writing() as connection:
                tables = self._tables(connection)
                head = await tables.head() or await self._begun(tables, average, self._model)
                self._check(head)
                new, vectors = await tables.put([(row, False) for row in rows], head.facts, head.average)
                head = replace(head, passages=head.passages + new, vectors=head.vectors + vectors)
                await tables.write_head(head)
            return new, head

        new, head = server.do(keep)
        self._index_neighbours(server, head)
        return new

    def _forget(self, where: Filter) -> int:
        server = self._opened()

        async def forget() -> int:
            if await self._head(server) is None:
                return 0
            async with server.writing() as connection:
                tables = self._tables(connection)
                head = await tables.head()
                gone = await tables.fulfilling(where) if head is not None else []
                if head is not None and gone:
                    vectors = await tables.forget(gone)
                    head = replace(head, passages=head.passages - len(gone), vectors=head.vectors - vectors)
                    await tables.write_head(head)
            return len(gone)

        return server.do(forget)

    async def _declare(self, server: Server) -> None:
        """Have the passages that are there say what fields they have that were not declared before."""
        async with server.writing() as connection:
            tables = self._tables(connection)
            head = await tables.head()
            if head is None:
                return
            names = fact_names(self.fields)
            missing = {name: names[name] for name in names.keys() - set(head.facts)}
            told = {one: facts_of(decoded(body, 0.0), missing) for one, body in await tables.all_bodies()}
            await tables.add_facts(told)
            await tables.write_head(replace(head, facts=sorted({*head.facts, *missing})))

    async def _begun(self, tables: Tables, average: float, model: Embedder | None) -> Head:
        """New tables, and what they hold."""
        dimension = model.dimension if model is not None else 0
        await tables.make(dimension)
        return Head(
            format=pgtables.FORMAT,
            embedder=model.identity if model is not None else None,
            dimension=dimension,
            facts=sorted(fact_names(self.fields)),
            passages=0,
            vectors=0,
            average=average,
            hnsw=False,
            chunking="",
            began=0.0,
            changes=0,
        )

    def _index_neighbours(self, server: Server, head: Head) -> None:
        """Make an index of neighbours where there are enough vectors; searches go on meanwhile."""
        if head.hnsw or head.vectors < pgtables.HNSW_FROM or head.dimension > pgtables.HNSW_DIMENSIONS:
            return

        async def make() -> None:
            async with server.writing() as connection:
                tables = self._tables(connection)
                now = await tables.head()
                if now is not None and not now.hnsw:
                    await tables.make_hnsw()
                    await tables.write_head(replace(now, hnsw=True))

        server.do(make)

    @contextlib.contextmanager
    def filling(self, resources: Resources, embedder: Embedder | None) -> Iterator[Shelf]:
        """What it holds now. Whoever fills it first has the right to; the other one is told when it puts."""
        self._resources = resources
        with self._connected() as server:
            yield _PgShelf(self, server, embedder if self.weight > 0 else None)


class _PgShelf:
    """An index while it is filled."""

    def __init__(self, index: PgVector, server: Server, embedder: Embedder | None) -> None:
        self._index, self._server, self._embedder = index, server, embedder
        self._identity = embedder.identity if embedder is not None else None
        self.known: dict[str, KnownSource] = {}
        self.rebuilt = ""
        self._anew = False
        self._head, sources = server.do(self._look, again=True)
        if self._head is None:
            return
        if self._head.embedder != self._identity:
            built = self._head.embedder
            self.rebuilt = f"it was built with the embedder {built}" if built else "it held words only"
            self._anew = True
        elif self._head.chunking not in ("", index.cutting.identity):
            self.rebuilt = "its documents were cut with other settings, or by another version"
        else:
            self.known = sources

    def put(self, fresh: Mapping[str, NewSource], gone: Sequence[str], began: float) -> None:
        """Replace what is known of these files, and forget others, in one transaction."""
        rows = [(row, True) for new in fresh.values() for row in new.rows]
        if self._anew:
            rows += [(row, False) for row in self._others()]
        average = average_words([row.document for row, _ in rows])

        async def put() -> Head:
            async with self._server.writing() as connection:
                tables = self._index._tables(connection)
                head = await tables.head()
                if (head and head.changes) != (self._head and self._head.changes):
                    raise self._server.unusable(
                        "another process has written it meanwhile", hint="run `ragweave index` again", transient=True
                    )
                if head is None or self._anew:
                    head = await self._index._begun(tables, average, self._embedder)
                changed = None if self.rebuilt or not head.chunking else [*(fresh.keys() & self.known.keys()), *gone]
                left = await tables.of_files(changed)
                vectors_gone = await tables.forget(left)
                new, vectors = await tables.put(rows, head.facts, head.average)
                kept = [(source, *new.known) for source, new in fresh.items()]
                await tables.keep_sources(kept, changed)
                head = replace(
                    head,
                    passages=head.passages - len(left) + new,
                    vectors=head.vectors - vectors_gone + vectors,
                    chunking=self._index.cutting.identity,
                    began=began,
                    changes=head.changes if self._head is None else self._head.changes,
                )
                await tables.write_head(head)
            return head

        head = self._server.do(put)
        self._index._index_neighbours(self._server, head)

    async def _look(self) -> tuple[Head | None, dict[str, KnownSource]]:
        async with self._server.reading() as connection:
            head = await self._index._tables(connection).head() if connection is not None else None
            rows = await self._index._tables(connection).sources() if head is not None else []
        known = {
            source: KnownSource(digest, passages, vectors, tuple(notes))
            for source, digest, passages, vectors, notes in rows
        }
        return head, known

    def _others(self) -> list[Row]:
        """The passages that were added one by one, embedded anew."""

        async def others() -> list[str]:
            async with self._server.reading() as connection:
                return await self._index._tables(connection).others()

        bodies = self._server.do(others, again=True)
        documents = [decoded(body, 0.0) for body in bodies]
        vectors = vectors_of(documents, self._embedder) if documents else []
        return [Row(*one) for one in zip(documents, bodies, vectors, strict=True)]


def fuse(found: Sequence[tuple[int, float, float | None]], weight: float) -> dict[int, float]:
    """One score for each passage, given as (id, score by words, cosine): both scaled by the best, and added by weight.

    What has no cosine is scored by words alone, as in an index without vectors.
    """
    most = max((words for _, words, _ in found), default=0.0)
    cosines = [cosine for _, _, cosine in found if cosine is not None]
    low, high = min([0.0, *cosines]), max(cosines, default=0.0)
    scores = {}
    for one, words, cosine in found:
        said = words / max(most, 1e-9)
        meaning = ((cosine if cosine is not None else low) - low) / max(high - low, 1e-9)
        scores[one] = weight * meaning + (1 - weight) * said if cosines else said
    return scores
