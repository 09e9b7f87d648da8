"""The vectors of texts for all who ask: computed together, and each text once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ragweave.orchestrator.batching import Batcher
from ragweave.orchestrator.errors import NodeError

if TYPE_CHECKING:
    import numpy as np

KEEP = 1024
"""Vectors that are kept: more than runs that are usually under way, and with 384 numbers each 1.5 MB."""
_LONG = 256
"""Characters from which a text is remembered by its digest."""

Key = str | bytes


class _Text(NamedTuple):
    key: Key
    text: str
    size: int


class SharedEmbedding:
    """Calls `compute(texts)`, which gives an array with one row a text, for all threads: one batch at a time.

    Calls that come while a batch is computed share the next one; a lone call is computed at once, in its own thread. A
    text that several ask for, at the same time or soon after each other, is computed once: the last `keep` vectors
    are kept, by the exact text. `size` says how long a text is, and `max_size` how many units a batch holds with
    every text as long as its longest. A call of many texts is cut into such batches, so that others come in between.
    """

    def __init__(
        self,
        compute: Callable[[list[str]], np.ndarray],
        *,
        max_batch: int = 64,
        size: Callable[[str], int] = lambda text: 1,
        max_size: int | None = None,
        keep: int = KEEP,
        name: str = "embedder",
    ) -> None:
        self.batches = 0
        """How many batches were computed."""
        self.computed = 0
        """How many texts were."""
        self._compute = compute
        self._max_batch = max_batch
        self._size = size
        self._max_size = max_size
        self._keep = keep
        self._name = name
        self._kept: OrderedDict[Key, np.ndarray] = OrderedDict()
        """The least used first; guarded by the lock."""
        self._lock = threading.Lock()
        self._batcher = self._new()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """The rows for one text or more, in the order of `texts`. Blocks. Raises what `compute` raises."""
        import numpy as np

        keys = [_key(text) for text in texts]
        found = self._known(keys)
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        for batch in self._cut([_Text(key, text, self._size(text)) for key, text in new.items()]):
            found.update(zip((one.key for one in batch), self._batcher.wait_all(batch), strict=True))
        return np.stack([found[key] for key in keys])

    async def embed_one(self, text: str) -> np.ndarray:
        """The row for one text, for a caller on an event loop. Raises what `compute` raises."""
        key = _key(text)
        found = self._known([key])
        if key in found:
            return found[key]
        return await self._batcher.call(_Text(key, text, self._size(text)))

    async def close(self) -> None:
        """Wait for what is computed, and forget what was. It can be used again."""
        old, self._batcher = self._batcher, self._new()
        await old.close()
        with self._lock:
            self._kept.clear()

    def _new(self) -> Batcher[_Text, np.ndarray]:
        return Batcher(
            self._serve,
            max_batch=self._max_batch,
            size=lambda one: one.size,
            max_size=self._max_size,
            name=self._name,
        )

    def _known(self, keys: Sequence[Key]) -> dict[Key, np.ndarray]:
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
            for key in found:
                self._kept.move_to_end(key)
        return found

    def _cut(self, texts: list[_Text]) -> Iterator[list[_Text]]:
        """Texts of about equal length, as many as a batch holds."""
        batch: list[_Text] = []
        for one in sorted(texts, key=lambda one: one.size):
            full = self._max_size is not None and one.size * (len(batch) + 1) > self._max_size
            if batch and (full or len(batch) == self._max_batch):
                yield batch
                batch = []
            batch.append(one)
        if batch:
            yield batch

    def _serve(self, batch: list[_Text]) -> list[np.ndarray]:
        """The rows of a batch; what was computed since its texts were asked for is not computed again."""
        found = self._known([one.key for one in batch])
        new = {one.key: one.text for one in batch if one.key not in found}
        if new:
            rows = self._compute(list(new.values()))
            if len(rows) != len(new):
                raise NodeError(f"{self._name}: {len(rows)} vectors for {len(new)} texts")
            self.batches += 1
            self.computed += len(new)
            made = {key: row.copy() for key, row in zip(new, rows, strict=True)}  # a view would keep all of the batch
            found |= made
            with self._lock:
                self._kept.update(made)
                while len(self._kept) > self._keep:
                    self._kept.popitem(last=False)
        return [found[one.key] for one in batch]


def _key(text: str) -> Key:
    if len(text) <= _LONG:
        return text
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
