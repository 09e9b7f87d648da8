"""A classifier over vectors, ready to be called: trained or read from disk, and one batch for all concurrent calls."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ragweave.orchestrator.batching import Batcher
from ragweave.orchestrator.classifying.calibration import Calibration, calibrated
from ragweave.orchestrator.classifying.examples import Examples
from ragweave.orchestrator.classifying.heads import HEADS, Head
from ragweave.orchestrator.classifying.stored import digest, load, save
from ragweave.orchestrator.classifying.words import Words

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

VERSION = 2
"""Of what is stored; another one is trained anew."""
CANDIDATES = 3
MAX_BATCH = 64


class Source(Protocol):
    """What makes vectors of texts: an embedder, or `Words`."""

    def embed(self, texts: Sequence[str]) -> Array:
        """Rows of length 1."""


class Decision(NamedTuple):
    """The best label, its probability, and the best few labels in order."""

    label: str
    confidence: float
    candidates: tuple[str, ...]


class Trained:
    """Decides between the labels of examples. `seconds` is what training took; 0 if it was read from disk."""

    def __init__(
        self,
        labels: Sequence[str],
        source: Source,
        head: Head,
        calibration: Calibration,
        seconds: float = 0.0,
        words: Words | None = None,
    ) -> None:
        self.labels = tuple(labels)
        self.source = source
        self.head = head
        self.calibration = calibration
        self.seconds = seconds
        self.words = words
        """What counts beside the vectors."""
        self.batches = 0
        self._batcher: Batcher[str, Decision] = Batcher(self.decide, max_batch=MAX_BATCH, name="classifier")

    async def __call__(self, text: str) -> Decision:
        """The decision for one text; concurrent calls are embedded together."""
        return await self._batcher.call(text)

    def decide(self, texts: Sequence[str]) -> list[Decision]:
        """The decisions for several texts. Blocks."""
        self.batches += 1
        return self.decide_vectors(self.source.embed(texts), texts)

    def decide_vectors(self, vectors: Array, texts: Sequence[str]) -> list[Decision]:
        """The decisions for texts whose vectors are known."""
        words = [self.words.sparse(text) for text in texts] if self.words is not None else ()
        shares = self.calibration.probabilities(self.head.scores(vectors, words))
        order = (-shares).argsort(axis=1, kind="stable")[:, :CANDIDATES]
        return [
            Decision(self.labels[places[0]], float(row[places[0]]), tuple(self.labels[place] for place in places))
            for row, places in zip(shares, order, strict=True)
        ]

    async def close(self) -> None:
        """Wait for what is being computed."""
        await self._batcher.close()


def trained(examples: Examples, source: Any, head: str, folder: Path | None, *, names_only: bool = False) -> Trained:
    """A classifier of these examples: read from `folder` if it was trained before, else trained and kept there.

    `source` is an embedder, or None for words alone. With `names_only` the examples are the labels' own names, from
    which nothing can be learned: the nearest decides, and no text is out of scope by itself.
    """
    import numpy as np

    head = "nearest" if names_only else head
    texts = examples.texts
    identity = source.identity if source is not None else ""
    key = digest(
        *(VERSION, head, identity, Words.identity, names_only),
        *(list(examples.labels), texts, [example.label for example in examples.examples]),
    )
    kept = load(folder, key) if folder is not None else None
    if kept is not None:
        words = Words(kept["words"]) if "words" in kept else None
        calibration = Calibration(*(float(value) for value in kept["calibration"]))
        one = HEADS[head].restored(kept)
        return _made(examples, source, one, calibration, 0.0, words)
    begin = time.perf_counter()
    words = Words.of(texts) if source is None or head == "linear" else None
    number = {label: place for place, label in enumerate(examples.labels)}
    labels = np.array([number[example.label] for example in examples.examples])
    if source is None:
        assert words is not None
        one, honest = HEADS[head].train(words.embed(texts), labels, len(examples.labels))
    else:
        vectors = np.asarray(source.embed(texts), dtype=np.float32)
        beside = words.embed(texts) if words is not None else None
        one, honest = HEADS[head].train(vectors, labels, len(examples.labels), beside)
    calibration = Calibration() if names_only else calibrated(honest, labels, one.floor)
    arrays = {**one.arrays(), "calibration": np.array(calibration)}
    if words is not None:
        arrays["words"] = words.weights
    if folder is not None:
        save(folder, key, arrays)
    return _made(examples, source, one, calibration, time.perf_counter() - begin, words)


def _made(
    examples: Examples, source: Any, head: Head, calibration: Calibration, seconds: float, words: Words | None
) -> Trained:
    """With an embedder, words are what counts beside it; without, they are the vectors."""
    if source is None:
        assert words is not None
        return Trained(examples.labels, words, head, calibration, seconds)
    return Trained(examples.labels, source, head, calibration, seconds, words)
