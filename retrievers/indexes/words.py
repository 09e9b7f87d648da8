"""Search by words: BM25 over stems, with titles in a field of their own, on arrays that are mapped into memory.

Each segment of an index has its own postings; what BM25 counts over a whole collection (passages, words, passages that
hold a word) is added up over all of them, so scores do not depend on how an index came about.
"""

from __future__ import annotations

import hashlib
import math
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import tantivy

from ragweave.retrievers.indexes.arrays import Array, Arrays, spans
from ragweave.retrievers.indexes.bm25 import K1, B
from ragweave.retrievers.indexes.gains import Gained, Gains

_BLOCK = 4_000_000
"""Words that are counted at a time."""
_SMALL = 1_000_000
"""Up to so many pairs of a word and a passage, it is worked out once what each gains: 16 bytes."""

# Snowball's English list without negations, and with what its contractions leave behind.
_STOPPED = (
    "a about above after again all am an and any are aren as at be because been before being below between both "
    "but by can could couldn d did didn do does doesn doing don down during each few for from further had hadn has "
    "hasn have haven having he her here hers herself him himself his how i if in into is isn it its itself just ll "
    "m me more most mustn my myself of off on once only or other our ours ourselves out over own re s same shan "
    "she should shouldn so some such t than that the their theirs them themselves then there these they this those "
    "through to too under until up us ve very was wasn we were weren what when where which while who whom why will "
    "with won would wouldn y you your yours yourself yourselves"
)
STOP_WORDS = _STOPPED.split()


@cache
def _analyzer() -> Any:
    filters = tantivy.Filter
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(filters.remove_long(64))
        .filter(filters.lowercase())
        .filter(filters.ascii_fold())
        .filter(filters.custom_stopword(STOP_WORDS))
        .filter(filters.stemmer("english"))
        .build()
    )


# Scripts that put no space between words: Han with its radicals, kana, bopomofo; Thai, Lao, Burmese, Khmer.
_UNSPACED = re.compile(
    "[\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff]+"
)


def stems(text: str) -> list[str]:
    """The words of a text as they are indexed: lower case, without accents and stop words, stemmed; in order.

    Where a script puts no space between words, each pair of neighbouring characters stands for one.
    """
    return _analyzer().analyze(_spaced(_clean(text)))  # type: ignore[no-any-return]


def _spaced(text: str) -> str:
    return text if text.isascii() else _UNSPACED.sub(_pairs, text)


def _pairs(run: re.Match[str]) -> str:
    found = run[0]
    return f" {' '.join(map(''.join, pairwise(found))) or found} "


