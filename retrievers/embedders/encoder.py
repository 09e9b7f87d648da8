"""From texts to vectors: tokens cut into batches that waste little, computed once for all who ask in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.embedding import SharedEmbedding

if TYPE_CHECKING:
    import numpy as np

    from ragweave.retrievers.embedders.engines import Engine, Part

BATCH_TOKENS = 1024
"""Tokens that a thread computes at a time: a tenth of a second. More make no text cheaper."""
CALL_TOKENS = 24
"""Padding that is as dear as another call of the engine: texts of very different length are computed apart."""
SHARE_TOKENS = 128
"""Tokens that are worth another thread."""
PARTS = 2
"""Of so many tokens that a batch has for each thread: with more, little is padded; with less, nobody waits long."""
MAX_BATCH = 256
PAD_TO = 4
"""Lengths are rounded up to a multiple: of many short texts 8 would be a tenth dearer, 2 no cheaper."""


class Encoder:
    """A tokenizer and an engine. `tokenizer` must cut texts and must not pad them; `engine(threads)` makes an engine.

    Questions are computed by one thread, many texts by `threads`, of engines that are made when they are first needed.
    """

    def __init__(
        self, tokenizer: Any, engine: Callable[[int], Engine], *, dimension: int, threads: int, pad: int = 0
    ) -> None:
        self.dimension = dimension
        self._tokenizer = tokenizer
        self._make = engine
        self._threads = threads
        self._pad = pad
        self._one = engine(1)
        self._many = self._one if threads == 1 else None

    def compute(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of a batch, in its order. Called by one thread at a time."""
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        pieces = self.tokens(texts)
        many = len(pieces) > 2
        rows_of, parts = [], []
        for rows, length in batches([len(ids) for ids in pieces], self._threads if many else 1):
            rows_of.append(rows)
            parts.append(padded([pieces[row] for row in rows], length, self._pad))
        vectors = np.empty((len(pieces), self.dimension), dtype=np.float32)
        for rows, part in zip(rows_of, (self._bulk() if many else self._one)(parts), strict=True):
            vectors[rows] = part
        return vectors

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text: one at least."""
        encodings = self._tokenizer.encode_batch([_sound(text) for text in texts])
        return [encoding.ids or [self._pad] for encoding in encodings]  # of nothing some tokenizers make nothing

    def _bulk(self) -> Engine:
        """The engine for many texts; compiled when it is first needed, since a chat embeds single questions only."""
        if self._many is None:
            self._many = self._make(self._threads)
        return self._many


class Served:
    """What embeds for all embedders of one model in this process: one batch at a time, and each text once."""

    def __init__(
        self, compute: Callable[[list[str]], np.ndarray], *, dimension: int, max_tokens: int, threads: int, name: str
    ) -> None:
        self.dimension = dimension
        self.about = ""
        """What computes, and how exactly."""
        self.slow = ""
        """Why it is slower than it could be."""
        self.users = 0
        self.shared = SharedEmbedding(
            compute,
            max_batch=MAX_BATCH,
            size=lambda text: min(len(text) // 4 + 2, max_tokens),  # about its tokens, at a glance
            max_size=max(BATCH_TOKENS, max_tokens) * PARTS * threads,
            name=name,
        )


_served: dict[Hashable, Served] = {}
_lock = threading.Lock()
_making: dict[Hashable, threading.Lock] = {}


def borrow(key: Hashable, make: Callable[[], Served]) -> Served:
    """What embeds for this key in this process, made if nobody has it yet. `give_back` it once."""
    with _lock:
        making = _making.setdefault(key, threading.Lock())
    with making:  # others are made meanwhile
        with _lock:
            found = _served.get(key)
        if found is None:
            found = make()
        with _lock:
            found = _served.setdefault(key, found)
            found.users += 1
            return found


async def give_back(key: Hashable) -> None:
    """Let go of it; the last one waits for what is computed, and the model is forgotten."""
    with _lock:
        found = _served.get(key)
        if found is None:
            return
        found.users -= 1
        if found.users > 0:
            return
        del _served[key]
        _making.pop(key, None)
    await found.shared.close()


def padded(pieces: Sequence[Sequence[int]], length: int, pad: int = 0) -> Part:
    """Ids (int32) and mask (float32) of texts, as the engines take them."""
    import numpy as np

    ids = np.full((len(pieces), length), pad, dtype=np.int32)
    mask = np.zeros((len(pieces), length), dtype=np.float32)
    for place, piece in enumerate(pieces):
        ids[place, : len(piece)] = piece
        mask[place, : len(piece)] = 1
    return ids, mask


def batches(lengths: Sequence[int], threads: int = 1) -> list[tuple[list[int], int]]:
    """Rows of about equal length, and how long they are padded to: the cheapest way to cut them, the dearest first.

    None is larger than BATCH_TOKENS, nor than a thread's share of all.
    """
    if len(lengths) == 1:
        return [([0], lengths[0])]
    by_length: dict[int, list[int]] = {}
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        by_length.setdefault(-(-lengths[row] // PAD_TO) * PAD_TO, []).append(row)
    padded_to = list(by_length)
    total = sum(length * len(rows) for length, rows in by_length.items())
    most = min(BATCH_TOKENS, max(SHARE_TOKENS, -(-total // threads)))
    # The cheapest cut of the shortest texts, up to each length: what it costs, and where its last batch begins.
    best: list[tuple[int, int]] = [(0, 0)]
    for end in range(1, len(padded_to) + 1):
        length, count, options = padded_to[end - 1], 0, []
        for begin in range(end - 1, -1, -1):
            count += len(by_length[padded_to[begin]])
            calls = -(-count // max(1, most // length))
            options.append((best[begin][0] + count * length + calls * CALL_TOKENS, begin))
        best.append(min(options))
    found = []
    end = len(padded_to)
    while end:
        begin = best[end][1]
        rows, length = [row for one in padded_to[begin:end] for row in by_length[one]], padded_to[end - 1]
        calls = -(-len(rows) // max(1, most // length))
        found += [(rows[call::calls], length) for call in range(calls)]
        end = begin
    return sorted(found, key=lambda one: -len(one[0]) * one[1])


def _sound(text: str) -> str:
    """Without lone surrogates, which the tokenizer cannot take."""
    return text.encode("utf-8", "replace").decode("utf-8")
