"""A linear head: the weights of a text's vector and of its words."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

WORDS = 8_192
"""Places for words and pairs of words, by their hashes."""
MOST = 400
"""Words of a text that are looked at; a window has fewer."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d|[^\w\s]")


def words_of(text: str) -> dict[int, float]:
    """The words and pairs of neighbours of a text as places and weights, of length 1 together."""
    said = [match[0].lower() for match in _WORD.finditer(text)][:MOST]
    pairs = (f"{first} {second}" for first, second in pairwise(said))
    counted = Counter(zlib.crc32(word.encode("utf-8", "replace")) % WORDS for word in (*said, *pairs))
    size = sum(count * count for count in counted.values()) ** 0.5
    return {place: count / size for place, count in counted.items()}


class Head:
    """Scores from 0 to 1 for texts and their vectors: 1 for what it was trained to find."""

    def __init__(self, vector: Floats, words: Floats, bias: float, rates: Mapping[float, float]) -> None:
        self._vector, self._words, self._bias = vector, words, bias
        self.rates = rates
        """The score that so many of the harmless texts of its training exceed: `{0.01: 0.87}`."""

    def scores(self, texts: Sequence[str], vectors: Floats) -> list[float]:
        """One number a text. `vectors` is float32 of shape (len(texts), dimension)."""
        import numpy as np

        by_vector = vectors @ self._vector + self._bias
        by_words = [sum(float(self._words[at]) * held for at, held in words_of(text).items()) for text in texts]
        return [float(one) for one in 1 / (1 + np.exp(-(by_vector + np.asarray(by_words, dtype=np.float32))))]


@cache
def shipped(name: str) -> Head:
    """The head of this name that comes with ragweave: `injection` or `toxicity`."""
    import numpy as np

    data = files("ragweave.orchestrator.guardrails.heads").joinpath(f"{name}.npz").read_bytes()
    with np.load(BytesIO(data), allow_pickle=False) as kept:
        rates = {round(float(rate), 4): float(limit) for rate, limit in kept["rates"]}
        return Head(kept["vector"].astype(np.float32), kept["words"].astype(np.float32), float(kept["bias"]), rates)