class Postings(NamedTuple):
    """Which passages hold a word, and how often."""

    terms: Array
    """The hashes of the words, ascending; uint64."""
    starts: Array
    """Where the passages of each word begin in `rows`, and of the last one end; int64."""
    rows: Array
    """Of each word the passages that hold it, ascending; int32."""
    counts: Array
    """How often each does, up to 255; uint8."""
    lengths: Array
    """How many words each passage has; int32."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> Postings:
        """Those of some texts."""
        counting = Counting()
        for text in texts:
            counting.add(text)
        return counting.postings()

    @classmethod
    def merged(cls, parts: Sequence[tuple[Postings, Array]]) -> Postings:
        """The postings of parts, one behind the other, of each the rows that are named, ascending."""
        terms = np.unique(np.concatenate([part.terms for part, _ in parts]))
        kept = []
        base = 0
        for part, rows in parts:
            target = np.full(len(part.lengths), -1, dtype=np.int32)
            target[rows] = np.arange(base, base + len(rows), dtype=np.int32)
            base += len(rows)
            moved = target[part.rows]
            there = moved >= 0
            words = np.repeat(np.searchsorted(terms, part.terms).astype(np.int32), np.diff(part.starts))[there]
            kept.append((words, moved[there], part.counts[there]))
        sizes = [np.bincount(words, minlength=len(terms)) for words, _, _ in kept]
        starts = np.zeros(len(terms) + 1, dtype=np.int64)
        np.cumsum(np.sum(sizes, axis=0), out=starts[1:])
        rows, counts = np.empty(starts[-1], dtype=np.int32), np.empty(starts[-1], dtype=np.uint8)
        free = starts[:-1].copy()
        for (_, moved, several), size in zip(kept, sizes, strict=True):
            places = spans(free, size)
            rows[places], counts[places] = moved, several
            free += size
        used = np.diff(starts) > 0
        lengths = np.concatenate([part.lengths[rows] for part, rows in parts])
        return cls(terms[used], np.append(starts[:-1][used], starts[-1]), rows, counts, lengths)

    @classmethod
    def named(cls, arrays: Arrays, prefix: str) -> Postings:
        """Those that lie in arrays under a prefix."""
        return cls(*(arrays[f"{prefix}.{field}"] for field in cls._fields))

    def arrays(self, prefix: str) -> dict[str, Array]:
        """The arrays, named with a prefix."""
        return {f"{prefix}.{field}": value for field, value in zip(self._fields, self, strict=True)}


class Counting:
    """Counts the words of texts that come one by one."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._lengths: list[int] = []
        self._pending = array("i")
        self._first = 0
        self._blocks: list[tuple[Array, Array, Array]] = []

    def add(self, text: str) -> None:
        """The text of the next passage."""
        known = self._known
        found = [known.setdefault(stem, len(known)) for stem in stems(text)]
        self._pending.extend(found)
        self._lengths.append(len(found))
        if len(self._pending) > _BLOCK:
            self._count()

    def postings(self) -> Postings:
        """Those of all texts."""
        self._count()
        known = self._known
        hashes = np.fromiter((_hash(stem) for stem in known), dtype=np.uint64, count=len(known))
        order = np.argsort(hashes)
        place = np.empty(len(known), dtype=np.int32)
        place[order] = np.arange(len(known), dtype=np.int32)
        words, rows, counts = (np.concatenate(several) for several in zip(*self._blocks, strict=True))
        words = place[words]
        by_word = np.argsort(words, kind="stable")
        starts = np.zeros(len(known) + 1, dtype=np.int64)
        np.cumsum(np.bincount(words, minlength=len(known)), out=starts[1:])
        lengths = np.asarray(self._lengths, dtype=np.int32)
        return Postings(hashes[order], starts, rows[by_word], counts[by_word], lengths)

    def _count(self) -> None:
        words = np.asarray(self._pending, dtype=np.int32)
        lengths = self._lengths[self._first :]
        rows = np.repeat(np.arange(self._first, self._first + len(lengths), dtype=np.int64), lengths)
        pairs, counts = np.unique((rows << 32) | words, return_counts=True)
        self._blocks.append(
            (
                (pairs & 0xFFFFFFFF).astype(np.int32),
                (pairs >> 32).astype(np.int32),
                np.minimum(counts, 255).astype(np.uint8),
            )
        )
        self._pending, self._first = array("i"), len(self._lengths)


class _Field:
    """The postings of one field over all segments, ready for BM25."""

    def __init__(self, parts: Sequence[Postings], bases: Sequence[int]) -> None:
        self.parts, self._bases = parts, bases
        count = sum(len(part.lengths) for part in parts)
        words = sum(int(part.lengths.sum(dtype=np.int64)) for part in parts)
        mean = max(words / max(count, 1), 1e-9)
        self._penalties = [
            np.multiply(part.lengths, np.float32(K1 * B / mean), dtype=np.float32) + np.float32(K1 * (1 - B))
            for part in parts
        ]

    def found(self, hashes: Array) -> list[tuple[Array, Array]]:
        """For each segment, where the passages of each word begin and how many they are."""
        spread = []
        for part in self.parts:
            places = np.searchsorted(part.terms, hashes)
            places[places == len(part.terms)] = 0
            if not len(part.terms):
                spread.append((np.zeros(len(hashes), dtype=np.int64), np.zeros(len(hashes), dtype=np.int64)))
                continue
            begins = part.starts[places]
            spread.append((begins, np.where(part.terms[places] == hashes, part.starts[places + 1] - begins, 0)))
        return spread

    def scores(self, hashes: Array, total: int, weight: float) -> list[tuple[Array, Array]]:
        """Rows and what each gains by one of the words."""
        spread = self.found(hashes)
        holding = np.sum([counts for _, counts in spread], axis=0)
        rarity = _rarities(holding, total, weight)
        gained = []
        for part, base, penalties, (begins, counts) in zip(
            self.parts, self._bases, self._penalties, spread, strict=True
        ):
            held = [slice(start, start + count) for start, count in zip(begins.tolist(), counts.tolist(), strict=True)]
            rows = np.concatenate([part.rows[span] for span in held])
            if not len(rows):
                continue
            often = np.concatenate([part.counts[span] for span in held])
            gain = _gains(np.repeat(rarity, counts), often, penalties[rows])
            gained.append((rows + base if base else rows, gain))
        return gained

    def all(self, total: int, weight: float) -> list[Gained]:
        """The same for all words, segment by segment."""
        terms = np.unique(np.concatenate([part.terms for part in self.parts]))
        places = [np.searchsorted(terms, part.terms) for part in self.parts]
        holding = np.zeros(len(terms), dtype=np.int64)
        for part, place in zip(self.parts, places, strict=True):
            holding[place] += np.diff(part.starts)
        rarity = _rarities(holding, total, weight)
        found = []
        for part, base, penalties, place in zip(self.parts, self._bases, self._penalties, places, strict=True):
            counts = np.diff(part.starts)
            gains = _gains(np.repeat(rarity[place], counts), part.counts, penalties[part.rows])
            found.append(Gained(part.terms, counts, part.rows + base, gains))
        return found


