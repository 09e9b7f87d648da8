"""The check `classifier`: a text-classification model in a folder says what is at fault."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.errors import InputError, ResourceError, did_you_mean
from ragweave.orchestrator.guardrails.check import Action, Finding
from ragweave.orchestrator.guardrails.heads.check import ByWindow
from ragweave.orchestrator.guardrails.heads.windows import Window
from ragweave.orchestrator.models.local.files import look, require
from ragweave.orchestrator.resources import Resources


class Classifier(ByWindow, type="classifier"):
    """Parts of a text to which a model gives one of the labels that count as a fault.

    The model is in a folder, as transformers saves it, with weights as safetensors; nothing is downloaded. A text is
    judged by windows of whole sentences, and a window that is longer than the model reads by its halves.
    """

    action: Action = Field("flag", description="What is done about it; a classifier errs, so it only tells.")
    path: str = Field(min_length=1, description="Folder of the model, relative to the graph file.")
    labels: list[str] = Field(min_length=1, description="The labels of the model that count as a fault.")
    threshold: float = Field(0.5, ge=0, le=1, description="The score of these labels together above which it is told.")
    device: str = Field("auto", description="cpu, cuda, cuda:1, mps; auto is a GPU if there is one.")
    _pipeline: Any = PrivateAttr(default=None)

    def check_files(self, folder: Path) -> None:
        """Raise ResourceError where the folder has no such model, or the model has not these labels."""
        named = look(folder / self.path, task="text-classification").get("id2label")
        known = list(map(str, named.values())) if isinstance(named, dict) else []
        for label in self.labels:
            if known and label not in known:
                raise ResourceError(
                    f"labels: the model in {self.path!r} has no label {label!r}{did_you_mean(label, known)}"
                )

    def open(self, resources: Resources) -> None:
        """Get the model ready, to be loaded at its first text. Raises MissingExtra, ResourceError."""
        from ragweave.orchestrator.models.local.pipelines import LocalPipeline

        require("the check type 'classifier'")
        self.check_files(resources.folder)
        folder = resources.folder / self.path
        self._pipeline = LocalPipeline(folder, "text-classification", device=self.device, truncate=False)

    async def close(self) -> None:
        """Let go of the model."""
        if self._pipeline is not None:
            await self._pipeline.close()

    def _limit(self) -> float:
        return self.threshold

    async def _judged(self, parts: Sequence[Window]) -> Sequence[float]:
        if self._pipeline is None:
            raise ResourceError("the check 'classifier' has to be opened")
        return await asyncio.gather(*(self._score(part.text) for part in parts))

    async def _score(self, text: str) -> float:
        try:
            scores = await self._pipeline(text)
        except InputError:  # it is longer than the model reads
            if len(text) < 2:
                raise
            middle = len(text) // 2
            return max(await asyncio.gather(self._score(text[:middle]), self._score(text[middle:])))
        missing = next((label for label in self.labels if label not in scores), None)
        if missing is not None:
            raise ResourceError(f"labels: the model has no label {missing!r}{did_you_mean(missing, scores)}")
        return float(sum(scores[label] for label in self.labels))

    def _finding(self, part: Window, score: float) -> Finding:
        said = f"the model {Path(self.path).name!r} takes it for {' or '.join(self.labels)}"
        return Finding(part.begin, part.end, "CLASSIFIED", said, min(1.0, round(score, 4)))
