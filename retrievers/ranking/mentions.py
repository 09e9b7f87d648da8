"""Names lead from one passage to the next: who is named in the question, and who is named where the answer begins.

The second passage that a question needs often shares no word with it. "Where was the director of Ed Wood born?" finds
the film; only the film's passage names the director, and his own passage holds the rest. So the best passages vouch for
those whose titles they name and, where the question names them, for those that share other rare names with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ragweave.retrievers.indexes.arrays import Array
from ragweave.retrievers.indexes.words import best
from ragweave.retrievers.ranking.labels import dates_in
from ragweave.retrievers.ranking.names import is_stopped, keys, keys_of_spans, spoken
from ragweave.retrievers.ranking.nametable import Hits, NameTable

Floats = npt.NDArray[Any]

_ASKED_WORDS = 64
_ASKED_LONGEST = 8
COMMON = 64
"""Passages that hold a name at most, for it to say anything by being shared."""
ENOUGH = 1.5
"""Rarity of shared names that counts in full, in parts of that of the rarest."""
_LABELS = 1.5
"""Labels and dates of one passage that count in full."""
_BEHIND = 0.999
_SMALL = 0.3
"""How surely a single word in small letters means the document with that title."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each way counts, in parts of a score between 0 and 1."""

    named: float = 0.35
    """A title that the question names."""
    labelled: float = 0.25
    """A label or a date in metadata that the question names."""
    titled: float = 0.6
    """A title that a good passage names."""
    shared: float = 0.4
    """A passage that shares rare names with a good one that the question names."""
    parents: int = 3
    """Passages that vouch for others."""
    least: float = 0.4
    """What a passage gains of that whatever its own score is …"""
    own: float = 0.5
    """… and what it gains in proportion to its own score."""


class Part(NamedTuple):
    """Some passages of an index: their names, and the row of the first of them."""

    names: NameTable
    first: int


class Collection(NamedTuple):
    """What is known of all passages of an index."""

    size: int
    mask: Array | None
    """Which may be shown; None for all."""
    source_of: Callable[[Array], Array]
    """A number for the document of each row."""
    scored: Callable[[Array], Floats]
    """The scores of some rows, ascending, that are not among the candidates."""


class Asked(NamedTuple):
    """The names that a question may have."""

    all: Array
    """Each run of its words."""
    rows: Array
    """Rows whose titles are among them …"""
    strengths: Floats
    """… and how surely each is meant, up to 1."""
    labelled: Array
    """Rows whose metadata say what it says, some several times …"""
    telling: Floats
    """… and how much that tells, up to 1."""


def asked(question: str, parts: Sequence[Part]) -> Asked:
    """The names in a question, and the labels and dates.

    Of two titles of which one is part of the other the longer one is meant. A single word in small letters that is also
    a title, or a label, is likely to be neither. A label tells less the more passages have it.
    """
    words, capitals = spoken(question, _ASKED_WORDS)
    names, spans = keys_of_spans(words, _ASKED_LONGEST)

    def sure(place: int) -> float:
        start, end = spans[place]
        return 1.0 if end - start > 1 or capitals[start] else _SMALL

    hits = _hits([part.names.titled_by(names) for part in parts], parts)
    places = hits.asked.tolist()
    meant: dict[int, float] = {}
    taken: set[int] = set()
    for place in sorted(set(places), key=lambda one: spans[one][0] - spans[one][1]):
        start, end = spans[place]
        if taken.isdisjoint(range(start, end)) and not is_stopped(words[start:end]):
            taken.update(range(start, end))
            meant[place] = sure(place)
    strengths = np.array([meant.get(place, 0.0) for place in places])
    dates = dates_in(question)
    said = np.concatenate([names, keys(dates)]) if dates else names
    labels = _hits([part.names.labelled_by(said) for part in parts], parts)
    if not len(labels.rows):
        return Asked(names, hits.rows, strengths, labels.rows, np.zeros(0))
    rarity = 1 - np.bincount(labels.asked) / sum(part.names.size for part in parts)
    of_dates = [*dates.values()]
    told = [sure(place) if place < len(spans) else of_dates[place - len(spans)] for place in labels.asked.tolist()]
    return Asked(names, hits.rows, strengths, labels.rows, np.array(told) * rarity[labels.asked])


