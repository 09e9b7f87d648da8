"""An index that is open for search: passages, memory-mapped vectors, words, and the files that they are of."""

from __future__ import annotations

import functools
import json
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragweave.orchestrator.errors import IndexUnusable
from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes import generations
from ragweave.retrievers.indexes.words import Words
from ragweave.retrievers.ranking.links import Sites

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A file as the index knows it: its passages from row `first`, its vectors from row `first_vector`."""

    source: str
    title: str
    digest: str
    first: int
    passages: int
    first_vector: int
    vectors: int
    notes: tuple[str, ...] = ()


class StoredIndex:
    """The current generation of an index. It stays readable while, and after, a newer one replaces it."""

    def __init__(self, index: Path) -> None:
        """Open it. Raises IndexUnusable if it is missing, damaged, or of another format."""
        self.folder = index
        for attempt in range(3):
            try:
                self._open(*generations.current(index))
            except IndexUnusable:
                # A writer may have replaced and removed the generation between two of our reads.
                if attempt == 2:
                    raise
            else:
                return

    def _open(self, folder: Path, manifest: dict[str, Any]) -> None:
        try:
            self.generation = folder.name
            self.manifest = manifest
            self.embedder: str | None = manifest["embedder"]
            self.starts: Integers = np.load(folder / "passages.npy", mmap_mode="r", allow_pickle=False)
            self.owners: Integers = np.load(folder / "owners.npy", mmap_mode="r", allow_pickle=False)
            self.vectors: Floats = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
            self.words = Words(folder / "words")
            with (folder / "passages.jsonl").open("rb") as file:
                self._passages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._sources_file = folder / "sources.jsonl"
            if not (len(self) == len(self.words) == manifest["passages"] and len(self.owners) == len(self.vectors)):
                raise generations.damaged(self.folder, "its parts are not of one size")
        except IndexUnusable:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise generations.damaged(self.folder, f"{type(error).__name__}: {error}") from None

    def __len__(self) -> int:
        return len(self.starts) - 1

    def passage(self, row: int) -> Document:
        """The passage in this row."""
        try:
            return Document.model_validate_json(self.line(row))
        except (ValueError, IndexError):  # a ValidationError is a ValueError
            raise generations.damaged(self.folder, f"passage {row} cannot be read") from None

    def line(self, row: int) -> bytes:
        """The passage in this row as JSON."""
        return self._passages[int(self.starts[row]) : int(self.starts[row + 1])]

    def sources(self) -> Iterator[StoredSource]:
        """The indexed files, in the order of their passages."""
        try:
            with self._sources_file.open(encoding="utf-8") as file:
                for line in file:
                    known = json.loads(line)
                    yield StoredSource(**{**known, "notes": tuple(known["notes"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise generations.damaged(self.folder, f"sources.jsonl: {error}") from None

    @functools.cached_property
    def by_source(self) -> dict[str, StoredSource]:
        """The indexed files by their paths."""
        return {source.source: source for source in self.sources()}

    @functools.cached_property
    def sites(self) -> Sites:
        """Finds the files that links mean."""
        return Sites(self.by_source)

    def similarities(self, query: Floats) -> Floats:
        """The cosine of a query's vector and each passage, which is that of the passage's best window."""
        if len(self.vectors) == 0:
            return np.zeros(len(self), dtype=np.float32)
        cosines = self.vectors @ query
        if len(self.owners) == len(self):
            return cosines
        best = np.full(len(self), -1.0, dtype=np.float32)
        edges = np.flatnonzero(np.diff(self.owners, prepend=-1))
        best[self.owners[edges]] = np.maximum.reduceat(cosines, edges)
        return best


def write(
    folder: Path, sources: Sequence[StoredSource], passages: Sequence[bytes], vectors: Floats, owners: Sequence[int]
) -> None:
    """The data files of a generation, into an empty folder; the passages as lines of JSON."""
    starts = np.zeros(len(passages) + 1, dtype=np.int64)
    np.cumsum([len(line) for line in passages], out=starts[1:])
    np.save(folder / "passages.npy", starts, allow_pickle=False)
    np.save(folder / "owners.npy", np.asarray(owners, dtype=np.int64), allow_pickle=False)
    np.save(folder / "vectors.npy", vectors, allow_pickle=False)
    with (folder / "passages.jsonl").open("wb") as file:
        file.writelines(passages)
    with (folder / "sources.jsonl").open("w", encoding="utf-8") as lines:
        for source in sources:
            row = {name: getattr(source, name) for name in StoredSource.__slots__}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
