"""Any model of sentence-transformers as an embedder, served without torch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, PositiveInt, PrivateAttr

from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.errors import MissingExtra
from ragweave.retrievers.embedders import modelfolder
from ragweave.retrievers.embedders.encoder import Served, borrow, give_back
from ragweave.retrievers.embedders.minilm import Precision
from ragweave.retrievers.embedders.modelfolder import Prompts

if TYPE_CHECKING:
    import numpy as np

    from ragweave.orchestrator.resources import Resources
    from ragweave.retrievers.embedders.exports import Say


class SentenceTransformers(Embedder, type="sentence_transformers"):
    """A model of sentence-transformers in a folder or in the local Hugging Face cache; nothing is downloaded.

    It is exported once, measured on this CPU and kept in the user's cache folder; later processes load neither torch
    nor sentence-transformers. `auto` and `fp32` keep a cosine of 0.9999 to the original's vectors. A model that cannot
    be exported is run by sentence-transformers itself. Vectors have length 1.
    """

    model: str = Field(
        min_length=1, description="Folder of the model, relative to the graph file, or its name in the local cache."
    )
    query_prefix: str | None = Field(
        None, description="What goes before a question; if not given, what the model says."
    )
    document_prefix: str | None = Field(
        None, description="What goes before a passage; if not given, what the model says."
    )
    max_tokens: PositiveInt | None = Field(
        None, description="Where texts are cut, prefix included; if not given, where the model says."
    )
    precision: Precision = Field(
        "auto", description="auto: the fastest that keeps a cosine of 0.9999; fp32; int8 is faster and less exact."
    )
    threads: int = Field(0, ge=0, description="CPU threads for many texts at once; 0 is all that there are.")

    _served: Any = PrivateAttr(default=None)
    _key: Any = PrivateAttr(default=None)
    _prompts: Any = PrivateAttr(default=None)
    _identity: str = PrivateAttr(default="")
    _folder: Any = PrivateAttr(default=None)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def identity(self) -> str:
        """The content of the model, and what else its vectors of passages depend on; the same wherever it lies."""
        self.load()
        return self._identity

    @property
    def dimension(self) -> int:
        """The length of its vectors."""
        self.load()
        return int(self._served.dimension)

    def about(self) -> str:
        """What was chosen to serve the model, and how exact it is."""
        return str(self._served.about) if self._served is not None else ""

    def check_files(self, folder: Path) -> None:
        """Raise ResourceError if there is no such model, or if its weights are cut off or not safe to load."""
        modelfolder.look(modelfolder.locate(self.model, folder))

    def open(self, resources: Resources) -> None:
        """Load the model; the first time, export and measure it. Raises ResourceError or MissingExtra."""
        self._folder = resources.folder
        self.load(resources.say)

    async def close(self) -> None:
        """Wait for what is computed, and let go of the model."""
        if self._served is not None:
            self._served, key = None, self._key
            await give_back(key)

    def load(self, say: Say = lambda text: None) -> SentenceTransformers:
        """Load the model if it is not loaded; `embed` does so too."""
        if self._served is None:
            with self._lock:
                if self._served is None:
                    self._served = self._borrowed(say)
        return self

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 of shape (len(texts), dimension), rows of length 1: vectors of passages, after their prefix."""
        return self._embedded(texts, query=False)

    def embed_queries(self, texts: Sequence[str]) -> np.ndarray:
        """The same of questions, after theirs."""
        return self._embedded(texts, query=True)

    async def embed_query(self, text: str) -> np.ndarray:
        """The vector of one question, computed together with those of other runs."""
        if self._served is None:
            await asyncio.to_thread(self.load)
        vector: np.ndarray = await self._served.shared.embed_one(self._prompts.query + text)
        return vector

    def _embedded(self, texts: Sequence[str], *, query: bool) -> np.ndarray:
        import numpy as np

        self.load()
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        prefix = self._prompts.query if query else self._prompts.document
        given = [prefix + text for text in texts] if prefix else texts
        vectors: np.ndarray = self._served.shared.embed(given)
        return vectors

    def _borrowed(self, say: Say) -> Served:
        from ragweave.retrievers.embedders import exports
        from ragweave.retrievers.embedders.engines import usable_threads

        folder = modelfolder.locate(self.model, self._folder or Path())
        modelfolder.look(folder)
        if exports.version_of("tokenizers") is None:
            raise MissingExtra("the embedder 'sentence_transformers'", "tokenizers", "local")
        own = modelfolder.prompts(folder)
        self._prompts = Prompts(
            own.query if self.query_prefix is None else self.query_prefix,
            own.document if self.document_prefix is None else self.document_prefix,
        )
        threads = self.threads or usable_threads()
        digest = exports.digest(folder)
        apart = any(self._prompts) and modelfolder.leaves_prompt_out(folder)
        name = f"the embedder {folder.name!r}"
        key = (digest, self.precision, self.max_tokens, threads, self._prompts if apart else None)

        def make() -> Served:
            if apart:
                choice = {"precision": "fp32", "why": "its pooling leaves the words of prompts out"}
                return itself(folder, self.max_tokens, name, choice, self._prompts)
            opened = exports.open_model(folder, self.precision, threads=threads, max_tokens=self.max_tokens, say=say)
            if opened.encoder is None:
                return itself(folder, self.max_tokens, name, opened.prepared.choice, None)
            longest = self.max_tokens or opened.prepared.facts["max_tokens"]
            served = Served(
                opened.encoder.compute,
                dimension=opened.encoder.dimension,
                max_tokens=longest,
                threads=threads,
                name=name,
            )
            served.about = opened.prepared.about()
            return served

        served = borrow(key, make)
        self._key = key
        cut = f"/{self.max_tokens}" if self.max_tokens else ""
        said = f"/{sha256(self._prompts.document.encode()).hexdigest()[:8]}" if self._prompts.document else ""
        eight = "/int8" if self.precision == "int8" and not served.slow else ""
        self._identity = f"sentence-transformers/{digest}{cut}{said}{eight}"
        if served.slow:
            say(f"{name} is run by sentence-transformers itself: {served.slow}")
        return served


def itself(
    folder: Path, max_tokens: int | None, name: str, choice: Mapping[str, Any], prompts: Prompts | None
) -> Served:
    """The model run by sentence-transformers in this process. With `prompts`, it is told which words are one.

    Raises MissingExtra.
    """
    try:
        import torch
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtra("the embedder 'sentence_transformers'", error.name or "torch", "local") from None
    model = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, trust_remote_code=False, model_kwargs={"dtype": torch.float32}
    )
    if choice["precision"] == "bf16":
        model = model.to(torch.bfloat16)
    if max_tokens:
        model.max_seq_length = max_tokens
    width = int(model.get_embedding_dimension() or 0)

    def compute(texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        vectors: np.ndarray = np.empty((len(texts), width), dtype=np.float32)
        rows_of: dict[str, list[int]] = {}
        known = sorted(set(prompts or ()), key=len, reverse=True)
        for row, text in enumerate(texts):
            rows_of.setdefault(next((one for one in known if text.startswith(one)), ""), []).append(row)
        for prompt, rows in rows_of.items():
            given = [texts[row][len(prompt) :] for row in rows]
            vectors[rows] = model.encode(given, prompt=prompt, normalize_embeddings=True, convert_to_numpy=True)
        return vectors

    longest = model.max_seq_length or 512
    served = Served(compute, dimension=width, max_tokens=min(longest, 8192), threads=1, name=name)
    served.about = f"sentence-transformers itself, in {choice['precision']}: {choice['why']}"
    served.slow = choice["why"]
    return served
