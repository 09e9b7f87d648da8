"""A segment of an index: passages with their words, vectors, columns and sources, in two files that never change."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.filters import FieldKind, Fields, Filter
from ragweave.orchestrator.values import Document
from ragweave.retrievers import chunking
from ragweave.retrievers.indexes import arrays as files
from ragweave.retrievers.indexes.arrays import Array, Arrays
from ragweave.retrievers.indexes.columns import Columns, Filling, Misfit
from ragweave.retrievers.indexes.vectors import Exact, Floats, Vectors
from ragweave.retrievers.indexes.words import Counting, Postings
from ragweave.retrievers.ranking.links import links_in, stem_of
from ragweave.retrievers.ranking.nametable import NameTable, Naming

DATA, FIELDS = ".data", ".fields"


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A file, or what a program gave as a source, as the index knows it: its passages from row `first`."""

    source: str
    title: str
    digest: str
    """Of a file; empty for passages that a program added."""
    first: int
    passages: int
    notes: tuple[str, ...] = ()


class Part(NamedTuple):
    """What is taken of a segment into another: rows and sources, ascending."""

    segment: Segment
    rows: Array
    sources: Array

    @property
    def is_all(self) -> bool:
        """True if nothing is left out."""
        return len(self.rows) == len(self.segment) and len(self.sources) == self.segment.source_count


