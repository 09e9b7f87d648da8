"""The names of an index's passages as arrays: which passages hold a name, and which names a passage holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ragweave.retrievers.ranking.names import all_names, keys, title_names

Integers = npt.NDArray[Any]
Arrays = Mapping[str, Integers]


_NONE = np.zeros(0, np.int32)


class Hits(NamedTuple):
    """Rows that hold some of the names that were asked for: one pair for each."""

    asked: Integers
    """The place of the name among those that were asked for."""
    rows: Integers


class NameTable:
    """The names of some passages, in rows from 0. Nothing in it is computed when it is made from arrays.

    `keys` are the names in order, as numbers; `rows[starts[i]:starts[i + 1]]` are the rows that hold `keys[i]`; the
    names of a row are `keys[held[bounds[row]:bounds[row + 1]]]`. `titles` are names in order, some several times, and
    `titled` the rows with these titles; `called[brackets[row]:brackets[row + 1]]` are the titles of a row.
    """

    PARTS = ("keys", "starts", "rows", "bounds", "held", "titles", "titled", "called", "brackets")

    def __init__(self, arrays: Arrays) -> None:
        """Open what `arrays` gave."""
        self.keys, self.starts, self.rows, self.bounds, self.held = (arrays[part] for part in self.PARTS[:5])
        self.titles, self.titled, self.called, self.brackets = (arrays[part] for part in self.PARTS[5:])

    @classmethod
    def of(cls, passages: Sequence[tuple[str, str]]) -> NameTable:
        """The names of passages, given as (title, text)."""
        names = [np.unique(keys(all_names(*one))) for one in passages]
        titles = [keys(title_names(title)) for title, _ in passages]
        return cls._built(names, titles)

    @classmethod
    def merged(cls, parts: Sequence[tuple[NameTable, Integers]]) -> NameTable:
        """The tables of parts, one behind the other, of each the rows that are named."""
        names: list[Integers] = []
        titles: list[Integers] = []
        for part, rows in parts:
            names += [part.names(int(row)) for row in rows]
            titles += [part.titles_of(int(row)) for row in rows]
        return cls._built(names, titles)

    @classmethod
    def _built(cls, names: Sequence[Integers], titles: Sequence[Integers]) -> NameTable:
        bounds, all_held = _ends(names), np.concatenate([_NONE, *names])
        distinct, held = np.unique(all_held, return_inverse=True)
        owners = np.repeat(np.arange(len(names), dtype=np.int32), np.diff(bounds))
        starts = np.zeros(len(distinct) + 1, np.int32)
        np.cumsum(np.bincount(held, minlength=len(distinct)), out=starts[1:])
        brackets, called = _ends(titles), np.concatenate([_NONE, *titles])
        titled = np.repeat(np.arange(len(titles), dtype=np.int32), np.diff(brackets))
        order, by_title = np.argsort(held, kind="stable"), np.argsort(called, kind="stable")
        made = (
            *(distinct, starts, owners[order], bounds, held.astype(np.int32)),
            *(called[by_title], titled[by_title], called, brackets),
        )
        return cls(dict(zip(cls.PARTS, made, strict=True)))

    def arrays(self) -> dict[str, Integers]:
        """What `NameTable(arrays)` opens; all of 32 bits."""
        return {part: getattr(self, part) for part in self.PARTS}

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def names(self, row: int) -> Integers:
        """The names of a row."""
        return np.asarray(self.keys[self.held[self.bounds[row] : self.bounds[row + 1]]])

    def titles_of(self, row: int) -> Integers:
        """What the title of a row calls it: no name, one or two."""
        return np.asarray(self.called[self.brackets[row] : self.brackets[row + 1]])

    def counts(self, names: Integers) -> Integers:
        """How many rows hold each of these names."""
        return self._spans(names)[1]

    def holding(self, names: Integers) -> Hits:
        """The rows that hold these names."""
        return _spread(self.rows, *self._spans(names))

    def titled_by(self, names: Integers) -> Hits:
        """The rows whose titles are these names."""
        if len(self.titles) == 0:
            return Hits(_NONE, _NONE)
        begin = np.minimum(np.searchsorted(self.titles, names), len(self.titles) - 1)
        known = np.flatnonzero(self.titles[begin] == names)
        begin = begin[known]
        hits = _spread(self.titled, begin, np.searchsorted(self.titles, names[known], "right") - begin)
        return Hits(known[hits.asked], hits.rows)

    def _spans(self, names: Integers) -> tuple[Integers, Integers]:
        """Where the rows begin that hold each of these names, and how many they are."""
        if len(self.keys) == 0:
            return np.zeros(len(names), np.int32), np.zeros(len(names), np.int32)
        places = np.minimum(np.searchsorted(self.keys, names), len(self.keys) - 1)
        begin = self.starts[places]
        return begin, np.where(self.keys[places] == names, self.starts[places + 1] - begin, 0)


def _ends(lists: Sequence[Integers]) -> Integers:
    return np.array([0, *accumulate(len(one) for one in lists)], np.int32)


def _spread(values: Integers, begin: Integers, counts: Integers) -> Hits:
    """Of each span its values, and which span they are of."""
    asked = np.repeat(np.arange(len(counts)), counts)
    ends = np.cumsum(counts)
    places = np.arange(len(asked)) + np.repeat(begin - (ends - counts), counts)
    return Hits(asked, values[places])