def _rarities(holding: Array, total: int, weight: float) -> Array:
    """What each word counts that so many passages hold."""
    return (np.log1p((total - holding + 0.5) / (holding + 0.5)) * (weight * (K1 + 1))).astype(np.float32)


def _gains(rarity: Array, counts: Array, penalties: Array) -> Array:
    """What passages gain by words that they hold so often."""
    often = counts.astype(np.float32)
    gains = rarity * often
    often += penalties
    gains /= often
    return gains


class Words:
    """The word index of all segments; safe to share between threads."""

    def __init__(self, segments: Sequence[Mapping[str, Postings]]) -> None:
        """Of segments with postings for `text` and `title`, in the order of their rows."""
        sizes = [len(segment["text"].lengths) for segment in segments]
        bases: list[int] = np.cumsum([0, *sizes]).tolist()
        self._count = bases[-1]
        self._fields = {name: _Field([segment[name] for segment in segments], bases[:-1]) for name in ("text", "title")}
        self._is_small = 0 < sum(len(part.rows) for segment in segments for part in segment.values()) <= _SMALL
        self._gains: dict[float, Gains] = {}

    def __len__(self) -> int:
        return self._count

    def rarity(self, stem: str) -> float:
        """The inverse document frequency of a stem, as BM25 has it."""
        spread = self._fields["text"].found(np.asarray([_hash(stem)], dtype=np.uint64))
        holding = int(sum(counts[0] for _, counts in spread))
        return math.log1p((len(self) - holding + 0.5) / (holding + 0.5))

    def scores(self, query: str, title_boost: float = 0.0) -> Array | None:
        """The BM25 score of every passage, 0 for those that hold no word of the query; None if none does."""
        terms = list(dict.fromkeys(stems(query)))
        if not terms or not self._count:
            return None
        hashes = np.asarray([_hash(term) for term in terms], dtype=np.uint64)
        if self._is_small:
            return self._known(title_boost).sums(hashes, self._count)
        gained = self._fields["text"].scores(hashes, self._count, 1.0)
        if title_boost > 0:
            gained += self._fields["title"].scores(hashes, self._count, title_boost)
        if not gained:
            return None
        rows = np.concatenate([rows for rows, _ in gained])
        return np.bincount(rows, np.concatenate([gain for _, gain in gained]), self._count).astype(np.float32)

    def _known(self, title_boost: float) -> Gains:
        found = self._gains.get(title_boost)
        if found is None:
            gained = self._fields["text"].all(self._count, 1.0)
            if title_boost > 0:
                gained += self._fields["title"].all(self._count, title_boost)
            found = self._gains[title_boost] = Gains.of(gained)
        return found

    def search(self, query: str, limit: int, title_boost: float = 0.0) -> tuple[list[int], list[float]]:
        """The rows of the best passages and their BM25 scores, best first; none if no word of the query is indexed."""
        scores = self.scores(query, title_boost)
        if scores is None or limit < 1:
            return [], []
        rows = best(scores, limit)
        return rows.tolist(), scores[rows].tolist()


def best(scores: Array, limit: int) -> Array:
    """The places of the highest scores above 0, best first; of equal ones the first."""
    if 0 < limit < len(scores):
        least = np.partition(scores, -limit)[-limit]
        if least > 0:
            there = np.flatnonzero(scores >= least)
            found: Array = there[np.argsort(-scores[there], kind="stable")[:limit]]
            return found
    places = np.flatnonzero(scores > 0)
    return np.asarray(places[np.argsort(-scores[places], kind="stable")[:limit]])


def _hash(stem: str) -> int:
    """64 bits that stand for a word: of a million words, two share them once in 37 million collections."""
    return int.from_bytes(hashlib.blake2b(stem.encode(), digest_size=8).digest(), "little")


def _clean(text: str) -> str:
    """Without lone surrogates, which are no UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