class Segment:
    """The passages of rows 0, 1, … with all that is needed to find them."""

    def __init__(self, data: Arrays, columns: Columns) -> None:
        self.data = data
        self.columns = columns
        self._made: dict[tuple[str, FieldKind], Columns] = {}
        self.ids: Array = data["ids"]
        self.links: Array = data["links"]
        self.vectors = Vectors.named(data, "vectors")
        self.postings = {name: Postings.named(data, name) for name in ("text", "title")}
        self.names = NameTable.named(data, "names")
        self.source_count = len(data["sources.first"])
        sizes = {
            len(self),
            len(self.ids),
            len(self.links),
            columns.rows,
            len(self.vectors.starts) - 1,
            self.names.size,
            *(len(postings.lengths) for postings in self.postings.values()),
        }
        if len(sizes) > 1 or len(self.vectors.matrix) != len(self.vectors.owners):
            raise ValueError("its parts are not of one size")

    @classmethod
    def open(cls, folder: Path, name: str, *, thorough: bool = False) -> Segment:
        """The one that `write` wrote. Raises OSError, ValueError, KeyError or TypeError if it is damaged."""
        data, _ = files.read(folder / f"{name}{DATA}", thorough=thorough)
        fields, about = files.read(folder / f"{name}{FIELDS}", thorough=thorough)
        return cls(data, Columns(int(about["rows"]), json.loads(about["fields"]), fields))

    def write_data(self, folder: Path, name: str) -> None:
        """Everything but the columns, into a new file."""
        files.write(folder / f"{name}{DATA}", self.data)

    def write_fields(self, folder: Path, name: str) -> None:
        """The columns, into a new file."""
        about = {"fields": json.dumps(self.columns.fields, ensure_ascii=False), "rows": str(len(self))}
        files.write(folder / f"{name}{FIELDS}", self.columns.arrays(), about)

    @classmethod
    def of(
        cls,
        sources: Sequence[StoredSource],
        lines: Sequence[bytes],
        vectors: Floats,
        counts: Sequence[int],
        fields: Fields,
    ) -> tuple[Segment, list[Misfit]]:
        """The segment of passages as lines of JSON, each with so many of the vectors; and what fits into no column."""
        texts, titles, naming, filling = Counting(), Counting(), Naming(), Filling(fields)
        ids, links = np.empty(len(lines), dtype=np.uint64), np.zeros(len(lines), dtype=np.uint8)
        for row, line in enumerate(lines):
            passage = passage_of(line)
            texts.add(f"{passage.title}\n{passage.text}\n{chunking.labels(passage)}")
            titles.add(passage.title)
            naming.add(passage)
            filling.add(passage)
            ids[row] = hash_of(passage.id)
            links[row] = next(links_in(passage.text), None) is not None
        data: dict[str, Array] = {
            **files.joined(list(lines), "passages"),
            "ids": ids,
            "links": links,
            **_sources(sources),
            **texts.postings().arrays("text"),
            **titles.postings().arrays("title"),
            **naming.table().arrays("names"),
            **Vectors.of(vectors, counts).listed().arrays("vectors"),
        }
        return cls(data, filling.columns()), filling.misfits

    @classmethod
    def merged(cls, parts: Sequence[Part]) -> Segment:
        """What is taken of several segments as one."""
        lines = [_taken(part.segment.data, "passages", part.rows) for part in parts]
        told = [_taken(part.segment.data, "sources", part.sources) for part in parts]
        rows = [(part.segment, part.rows) for part in parts]
        data: dict[str, Array] = {
            **_together(lines, "passages"),
            "ids": np.concatenate([segment.ids[kept] for segment, kept in rows]),
            "links": np.concatenate([segment.links[kept] for segment, kept in rows]),
            **_together(told, "sources"),
            **_merged_sources(parts),
            **NameTable.merged([(segment.names, kept) for segment, kept in rows]).arrays("names"),
            **Vectors.merged([(segment.vectors, kept) for segment, kept in rows]).arrays("vectors"),
        }
        for name in ("text", "title"):
            data |= Postings.merged([(segment.postings[name], kept) for segment, kept in rows]).arrays(name)
        return cls(data, Columns.merged([(segment.columns, kept) for segment, kept in rows]))

    def mask(self, where: Filter) -> Array:
        """True for each passage that the filter lets through. A field that has no column yet gets one for this process,
        for which every passage is read once."""
        found = np.ones(len(self), dtype=bool)
        for one in where:
            if self.columns.kind_of(one.field) == one.kind:
                found &= self.columns.mask((one,))
                continue
            named = (one.field, one.kind)
            if named not in self._made:
                self._made[named] = Columns.of((self.passage(row) for row in range(len(self))), dict([named]))[0]
            found &= self._made[named].mask((one,))
        return found

    def with_fields(self, fields: Fields) -> tuple[Segment, list[Misfit]]:
        """The same with other columns."""
        columns, misfits = Columns.of((self.passage(row) for row in range(len(self))), fields)
        return Segment(self.data, columns), misfits

    @cached_property
    def exact(self) -> Exact:
        """Its vectors, for a search that looks at each of them."""
        return Exact(self.vectors)

    def __len__(self) -> int:
        return len(self.data["passages.ends"]) - 1

    def line(self, row: int) -> bytes:
        """The passage in this row as JSON."""
        ends = self.data["passages.ends"]
        return self.data["passages.bytes"][ends[row] : ends[row + 1]].tobytes()

    def lines(self, rows: Sequence[int]) -> list[bytes]:
        """The passages in these rows as JSON."""
        ends, letters = self.data["passages.ends"], memoryview(self.data["passages.bytes"])  # type: ignore[arg-type]
        places = np.asarray(rows, dtype=np.int64)
        return [
            bytes(letters[begin:end])
            for begin, end in zip(ends[places].tolist(), ends[places + 1].tolist(), strict=True)
        ]

    def passage(self, row: int, score: float = 0.0) -> Document:
        """The passage in this row. Raises ValueError if it cannot be read."""
        return passage_of(self.line(row), score)

    def sources_of(self, rows: Array) -> Array:
        """The places of the sources that rows are of."""
        return np.asarray(np.searchsorted(self.data["sources.first"], rows, "right") - 1)

    def source(self, place: int, base: int = 0) -> StoredSource:
        """One of its sources, with rows counted from `base`."""
        ends = self.data["sources.ends"]
        known: Mapping[str, Any] = json.loads(self.data["sources.bytes"][ends[place] : ends[place + 1]].tobytes())
        return StoredSource(
            source=known["source"],
            title=known["title"],
            digest=known["digest"],
            first=int(self.data["sources.first"][place]) + base,
            passages=int(self.data["sources.count"][place]),
            notes=tuple(known["notes"]),
        )

    def sources(self, base: int = 0) -> Iterator[StoredSource]:
        """All of its sources."""
        return (self.source(place, base) for place in range(self.source_count))

    @cached_property
    def everything(self) -> Part:
        """All of it."""
        return Part(self, np.arange(len(self)), np.arange(self.source_count))

    def without(self, gone: Array, sources_gone: Array | None = None) -> Part:
        """What is left of it without rows, given as a mask, and without sources and all their rows.

        What a program added under a source is gone with its last row; a file is known on, so that it is not read again
        while it does not change.
        """
        first, count = self.data["sources.first"], self.data["sources.count"]
        kept = np.ones(self.source_count, dtype=bool) if sources_gone is None else ~sources_gone
        rows = ~gone
        if sources_gone is not None:
            rows = rows.copy()
            rows[files.spans(first[sources_gone], count[sources_gone])] = False
        left = np.concatenate([[0], np.cumsum(rows)])
        emptied = (left[first + count] == left[first]) & kept
        for place in np.flatnonzero(emptied):
            kept[place] = bool(self.source(int(place)).digest)
        return Part(self, np.flatnonzero(rows), np.flatnonzero(kept))


