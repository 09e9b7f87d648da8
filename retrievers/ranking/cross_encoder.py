"""A reranker that reads question and passage together: a cross-encoder in a folder on this machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field, PositiveInt, PrivateAttr

from ragweave.orchestrator.batching import Batcher
from ragweave.orchestrator.contracts import Reranker
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.models.local.files import look
from ragweave.orchestrator.models.local.loading import Dtype
from ragweave.orchestrator.values import Document

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources

_TASK = "text-classification"
_BATCH_TOKENS = 4096


class _Pair(NamedTuple):
    """A question and a passage as tokens."""

    tokens: dict[str, list[int]]

    @property
    def length(self) -> int:
        return len(self.tokens["input_ids"])


class CrossEncoder(Reranker, type="cross_encoder"):
    """Scores each passage by a model that reads it together with the question; nothing is downloaded.

    Any sequence classifier with one output, or with two of which the second means that the passage fits. The pairs of
    all runs are computed together, in batches of about equal length.
    """

    model: str = Field(min_length=1, description="Folder of the model, relative to the graph file.")
    device: str = Field("auto", description="cpu, cuda, cuda:1, mps; auto is a GPU if there is one.")
    dtype: Dtype = Field("auto", description="auto: float32 on a CPU, elsewhere what the weights are stored in.")
    max_tokens: PositiveInt = Field(512, description="Tokens of question and passage together; longer ones are cut.")
    max_batch: PositiveInt = Field(64, description="Pairs to compute at the same time; each takes memory.")

    _loaded: Any = PrivateAttr(default=None)
    _batcher: Any = PrivateAttr(default=None)
    _longest: int = PrivateAttr(default=512)
    _tokenizing: Any = PrivateAttr(default_factory=threading.Lock)

    def check_files(self, folder: Path) -> None:
        """Raise ResourceError if the folder holds no such model."""
        look(folder / Path(self.model).expanduser(), task=_TASK)

    def open(self, resources: Resources) -> None:
        """Load the model. Raises ResourceError that says what is wrong with its files, MissingExtra without torch."""
        from ragweave.orchestrator.models.local.loading import context_of, load

        folder = resources.folder / Path(self.model).expanduser()
        loaded = load(folder, task=_TASK, device=self.device, dtype=self.dtype, feature="the reranker 'cross_encoder'")
        labels = loaded.model.config.num_labels
        if labels not in (1, 2):
            raise ResourceError(
                f"the model in {str(folder)!r} tells {labels} classes apart, which is no score",
                hint="a cross-encoder has one output, or two of which the second means that the passage fits",
            )
        self._longest = min(self.max_tokens, context_of(loaded.model, loaded.tokenizer) or self.max_tokens)
        self._loaded = loaded
        self._batcher = Batcher(
            self._compute,
            max_batch=self.max_batch,
            size=lambda pair: pair.length,
            max_size=max(_BATCH_TOKENS, self._longest),
            name=f"cross_encoder {self.model}",
        )

    async def score(self, question: str, documents: Sequence[Document]) -> list[float]:
        """How well each passage fits, between 0 and 1: the model's probability."""
        if not documents:
            return []
        pairs = await asyncio.to_thread(self._pairs, question, documents)
        scores: list[float] = await self._batcher.map(pairs)
        return scores

    async def close(self) -> None:
        """Wait for what is computed, and let go of the model."""
        batcher, self._batcher, self._loaded = self._batcher, None, None
        if batcher is not None:
            await batcher.close()

    def _pairs(self, question: str, documents: Sequence[Document]) -> list[_Pair]:
        """The question with each passage and its title; what is too long loses the end of its longer part."""
        texts = [f"{document.title}\n{document.text}" if document.title else document.text for document in documents]
        with self._tokenizing:  # a tokenizer that truncates keeps that setting in itself
            encoded = self._loaded.tokenizer(
                [_sound(question)] * len(texts), [*map(_sound, texts)], truncation=True, max_length=self._longest
            )
        names = list(encoded.keys())
        return [_Pair({name: encoded[name][row] for name in names}) for row in range(len(texts))]

    def _compute(self, pairs: list[_Pair]) -> list[float]:
        import torch

        padded = self._loaded.tokenizer.pad([pair.tokens for pair in pairs], return_tensors="pt")
        with torch.inference_mode():
            logits = self._loaded.model(**padded.to(self._loaded.device)).logits.float()
            fits = logits.sigmoid()[:, 0] if logits.shape[1] == 1 else logits.softmax(dim=1)[:, 1]
        return [float(score) for score in fits.cpu()]


def _sound(text: str) -> str:
    """Without lone surrogates, which are no text to a tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8")
