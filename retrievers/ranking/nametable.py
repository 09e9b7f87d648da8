"""The names of an index's passages as arrays: which passages hold a name, and which names a passage holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes.arrays import Array, Arrays, spans
from ragweave.retrievers.ranking.labels import labels_of
from ragweave.retrievers.ranking.names import all_names, keys, title_names

_NONE = np.zeros(0, np.int32)


class Hits(NamedTuple):
    """Rows that hold some of the names that were asked for: one pair for each."""

    asked: Array
    """The place of the name among those that were asked for."""
    rows: Array


class NameTable(NamedTuple):
    """The names of some passages, in rows from 0; all of 32 bits."""

    keys: Array
    """The names as numbers, ascending."""
    starts: Array
    """Where the rows of each name begin in `rows`, and of the last one end."""
    rows: Array
    """Of each name the rows that hold it, ascending."""
    bounds: Array
    """Where the names of each row begin in `held`, and of the last one end."""
    held: Array
    """Of each row the places of its names in `keys`."""
    titles: Array
    """What titles call their documents: names, ascending, some several times …"""
    titled: Array
    """… and the rows with these titles."""
    brackets: Array
    """Where the titles of each row begin in `called`, and of the last one end."""
    called: Array
    """Of each row what its title calls it."""
    labels: Array
    """What metadata say: names, ascending, most several times …"""
    labelled: Array
    """… and the rows of which they say it."""

    @classmethod
    def of(cls, passages: Iterable[Document]) -> NameTable:
        """The names of passages."""
        naming = Naming()
        for passage in passages:
            naming.add(passage)
        return naming.table()

    @classmethod
    def merged(cls, parts: Sequence[tuple[NameTable, Array]]) -> NameTable:
        """The tables of parts, one behind the other, of each the rows that are named, ascending."""
        names, titles, labels, base = [], [], [], 0
        for part, rows in parts:
            counts = part.bounds[rows + 1] - part.bounds[rows]
            names.append((part.keys[part.held[spans(part.bounds[rows], counts)]], counts))
            several = part.brackets[rows + 1] - part.brackets[rows]
            titles.append((part.called[spans(part.brackets[rows], several)], several))
            target = np.full(part.size, -1, np.int32)
            target[rows] = np.arange(base, base + len(rows), dtype=np.int32)
            moved = target[part.labelled]
            labels.append((part.labels[moved >= 0], moved[moved >= 0]))
            base += len(rows)
        every = [_joined(pieces) for kind in (names, titles, labels) for pieces in zip(*kind, strict=True)]
        return _built(*every)

    @classmethod
    def named(cls, arrays: Arrays, prefix: str) -> NameTable:
        """The one that lies in arrays under a prefix."""
        return cls(*(arrays[f"{prefix}.{field}"] for field in cls._fields))

    def arrays(self, prefix: str) -> dict[str, Array]:
        """The arrays, named with a prefix."""
        return {f"{prefix}.{field}": value for field, value in zip(self._fields, self, strict=True)}

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.bounds) - 1

    def names(self, row: int) -> Array:
        """The names of a row."""
        return np.asarray(self.keys[self.held[self.bounds[row] : self.bounds[row + 1]]])

    def titles_of(self, row: int) -> Array:
        """What the title of a row calls it: no name, one or two."""
        return np.asarray(self.called[self.brackets[row] : self.brackets[row + 1]])

    def counts(self, names: Array) -> Array:
        """How many rows hold each of these names."""
        return self._spans(names)[1]

    def holding(self, names: Array) -> Hits:
        """The rows that hold these names."""
        return _spread(self.rows, *self._spans(names))

    def titled_by(self, names: Array) -> Hits:
        """The rows whose titles are these names."""
        return _equal(self.titles, self.titled, names)

    def labelled_by(self, names: Array) -> Hits:
        """The rows of which metadata say one of these."""
        return _equal(self.labels, self.labelled, names)

    def _spans(self, names: Array) -> tuple[Array, Array]:
        """Where the rows begin that hold each of these names, and how many they are."""
        if len(self.keys) == 0:
            return np.zeros(len(names), np.int32), np.zeros(len(names), np.int32)
        places = np.minimum(np.searchsorted(self.keys, names), len(self.keys) - 1)
        begin = self.starts[places]
        return begin, np.where(self.keys[places] == names, self.starts[places + 1] - begin, 0)


class Naming:
    """Finds the names of passages that come one by one."""

    def __init__(self) -> None:
        self._names: list[Array] = []
        self._titles: list[Array] = []
        self._labels: list[Array] = []

    def add(self, passage: Document) -> None:
        """The next passage."""
        self._names.append(np.unique(keys(all_names(passage.title, passage.text))))
        self._titles.append(keys(title_names(passage.title)))
        self._labels.append(keys(labels_of(passage.metadata)))

    def table(self) -> NameTable:
        """The table of all passages."""
        labels, counts = _counted(self._labels)
        owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        return _built(*_counted(self._names), *_counted(self._titles), labels, owners)


def _counted(lists: Sequence[Array]) -> tuple[Array, Array]:
    return _joined(lists), np.array([len(one) for one in lists], np.int64)


def _joined(pieces: Sequence[Array]) -> Array:
    return np.concatenate([_NONE, *pieces])


def _built(names: Array, counts: Array, titles: Array, several: Array, labels: Array, labelled: Array) -> NameTable:
    """The table of names and titles, row by row, so many of each, and of labels and their rows."""
    distinct, held = np.unique(names, return_inverse=True)
    owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    titled = np.repeat(np.arange(len(several), dtype=np.int32), several)
    order, by_title, by_label = (np.argsort(one, kind="stable") for one in (held, titles, labels))
    return NameTable(
        keys=distinct,
        starts=_ends(np.bincount(held, minlength=len(distinct))),
        rows=owners[order],
        bounds=_ends(counts),
        held=held.astype(np.int32),
        titles=titles[by_title],
        titled=titled[by_title],
        brackets=_ends(several),
        called=titles,
        labels=labels[by_label],
        labelled=labelled[by_label],
    )


def _ends(counts: Array) -> Array:
    ends = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=ends[1:])
    return ends


def _equal(sorted_names: Array, rows: Array, names: Array) -> Hits:
    """The rows beside the names that equal those asked for."""
    if len(sorted_names) == 0:
        return Hits(_NONE, _NONE)
    begin = np.minimum(np.searchsorted(sorted_names, names), len(sorted_names) - 1)
    known = np.flatnonzero(sorted_names[begin] == names)
    if len(known) == 0:
        return Hits(_NONE, _NONE)
    begin = begin[known]
    hits = _spread(rows, begin, np.searchsorted(sorted_names, names[known], "right") - begin)
    return Hits(known[hits.asked], hits.rows)


def _spread(values: Array, begin: Array, counts: Array) -> Hits:
    """Of each span its values, and which span they are of."""
    return Hits(np.repeat(np.arange(len(counts)), counts), values[spans(begin, counts)])
