"""Passages that programs add to an index and delete from it, beside those of its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ragweave.orchestrator.errors import IndexUnusable
from ragweave.orchestrator.filters import Filter
from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes import generations
from ragweave.retrievers.indexes.arrays import Array
from ragweave.retrievers.indexes.committing import Facts, commit
from ragweave.retrievers.indexes.entries import embedded, entries_of, forget, segment_of
from ragweave.retrievers.indexes.segments import hash_of
from ragweave.retrievers.indexes.stored import StoredIndex

PATIENCE = 30.0
"""Seconds that a writer waits for another."""


class Writing:
    """Writes to the index in a folder, one generation a call."""

    def __init__(self, index: Path, opened: StoredIndex | None, facts: Facts) -> None:
        """Of an index that may be `opened` already; `facts` are those of an index that is made anew."""
        self._index, self._opened, self._facts = index, opened, facts

    def add(self, documents: Sequence[Document]) -> int:
        """Keep these, each in place of one with the same id; how many are new. Raises IndexUnusable, InputError."""
        given = {document.id: document for document in documents}
        if not given:
            return 0
        entries = entries_of(given.values(), self._facts)
        vectors = embedded(entries, self._facts.embedder, lambda progress: None)
        with generations.writing(self._index, PATIENCE):
            old = self._old()
            facts = self._facts if old is None else self._like(old)
            fresh, _ = segment_of(entries, vectors, facts)
            if old is None:
                commit(self._index, None, [], fresh, facts)
                return len(given)
            same = [_same(old, at, given) for at in range(len(old.segments))]
            kept = [segment.without(gone) for segment, gone in zip(old.segments, same, strict=True)]
            commit(self._index, old, kept, fresh, facts)
        return len(given) - sum(int(np.count_nonzero(gone)) for gone in same)

    def create(self) -> None:
        """Make an empty index, unless there is one."""
        with generations.writing(self._index, PATIENCE):
            if self._old() is None:
                commit(self._index, None, [], None, self._facts)

    def delete(self, where: Filter) -> int:
        """Forget what the filter lets through; how many passages. Raises IndexUnusable, InputError."""
        with generations.writing(self._index, PATIENCE):
            old = self._old()
            if old is None:
                return 0
            gone = old.mask(where)
            count = int(np.count_nonzero(gone))
            if count:
                edges = zip(old.segments, old.bases[:-1], old.bases[1:], strict=True)
                kept = [segment.without(gone[begin:end]) for segment, begin, end in edges]
                passages = [old.passage(int(row)) for row in np.flatnonzero(gone)]
                commit(self._index, old, kept, None, self._like(old))
                forget(passages, self._facts.embedder)
        return count

    def _like(self, old: StoredIndex) -> Facts:
        """The facts of the index that is there, which can be filtered by the fields declared here as well."""
        fields = {**old.fields, **self._facts.fields}
        return Facts(self._facts.embedder, str(old.manifest["chunking"]), fields)

    def _old(self) -> StoredIndex | None:
        if not generations.exists(self._index):
            return None
        old = StoredIndex(self._index, self._opened)
        if old.embedder != self._facts.identity:
            raise IndexUnusable(
                f"the index {str(self._index)!r} is of the embedder {old.embedder!r}, not of {self._facts.identity!r}",
                hint="build it again, or name the embedder that it was built with",
            )
        return old


def _same(old: StoredIndex, at: int, given: dict[str, Document]) -> Array:
    """True for each passage of a segment whose id is one of those given."""
    segment = old.segments[at]
    wanted = np.asarray([hash_of(name) for name in given], dtype=np.uint64)
    found = np.isin(segment.ids, wanted)
    for row in np.flatnonzero(found):
        found[row] = old.passage(int(row) + old.bases[at]).id in given
    return found
