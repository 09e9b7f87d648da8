"""The tables of an index in PostgreSQL, and what is asked of them. Values are always bound, never written into SQL."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.filters import Filter
from ragweave.retrievers.indexes.passagerows import Row, facts_of, named_facts
from ragweave.retrievers.indexes.pgvalues import STEMS, filter_as_sql, key_of, literal, sparse, words_of

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
HNSW_FROM = 20_000
"""Vectors from which an index of neighbours pays; below, all are compared."""
HNSW_DIMENSIONS = 2_000
"""The longest vectors that pgvector makes such an index of."""
_MANY = 5_000
"""Passages from which it pays not to look at each that holds a common stem."""
_TELLING = 0.35
"""Share of the rarest stem's weight that one needs to find passages by itself; less only adds to their scores."""
_AT_ONCE = 500

HEADS = (
    "CREATE TABLE IF NOT EXISTS {0} (name text PRIMARY KEY, format int NOT NULL, embedder text, "
    "dimension int NOT NULL, facts text[] NOT NULL, passages bigint NOT NULL, vectors bigint NOT NULL, "
    "average float8 NOT NULL, hnsw boolean NOT NULL, chunking text NOT NULL, began float8 NOT NULL, "
    "changes bigint NOT NULL)"
)
_TABLES = (
    (
        "CREATE TABLE {0}_passages (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL UNIQUE, "
        "source text NOT NULL, is_of_file boolean NOT NULL, facts jsonb NOT NULL, stems text[] NOT NULL, "
        "weights sparsevec({1}) NOT NULL, body text NOT NULL)"
    ),
    "CREATE INDEX {3}_by_source ON {0}_passages (source)",
    "CREATE INDEX {3}_by_facts ON {0}_passages USING gin (facts jsonb_path_ops)",
    "CREATE INDEX {3}_by_stems ON {0}_passages USING gin (stems)",
    "CREATE TABLE {0}_stems (stem text PRIMARY KEY, passages bigint NOT NULL)",
    (
        "CREATE TABLE {0}_sources (key text PRIMARY KEY, source text NOT NULL, digest text NOT NULL, "
        "passages bigint NOT NULL, vectors bigint NOT NULL, notes text[] NOT NULL)"
    ),
    "CREATE TABLE {0}_vectors (passage bigint NOT NULL, embedding vector({2}) NOT NULL)",
    "CREATE INDEX {3}_by_passage ON {0}_vectors (passage)",
)
_DROPPED = "DROP TABLE IF EXISTS {0}_passages, {0}_stems, {0}_sources, {0}_vectors"
_HNSW = "CREATE INDEX IF NOT EXISTS {1}_near ON {0}_vectors USING hnsw (embedding vector_cosine_ops)"
_IS_THERE = (
    "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = $1 AND c.relname = 'indexes')"
)
_HEAD = (
    "SELECT format, embedder, dimension, facts, passages, vectors, average, hnsw, chunking, began, changes "
    "FROM {0} WHERE name = $1"
)
_WRITE_HEAD = (
    "INSERT INTO {0} (name, format, embedder, dimension, facts, passages, vectors, average, hnsw, chunking, began, "
    "changes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (name) DO UPDATE SET "
    "format = $2, embedder = $3, dimension = $4, facts = $5, passages = $6, vectors = $7, average = $8, hnsw = $9, "
    "chunking = $10, began = $11, changes = $12"
)
_KEYS = "SELECT id FROM {0}_passages WHERE key = ANY($1::text[])"
_INSERT = (
    "INSERT INTO {0}_passages (key, source, is_of_file, facts, stems, weights, body) "
    "SELECT key, source, is_of_file, facts::jsonb, coalesce(string_to_array(nullif(stems, ''), ' '), '{{}}'), "
    "weights::sparsevec, body FROM unnest($1::text[], $2::text[], $3::boolean[], $4::text[], $5::text[], $6::text[], "
    "$7::text[]) AS given (key, source, is_of_file, facts, stems, weights, body) RETURNING id, key"
)
_INSERT_VECTORS = (
    "INSERT INTO {0}_vectors (passage, embedding) SELECT passage, embedding::vector "
    "FROM unnest($1::bigint[], $2::text[]) AS given (passage, embedding)"
)
_COUNT_STEMS = (
    "INSERT INTO {0}_stems AS known (stem, passages) SELECT stem, passages "
    "FROM unnest($1::text[], $2::bigint[]) AS given (stem, passages) ORDER BY stem "
    "ON CONFLICT (stem) DO UPDATE SET passages = known.passages + excluded.passages"
)
_UNCOUNT_STEMS = (
    "WITH gone AS (SELECT stem, count(*) AS passages FROM {0}_passages, unnest(stems) AS stem "
    "WHERE id = ANY($1::bigint[]) GROUP BY stem) "
    "UPDATE {0}_stems SET passages = {0}_stems.passages - gone.passages FROM gone WHERE {0}_stems.stem = gone.stem"
)
_DELETE_VECTORS = "DELETE FROM {0}_vectors WHERE passage = ANY($1::bigint[])"
_DELETE = "DELETE FROM {0}_passages WHERE id = ANY($1::bigint[])"
_RARITY = "SELECT stem, passages FROM {0}_stems WHERE stem = ANY($1::text[]) AND passages > 0"
_BY_WORDS = (
    "SELECT p.id FROM {0}_passages p WHERE p.stems && $1::text[]{1} "
    "ORDER BY p.weights <#> $2::text::sparsevec, p.id LIMIT $3"
)
_NEAR = (
    "SELECT DISTINCT passage FROM (SELECT v.passage FROM {0}_vectors v{1} "
    "ORDER BY v.embedding <=> $1::text::vector LIMIT $2) AS near"
)
# An expression that no index has: all vectors that a filter lets through are compared.
_NEAR_OF_ALL = _NEAR.replace("v.embedding <=> $1::text::vector", "(v.embedding <=> $1::text::vector) + 0")
_SCORES = (
    "SELECT p.id, -(p.weights <#> $2::text::sparsevec) AS words, "
    "(SELECT max(1 - (v.embedding <=> $3::text::vector)) FROM {0}_vectors v WHERE v.passage = p.id) AS cosine "
    "FROM {0}_passages p WHERE p.id = ANY($1::bigint[])"
)
_WORD_SCORES = _SCORES[: _SCORES.index(", (SELECT")] + _SCORES[_SCORES.index(" FROM {0}_passages") :]
_BODIES = "SELECT id, body FROM {0}_passages WHERE id = ANY($1::bigint[])"
_FULFILLING = "SELECT p.id FROM {0}_passages p WHERE true{1}"
_OF_FILES = "SELECT id FROM {0}_passages WHERE is_of_file AND ($1::text[] IS NULL OR source = ANY($1::text[]))"
_OTHERS = "SELECT body FROM {0}_passages WHERE NOT is_of_file ORDER BY id"
_SOURCES = "SELECT source, digest, passages, vectors, notes FROM {0}_sources"
_FORGET_SOURCES = "DELETE FROM {0}_sources WHERE $1::text[] IS NULL OR key = ANY($1::text[])"
_KEEP_SOURCE = (
    "INSERT INTO {0}_sources (key, source, digest, passages, vectors, notes) VALUES ($1, $2, $3, $4, $5, $6) "
    "ON CONFLICT (key) DO UPDATE SET digest = $3, passages = $4, vectors = $5, notes = $6"
)
_SOME = "SELECT id, body FROM {0}_passages WHERE id > $1 ORDER BY id LIMIT $2"
_ADD_FACTS = (
    "UPDATE {0}_passages SET facts = {0}_passages.facts || given.facts::jsonb "
    "FROM unnest($1::bigint[], $2::text[]) AS given (id, facts) WHERE {0}_passages.id = given.id"
)
_SIZE = (
    "SELECT count(DISTINCT source)::bigint, (SELECT sum(pg_total_relation_size(to_regclass(name)))::bigint "
    "FROM unnest($1::text[]) AS name) FROM {0}_passages"
)