def boosts(asked: Asked, size: int, weights: Weights) -> Floats:
    """What each of `size` rows gains by what the question says of its document: its title, its labels, its date."""
    gained = np.zeros(size, np.float32)
    if len(asked.labelled):
        told = np.bincount(asked.labelled, asked.telling, size)
        gained += np.minimum(told, _LABELS) * weights.labelled
    np.maximum.at(gained, asked.rows, (weights.named * asked.strengths).astype(np.float32))
    return gained


def vouch(
    rows: Array, scores: Floats, asked: Asked, parts: Sequence[Part], collection: Collection, weights: Weights
) -> tuple[Array, Floats]:
    """Passages, rows ascending, with scores between 0 and 1 to which is added what those that name them give.

    A passage gains by the one that vouches for it best, and does not overtake that one; of a document one passage
    gains. Passages that are vouched for come in where they are not among the rows yet.
    """
    parents = best(scores, weights.parents)
    if not len(parents):
        return rows, scores
    theirs = scores[parents]
    links = _links(rows[parents], asked, parts, collection.size, weights)
    if collection.mask is not None:
        links = links.only(collection.mask[links.rows])
    documents = collection.source_of(links.rows)
    others = documents != collection.source_of(rows[parents])[links.parents]
    links, documents = links.only(others), documents[others]
    rows, scores = _with(rows, scores, links, collection)
    if not len(links.rows):
        return rows, scores
    places = links.rows if len(rows) == collection.size else np.searchsorted(rows, links.rows)
    reached = reached_by(theirs[links.parents], scores[places], links.strengths, weights)
    order = np.argsort(-reached, kind="stable")
    _, firsts = np.unique(documents[order], return_index=True)
    raised = scores.copy()
    np.maximum.at(raised, places[order[firsts]], reached[order[firsts]].astype(scores.dtype))
    return rows, raised


def reached_by(theirs: Any, own: Floats, strengths: Floats, weights: Weights) -> Floats:
    """The scores of passages that others, with the scores `theirs`, vouch for."""
    return np.asarray(np.minimum(own + theirs * strengths * (weights.least + weights.own * own), _BEHIND * theirs))


def _with(rows: Array, scores: Floats, links: _Links, collection: Collection) -> tuple[Array, Floats]:
    """The rows and scores with those that are linked to and are not there yet."""
    if len(rows) == collection.size or not len(links.rows):
        return rows, scores
    places = np.minimum(np.searchsorted(rows, links.rows), len(rows) - 1)
    new = np.unique(links.rows[rows[places] != links.rows])
    if not len(new):
        return rows, scores
    every = np.concatenate([rows, new])
    order = np.argsort(every, kind="stable")
    return every[order], np.concatenate([scores, collection.scored(new)])[order]


class _Links(NamedTuple):
    """Whom the best passages vouch for: pairs of a parent, by its place, and a row."""

    parents: Array
    rows: Array
    strengths: Floats

    def only(self, kept: Array) -> _Links:
        return _Links(self.parents[kept], self.rows[kept], self.strengths[kept])


class _Held(NamedTuple):
    """Names of the best passages, one behind the other, and whose each is, by its place."""

    names: Array
    parents: Array

    @classmethod
    def of(cls, lists: Sequence[Array]) -> _Held:
        return cls(np.concatenate(lists), np.repeat(np.arange(len(lists)), [len(one) for one in lists]))

    def only(self, kept: Array) -> _Held:
        return _Held(self.names[kept], self.parents[kept])