def line_of(passage: Document) -> bytes:
    """A passage without its score as a line of JSON. Raises InputError for metadata that are no JSON."""
    try:
        return passage.model_dump_json(exclude_defaults=True, exclude={"score"}).encode() + b"\n"
    except ValueError as error:
        with contextlib.suppress(TypeError, ValueError, RecursionError):  # lone surrogates, which are no UTF-8
            return json.dumps(passage.model_dump(exclude_defaults=True, exclude={"score"})).encode() + b"\n"
        raise InputError(f"the passage {passage.id!r} cannot be kept: {str(error).splitlines()[0]}") from None


def passage_of(line: bytes, score: float = 0.0) -> Document:
    """The passage of such a line. Raises ValueError for what `line_of` has not written."""
    try:
        # As `model_validate_json` does it, without its detour: twenty passages are read at each query.
        return Document.__pydantic_validator__.validate_json(b'%s,"score":%a}' % (line[:-2], score))  # type: ignore[no-any-return]
    except ValueError:  # a ValidationError is one
        return Document.model_validate({**json.loads(line), "score": score})


def hash_of(text: str) -> int:
    """64 bits that stand for a text; what is found by them is looked at."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _sources(sources: Sequence[StoredSource]) -> dict[str, Array]:
    told = [
        json.dumps(
            {"source": one.source, "title": one.title, "digest": one.digest, "notes": one.notes}, ensure_ascii=False
        ).encode("utf-8", "surrogatepass")
        + b"\n"
        for one in sources
    ]
    return {
        **files.joined(told, "sources"),
        "sources.first": np.asarray([one.first for one in sources], dtype=np.int32),
        "sources.count": np.asarray([one.passages for one in sources], dtype=np.int32),
        "sources.paths": _hashes(one.source for one in sources),
        "sources.stems": _hashes(stem_of(one.source) for one in sources),
    }


def _hashes(texts: Iterable[str]) -> Array:
    return np.asarray([hash_of(text) for text in texts], dtype=np.uint64)


def _merged_sources(parts: Sequence[Part]) -> dict[str, Array]:
    firsts, counts = [], []
    base = 0
    for segment, rows, sources in parts:
        kept = np.zeros(len(segment), dtype=np.int64)
        kept[rows] = 1
        left = np.concatenate([[0], np.cumsum(kept)])
        first, count = segment.data["sources.first"][sources], segment.data["sources.count"][sources]
        firsts.append(left[first] + base)
        counts.append(left[first + count] - left[first])
        base += len(rows)
    return {
        "sources.first": np.concatenate(firsts).astype(np.int32),
        "sources.count": np.concatenate(counts).astype(np.int32),
        **{
            name: np.concatenate([part.segment.data[name][part.sources] for part in parts])
            for name in ("sources.paths", "sources.stems")
        },
    }


def _taken(data: Arrays, prefix: str, rows: Array) -> tuple[Array, Array]:
    """The lengths and bytes of some of the byte strings under a prefix."""
    ends = data[f"{prefix}.ends"]
    counts = np.diff(ends)[rows]
    if len(rows) == len(ends) - 1:
        return counts, data[f"{prefix}.bytes"]
    return counts, data[f"{prefix}.bytes"][files.spans(ends[rows], counts)]


def _together(pieces: Sequence[tuple[Array, Array]], prefix: str) -> dict[str, Array]:
    ends = np.concatenate([[0], np.cumsum(np.concatenate([counts for counts, _ in pieces]))]).astype(np.int64)
    return {f"{prefix}.ends": ends, f"{prefix}.bytes": np.concatenate([data for _, data in pieces])}
