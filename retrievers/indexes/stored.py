"""An index that is open for search: the segments of a generation, one behind the other, mapped into memory."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ragweave.orchestrator.contracts import IndexStats
from ragweave.orchestrator.errors import IndexUnusable
from ragweave.orchestrator.filters import OWN_FIELDS, Fields, Filter
from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes import generations
from ragweave.retrievers.indexes.arrays import Array
from ragweave.retrievers.indexes.segments import DATA, FIELDS, Segment, StoredSource, hash_of, passage_of
from ragweave.retrievers.indexes.vectors import Floats
from ragweave.retrievers.indexes.words import Words
from ragweave.retrievers.ranking.acquainted import MOST, Acquainted
from ragweave.retrievers.ranking.links import Sites
from ragweave.retrievers.ranking.mentions import Part as Named

_READ_FOR_A_FILTER = 50_000
"""Up to so many passages are read for a filter by a field that the index has no column for."""
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError)


class StoredIndex:
    """The current generation of an index. It stays readable while, and after, a newer one replaces it.

    Passages are numbered from 0 through all segments; arrays over passages are in this order.
    """

    def __init__(self, index: Path, previous: StoredIndex | None = None, *, thorough: bool = False) -> None:
        """Open it; what it shares with the `previous` one is not opened again. If `thorough`, every byte is checked.

        Raises IndexUnusable if it is missing, damaged, or of another format.
        """
        self.folder = index
        for attempt in range(3):
            try:
                known = previous.manifest["files"] if previous is not None else None
                self._open(*generations.current(index, known), previous, thorough)
            except IndexUnusable:
                # A writer may have replaced and removed the generation between two of our reads.
                if attempt == 2:
                    raise
            else:
                return

    def _open(self, folder: Path, manifest: dict[str, Any], previous: StoredIndex | None, thorough: bool) -> None:
        try:
            self.generation = folder.name
            self.manifest = manifest
            self.embedder: str | None = manifest["embedder"]
            self.fields: Fields = manifest["fields"]
            self.names: list[str] = manifest["segments"]
            self.segments = [
                _shared(previous, manifest, name) or Segment.open(folder, name, thorough=thorough)
                for name in self.names
            ]
            self.bases: list[int] = np.cumsum([0, *map(len, self.segments)]).tolist()
            self.words = Words([segment.postings for segment in self.segments])
            dimensions = {segment.vectors.matrix.shape[1] for segment in self.segments}
            if len(self) != manifest["passages"] or dimensions - {manifest["dimension"]}:
                raise generations.damaged(self.folder, "its parts are not of one size")
        except IndexUnusable:
            raise
        except _DAMAGE as error:
            raise generations.damaged(self.folder, f"{type(error).__name__}: {error}") from None

    def __len__(self) -> int:
        return self.bases[-1]

    def passage(self, row: int, score: float = 0.0) -> Document:
        """The passage in this row."""
        segment, place = self._place(row)
        try:
            return segment.passage(place, score)
        except ValueError:
            raise generations.damaged(self.folder, f"passage {row} cannot be read") from None

    def passages(self, rows: Sequence[int], scores: Sequence[float]) -> list[Document]:
        """The passages in these rows, with their scores."""
        one = len(self.segments) == 1
        lines = self.segments[0].lines(rows) if one else [self.line(row) for row in rows]
        try:
            return [passage_of(line, score) for line, score in zip(lines, scores, strict=True)]
        except ValueError:
            raise generations.damaged(self.folder, "a passage cannot be read") from None

    def line(self, row: int) -> bytes:
        """The passage in this row as JSON."""
        segment, place = self._place(row)
        return segment.line(place)

    def _place(self, row: int) -> tuple[Segment, int]:
        at = bisect.bisect_right(self.bases, row) - 1
        return self.segments[at], row - self.bases[at]

    def _slices(self, rows: Array) -> Iterator[tuple[Segment, Array]]:
        """The rows of each segment, counted in it; `rows` ascend."""
        edges = np.searchsorted(rows, self.bases)
        for segment, base, begin, end in zip(self.segments, self.bases[:-1], edges[:-1], edges[1:], strict=True):
            yield segment, rows[begin:end] - base

    def sources(self) -> Iterator[StoredSource]:
        """What its passages are of, in the order of the passages."""
        try:
            for segment, base in zip(self.segments, self.bases[:-1], strict=True):
                yield from segment.sources(base)
        except _DAMAGE as error:
            raise generations.damaged(self.folder, f"its sources: {error}") from None

    @cached_property
    def by_source(self) -> Mapping[str, StoredSource]:
        """What its passages are of, by path; looked up one by one."""
        return _Sources(self.segments, self.bases)

    @cached_property
    def sites(self) -> Sites:
        """Finds the files that links mean."""
        return Sites(self.by_source, _Stems(self.segments, self.bases))

    @property
    def documents(self) -> int:
        """How many sources its passages are of."""
        paths = [segment.data["sources.paths"][segment.data["sources.count"] > 0] for segment in self.segments]
        return len(np.unique(np.concatenate(paths)))

    @property
    def vectors(self) -> int:
        """How many vectors stand for its passages."""
        return sum(len(segment.vectors.matrix) for segment in self.segments)

    @property
    def how(self) -> str:
        """How its vectors are searched."""
        return next((how for segment in self.segments if (how := segment.vectors.how) != "exact"), "exact")

    @property
    def bytes(self) -> int:
        """What its files take."""
        return sum(int(size) for size, _ in self.manifest["files"].values())

    def stats(self) -> IndexStats:
        """What it holds."""
        return IndexStats(
            passages=len(self),
            documents=self.documents,
            vectors=self.vectors,
            embedder=self.embedder,
            dimension=int(self.manifest["dimension"]),
            bytes=self.bytes,
            how=self.how,
        )

    def mask(self, where: Filter) -> Array:
        """True for each passage that the filter lets through. Raises IndexUnusable if the index is large and has no
        column for a field."""
        known = {**OWN_FIELDS, **self.fields}
        lacking = [one for one in where if known.get(one.field) != one.kind]
        if lacking and len(self) > _READ_FOR_A_FILTER:
            field, kind = lacking[0].field, lacking[0].kind
            has = f"{field!r} as {known[field]}" if field in known else f"no field {field!r}"
            raise IndexUnusable(
                f"the index {str(self.folder)!r} has {has}, which a filter needs as {kind}",
                hint="`ragweave index` on the graph file, or the next `add`, makes it; nothing is embedded again",
            )
        return _joined([segment.mask(where) for segment in self.segments])

    @cached_property
    def has_any_links(self) -> bool:
        """True if some passage links to something."""
        return any(bool(segment.links.any()) for segment in self.segments)

    def has_links(self, row: int) -> bool:
        """True if the passage in this row links to something."""
        segment, place = self._place(row)
        return bool(segment.links[place])

    @cached_property
    def named(self) -> list[Named]:
        """The names of its passages, segment by segment."""
        return [Named(segment.names, base) for segment, base in zip(self.segments, self.bases[:-1], strict=True)]

    @cached_property
    def acquainted(self) -> Acquainted | None:
        """Whose titles its passages name; None where they are many."""
        return Acquainted(self.named, self.sources_of) if 0 < len(self) <= MOST else None

    def sources_of(self, rows: Array) -> Array:
        """A number for the source of each row; passages of one source have the same."""
        if len(self.segments) == 1:
            return self.segments[0].sources_of(rows)
        found, first = np.zeros(len(rows), dtype=np.int64), 0
        for segment, begin, end in zip(self.segments, self.bases[:-1], self.bases[1:], strict=True):
            here = (rows >= begin) & (rows < end)
            found[here] = segment.sources_of(rows[here] - begin) + first
            first += segment.source_count
        return found

    def stretch_of(self, row: int) -> tuple[int, int]:
        """The first row of the source that a row is of, and the row behind its last one."""
        segment, place = self._place(row)
        source = int(segment.sources_of(np.array([place]))[0])
        first = int(segment.data["sources.first"][source]) + row - place
        return first, first + int(segment.data["sources.count"][source])

    def means_of(self, rows: Array) -> Floats:
        """One vector for each of some rows, ascending: the direction of the mean of its vectors; 0 if it has none."""
        return _joined([segment.vectors.means(some) for segment, some in self._slices(rows) if len(some)])

    def cosines(self, query: Floats, rows: Array) -> Floats:
        """The cosine of a query's vector and of each passage in some rows, ascending: that of its best window."""
        return _joined([segment.vectors.cosines(query, some) for segment, some in self._slices(rows) if len(some)])

    def vectors_of(self, rows: Array) -> Floats:
        """The vectors of passages in some rows, ascending, passage by passage."""
        return _joined(
            [segment.vectors.matrix[segment.vectors.places_of(some)] for segment, some in self._slices(rows)]
        )

    def nearest(self, query: Floats, mask: Array | None, wanted: int) -> tuple[Array, Floats, float]:
        """Passages near to a query's vector, rows ascending, at least `wanted` that the mask lets through where there
        are as many; their cosines; and about the lowest cosine of all. Without lists these are all passages."""
        rows, cosines, lowest = [], [], 0.0
        for segment, begin, end in zip(self.segments, self.bases[:-1], self.bases[1:], strict=True):
            if mask is None and not len(segment.vectors.centroids):
                near = segment.exact.cosines(query)
                some, low = np.arange(len(near)), float(near.min(initial=0.0))
            else:
                allowed = None if mask is None else mask[begin:end]
                some, near, low = segment.vectors.nearest(query, allowed, wanted)
            rows.append(some + begin if begin else some)
            cosines.append(near)
            lowest = min(lowest, low)
        return _joined(rows), _joined(cosines), lowest