def _links(parents: Array, asked: Asked, parts: Sequence[Part], rows: int, weights: Weights) -> _Links:
    """The links of some passages; what different ways give to a pair is added."""
    homes = [_home(row, parts) for row in parents.tolist()]
    held = _Held.of([part.names.names(row) for part, row in homes])
    titles = _Held.of([part.names.titles_of(row) for part, row in homes])
    sure = np.array([asked.strengths[asked.rows == row].max(initial=0.0) for row in parents])
    ways = [_Way(weights.titled, _titled(held, titles, parts, rows))]
    if sure.any():
        shared = _shared(held.only(sure[held.parents] > 0), asked, parts, rows)
        ways.append(_Way(weights.shared, shared, adds=True))
    pairs, places = np.unique(
        np.concatenate([way.links.parents * rows + way.links.rows for way in ways]), return_inverse=True
    )
    strengths = np.zeros(len(pairs))
    first = 0
    for weight, links, adds in ways:
        strength = np.zeros(len(pairs))
        here = places[first : first + len(links.rows)]
        first += len(links.rows)
        if adds:
            np.add.at(strength, here, links.strengths)
            strength = np.minimum(strength / ENOUGH, 1) * sure[pairs // rows]
        else:
            np.maximum.at(strength, here, links.strengths)
        strengths += weight * strength
    return _Links(pairs // rows, pairs % rows, strengths)


class _Way(NamedTuple):
    """Links of one kind: of several between two passages the strongest counts, or they add up."""

    weight: float
    links: _Links
    adds: bool = False


def _titled(held: _Held, titles: _Held, parts: Sequence[Part], rows: int) -> _Links:
    """Those whose titles they name. A title that several documents have means each of them less."""
    hits = _hits([part.names.titled_by(held.names) for part in parts], parts)
    called = held.only(hits.asked)
    if not len(hits.rows):
        return _Links(called.parents, hits.rows, hits.rows)
    bearers = np.bincount(hits.asked)[hits.asked]
    links = _Links(called.parents, hits.rows, rarity_of(_counts(called.names, parts), rows) / np.sqrt(bearers))
    is_own = (called.names[:, None] == titles.names) & (called.parents[:, None] == titles.parents)
    return links.only(~is_own.any(axis=1))


def _shared(held: _Held, asked: Asked, parts: Sequence[Part], rows: int) -> _Links:
    """Those that hold the same names, without those that the question has."""
    counts = _counts(held.names, parts)
    kept = (counts > 1) & (counts <= COMMON) & ~_among(np.sort(asked.all), held.names)
    held, rarity = held.only(kept), rarity_of(counts[kept], rows)
    hits = _hits([part.names.holding(held.names) for part in parts], parts)
    return _Links(held.parents[hits.asked], hits.rows, rarity[hits.asked])


def _hits(found: Sequence[Hits], parts: Sequence[Part]) -> Hits:
    """What was found in all parts, in rows of the index."""
    if len(parts) == 1 and parts[0].first == 0:
        return found[0]
    return Hits(
        np.concatenate([one.asked for one in found]),
        np.concatenate([one.rows + part.first for one, part in zip(found, parts, strict=True)], dtype=np.int64),
    )


def _counts(names: Array, parts: Sequence[Part]) -> Array:
    """How many rows hold each name."""
    first, *others = (part.names.counts(names) for part in parts)
    return sum(others, first)


def rarity_of(counts: Array, rows: int) -> Floats:
    """The inverse document frequency of names that so many rows hold, 1 where it is one row."""
    return np.asarray(np.log1p((rows - counts + 0.5) / (counts + 0.5)) / math.log1p((rows - 0.5) / 1.5))


def _among(sorted_names: Array, names: Array) -> Array:
    """Whether each name is one of these."""
    places = np.minimum(np.searchsorted(sorted_names, names), len(sorted_names) - 1)
    return np.asarray(sorted_names[places] == names)


def _home(row: int, parts: Sequence[Part]) -> tuple[Part, int]:
    """The part that a row is in, and its row there."""
    part = max((part for part in parts if part.first <= row), key=lambda one: one.first)
    return part, row - part.first