@dataclass(frozen=True, slots=True)
class Head:
    """What the tables of an index hold."""

    format: int
    embedder: str | None
    dimension: int
    facts: Sequence[str]
    passages: int
    vectors: int
    average: float
    """Words of a passage, as they were counted when the index was begun."""
    hnsw: bool
    chunking: str
    began: float
    changes: int
    """How often it was written."""


class Tables:
    """The tables of the index `name` in a schema, over a connection in a transaction whose search path has pgvector."""

    def __init__(self, namespace: str, name: str, connection: Any) -> None:
        self._namespace, self._name = namespace, name
        # Always with the schema: elsewhere there may be tables of the same names.
        self._heads, self._tables = f'"{namespace}".indexes', f'"{namespace}".{name}'
        self._connection = connection

    async def head(self) -> Head | None:
        """What they hold; None if they are not there."""
        if not await self._connection.fetchval(_IS_THERE, self._namespace):
            return None
        found = await self._connection.fetchrow(_HEAD.format(self._heads), self._name)
        return None if found is None else Head(*found)

    async def write_head(self, head: Head) -> None:
        """Say what they hold now."""
        values = [getattr(head, name) for name in Head.__slots__]
        await self._connection.execute(_WRITE_HEAD.format(self._heads), self._name, *values[:-1], head.changes + 1)

    async def make(self, dimension: int) -> None:
        """Make them, empty, in place of those that are there."""
        await self._connection.execute(HEADS.format(self._heads))
        for statement in (_DROPPED, *_TABLES):
            await self._connection.execute(statement.format(self._tables, STEMS, max(dimension, 1), self._name))

    async def make_hnsw(self) -> None:
        """Make the index of neighbours."""
        await self._connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
        await self._connection.execute(_HNSW.format(self._tables, self._name), timeout=7200.0)

    async def put(self, rows: Sequence[tuple[Row, bool]], facts: Sequence[str], average: float) -> tuple[int, int]:
        """Write passages, each with whether it is of a file, in place of those with the same ids; by how many passages
        and vectors that makes it more."""
        names = named_facts(facts)
        keys = [key_of(row.document.id) for row, _ in rows]
        old = [one for part in parts(keys) for (one,) in await self._fetch(_KEYS, part)]
        gone = await self.forget(old)
        made = 0
        counts: Counter[str] = Counter()
        for part in parts(list(zip(keys, rows, strict=True))):
            given = [
                (
                    key,
                    key_of(row.document.source),
                    is_of_file,
                    json.dumps(facts_of(row.document, names), ensure_ascii=False),
                    *words_of(row.document, average),
                    row.body,
                )
                for key, (row, is_of_file) in part
            ]
            ids = {key: one for one, key in await self._fetch(_INSERT, *map(list, zip(*given, strict=True)))}
            vectors = [(ids[key], literal(vector)) for key, (row, _) in part for vector in row.vectors]
            made += len(vectors)
            if vectors:
                await self._run(_INSERT_VECTORS, *map(list, zip(*vectors, strict=True)))
            counts.update(stem for one in given for stem in one[4].split())
        await self._run(_COUNT_STEMS, list(counts), list(counts.values()))
        if len(rows) > _AT_ONCE:  # till the server does so by itself, it would plan as for a small table
            await self._connection.execute(f"ANALYZE {self._tables}_passages, {self._tables}_vectors")
        return len(rows) - len(old), made - gone

    async def forget(self, ids: Sequence[int]) -> int:
        """Delete these passages; how many vectors they had."""
        gone = 0
        for part in parts(ids):
            await self._run(_UNCOUNT_STEMS, part)
            gone += await self._run(_DELETE_VECTORS, part)
            await self._run(_DELETE, part)
        return gone

    async def fulfilling(self, where: Filter) -> list[int]:
        """The passages that a filter lets through."""
        said, values = filter_as_sql(where, 1)
        return [one for (one,) in await self._fetch(_FULFILLING, *values, said=said)]

    async def of_files(self, sources: Sequence[str] | None) -> list[int]:
        """The passages of these files, or of all files."""
        given = None if sources is None else [key_of(source) for source in sources]
        return [one for (one,) in await self._fetch(_OF_FILES, given)]

    async def bodies(self, ids: Sequence[int]) -> dict[int, str]:
        """Passages as JSON."""
        return dict(await self._fetch(_BODIES, list(ids)))

    async def others(self) -> list[str]:
        """The passages that are of no file, as JSON."""
        return [body for (body,) in await self._fetch(_OTHERS)]

    async def all_bodies(self) -> list[tuple[int, str]]:
        """All passages as JSON."""
        found: list[tuple[int, str]] = []
        while part := await self._fetch(_SOME, found[-1][0] if found else -1, _AT_ONCE * 4):
            found += part
        return found

    async def add_facts(self, facts: Mapping[int, Mapping[str, Any]]) -> None:
        """Write further facts of passages."""
        for part in parts([(one, json.dumps(said, ensure_ascii=False)) for one, said in facts.items() if said]):
            await self._run(_ADD_FACTS, *map(list, zip(*part, strict=True)))

    async def sources(self) -> list[tuple[str, str, int, int, list[str]]]:
        """The files that it was filled from: path, digest, passages, vectors, notes."""
        return await self._fetch(_SOURCES)

    async def keep_sources(
        self, kept: Iterable[tuple[str, str, int, int, Sequence[str]]], gone: Sequence[str] | None
    ) -> None:
        """Forget files, or all of them, and write what is known of others."""
        await self._run(_FORGET_SOURCES, None if gone is None else [key_of(source) for source in gone])
        rows = [(key_of(source), source, digest, *rest) for source, digest, *rest in kept]
        await self._connection.executemany(_KEEP_SOURCE.format(self._tables), rows)

    async def size(self) -> tuple[int, int]:
        """How many sources there are, and the bytes of all tables."""
        names = [f"{self._tables}_{one}" for one in ("passages", "stems", "sources", "vectors")]
        ((sources, size),) = await self._fetch(_SIZE, names)
        return sources, size

    # --- searching ---

    async def weights(self, stems: Sequence[str], passages: int) -> dict[str, float]:
        """The stems that there are, and how rare each is, as BM25 has it."""
        found = await self._fetch(_RARITY, list(stems))
        return {stem: math.log1p((max(passages - held, 0) + 0.5) / (held + 0.5)) for stem, held in found}

    async def by_words(self, weights: Mapping[str, float], where: Filter, limit: int, passages: int) -> list[int]:
        """The passages, of so many, that these stems say most of."""
        if not weights:
            return []
        said, values = filter_as_sql(where, 4)
        for stems in _rare_first(weights) if passages > _MANY else [list(weights)]:
            found = await self._fetch(_BY_WORDS, stems, sparse(weights), limit, *values, said=said)
            if len(found) >= limit:
                break
        return [one for (one,) in found]

    async def near(self, vector: np.ndarray, where: Filter, limit: int, *, hnsw: bool) -> list[int]:
        """The passages with the windows that are nearest."""
        said, values = filter_as_sql(where, 3)
        said = f" JOIN {self._tables}_passages p ON p.id = v.passage WHERE true{said}" if where else ""
        if hnsw:
            await self._connection.execute(
                f"SET LOCAL hnsw.iterative_scan = strict_order; SET LOCAL hnsw.ef_search = {min(max(limit, 100), 1000)}"
            )
            found = await self._fetch(_NEAR, literal(vector), limit, *values, said=said)
            # One that goes from neighbour to neighbour gives up some time, though a rare passage is still to come.
            if len(found) >= limit or not where:
                return [one for (one,) in found]
        found = await self._fetch(_NEAR_OF_ALL, literal(vector), limit, *values, said=said)
        return [one for (one,) in found]

    async def scores(
        self, ids: Sequence[int], weights: Mapping[str, float], vector: np.ndarray | None
    ) -> list[tuple[int, float, float | None]]:
        """Of passages: the id, the score by words, and the cosine of the best window."""
        if vector is None:
            found = await self._fetch(_WORD_SCORES, list(ids), sparse(weights))
            return [(one, words, None) for one, words in found]
        return await self._fetch(_SCORES, list(ids), sparse(weights), literal(vector))

    async def _fetch(self, sql: str, *values: Any, said: str = "") -> list[Any]:
        return list(map(tuple, await self._connection.fetch(sql.format(self._tables, said), *values)))

    async def _run(self, sql: str, *values: Any) -> int:
        answer: str = await self._connection.execute(sql.format(self._tables), *values)
        last = answer.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0


def _rare_first(weights: Mapping[str, float]) -> Iterator[list[str]]:
    """The stems by which passages are found: those that tell most, and where these find too few, all of them."""
    most = max(weights.values())
    rare = [stem for stem, weight in weights.items() if weight >= _TELLING * most]
    if len(rare) < len(weights):
        yield rare
    yield list(weights)


def parts(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Some at a time."""
    for start in range(0, len(items), _AT_ONCE):
        yield list(items[start : start + _AT_ONCE])