def _joined(pieces: Sequence[Array]) -> Array:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _shared(previous: StoredIndex | None, manifest: Mapping[str, Any], name: str) -> Segment | None:
    """The segment of an index that is open, if its files are the same."""
    if previous is None or name not in previous.names:
        return None
    before = previous.manifest["files"]
    if any(before.get(name + suffix) != manifest["files"][name + suffix] for suffix in (DATA, FIELDS)):
        return None
    return previous.segments[previous.names.index(name)]


class _Hashed:
    """Sources of all segments, found by a hash of their paths or names; nothing is kept of each but a number."""

    def __init__(self, segments: Sequence[Segment], bases: Sequence[int], name: str) -> None:
        self._segments, self._bases = segments, bases
        hashes = np.concatenate([segment.data[name] for segment in segments])
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]
        self._firsts = np.cumsum([0, *(segment.source_count for segment in segments)]).tolist()

    def found(self, text: str) -> Iterator[StoredSource]:
        """Those whose hash is that of the text."""
        wanted = np.uint64(hash_of(text))
        begin, end = np.searchsorted(self._hashes, wanted), np.searchsorted(self._hashes, wanted, side="right")
        for place in self._order[begin:end].tolist():
            yield self._source(place)

    def _source(self, place: int) -> StoredSource:
        at = bisect.bisect_right(self._firsts, place) - 1
        return self._segments[at].source(place - self._firsts[at], self._bases[at])


class _Sources(_Hashed, Mapping[str, StoredSource]):
    def __init__(self, segments: Sequence[Segment], bases: Sequence[int]) -> None:
        super().__init__(segments, bases, "sources.paths")

    def __getitem__(self, source: str) -> StoredSource:
        for one in self.found(source):
            if one.source == source and one.passages:
                return one
        raise KeyError(source)

    def __iter__(self) -> Iterator[str]:
        ordered = (self._source(place) for place in range(len(self._hashes)))
        return iter(dict.fromkeys(one.source for one in ordered if one.passages))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Stems(_Hashed, Mapping[str, str | None]):
    """The source whose name has this stem; None if there are several."""

    def __init__(self, segments: Sequence[Segment], bases: Sequence[int]) -> None:
        super().__init__(segments, bases, "sources.stems")

    def __getitem__(self, stem: str) -> str | None:
        found = {one.source for one in self.found(stem) if one.passages}
        if not found:
            raise KeyError(stem)
        return found.pop() if len(found) == 1 else None

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError("only looked up")

    def __len__(self) -> int:
        return len(self._hashes)
