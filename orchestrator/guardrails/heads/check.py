"""The checks `injection`, `toxicity` and `topic`, which go by what a text means."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.contracts import Embedder, EmbedderName
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.guardrails.check import Action, Check, Finding, Subject
from ragweave.orchestrator.guardrails.heads.head import shipped
from ragweave.orchestrator.guardrails.heads.windows import LONGEST, Window, windows
from ragweave.orchestrator.resources import Resources

if TYPE_CHECKING:
    import numpy as np

FEW = 4
"""Examples that a topic takes at least, on either side."""


class ByWindow(Check):
    """A check that judges a text by its windows, so that nothing of it is cut off."""

    @property
    def window(self) -> int | None:
        """That of a window of sentences and of the sentence that might still join it."""
        return 3 * LONGEST

    def decided(self, text: str) -> int:
        """All but the last two windows."""
        found = windows(text)
        begin = found[-2].begin if len(found) > 1 else 0
        return max(begin, len(text) - 3 * LONGEST, 0)

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """The windows that score higher than the threshold."""
        parts = windows(text)
        if not parts:
            return []
        scored = zip(parts, await self._judged(parts), strict=True)
        return [self._finding(part, score) for part, score in scored if score > self._limit()]

    async def _judged(self, parts: Sequence[Window]) -> Sequence[float]:
        raise NotImplementedError

    def _limit(self) -> float:
        raise NotImplementedError

    def _finding(self, part: Window, score: float) -> Finding:
        raise NotImplementedError


class ByMeaning(ByWindow):
    """A check that goes by the vectors of windows."""

    _embedder: Any = PrivateAttr(default=None)

    async def _judged(self, parts: Sequence[Window]) -> Sequence[float]:
        embedder: Embedder = self._embedder
        if embedder is None:
            raise ResourceError(f"the check {self.type_name!r} has to be opened with the embedder that it judges by")
        return self._scores(parts, await asyncio.to_thread(embedder.embed, [part.text for part in parts]))

    def _scores(self, parts: Sequence[Window], vectors: np.ndarray) -> Sequence[float]:
        raise NotImplementedError


class ByHead(ByMeaning):
    """A check by a head that comes with ragweave, which was trained on vectors of `minilm`."""

    rate: ClassVar[float]
    """That of harmless texts of the training which it takes for faulty, where no threshold is set."""
    label: ClassVar[str]
    reason: ClassVar[str]

    action: Action = Field("flag", description="What is done about it; a classifier errs, so it only tells.")
    threshold: float | None = Field(
        None, ge=0, le=1, description="The score above which it is told; `ragweave guard calibrate` finds yours."
    )

    def open(self, resources: Resources) -> None:
        """Open the embedder. Raises MissingExtra where it is not installed."""
        self._embedder = resources.get("embedders", "minilm")
        shipped(self.type_name)

    def _limit(self) -> float:
        return shipped(self.type_name).rates[self.rate] if self.threshold is None else self.threshold

    def _scores(self, parts: Sequence[Window], vectors: np.ndarray) -> Sequence[float]:
        return shipped(self.type_name).scores([part.text for part in parts], vectors)

    def _finding(self, part: Window, score: float) -> Finding:
        return Finding(part.begin, part.end, self.label, self.reason, round(score, 4))


class Injection(ByHead, type="injection"):
    """Sentences that tell a model to forget what it was told, to play somebody without rules, or to say its prompt.

    Advice and no boundary: docs/guardrail-models.md says what it finds and what it does not.
    """

    rate = 0.01
    label = "INJECTION"
    reason = "it reads like an attack on the model's instructions"


class Toxicity(ByHead, type="toxicity"):
    """Insults, threats and abuse in English. docs/guardrail-models.md says how well it tells them."""

    rate = 0.03
    label = "TOXIC"
    reason = "it reads like abuse"


class Topic(ByMeaning, type="topic"):
    """Whether a text is about what it may be about, by examples of both sides and by what they mean.

    When it is opened it says how many of the examples it would take for the other side if it had not seen them.
    """

    allowed: list[str] = Field(min_length=FEW, description="Texts as they are to be.")
    denied: list[str] = Field(min_length=FEW, description="Texts about what they are not to be about.")
    margin: float = Field(
        0.0, ge=-1, le=1, description="How much nearer to the denied a text has to be; lower is stricter."
    )
    embedder: EmbedderName = Field("minilm", description="What texts are compared by.")
    _between: Any = PrivateAttr(default=None)

    def open(self, resources: Resources) -> None:
        """Embed the examples, and say how well they are told apart."""
        import numpy as np

        embedder: Embedder = resources.get("embedders", self.embedder)
        allowed, denied = embedder.embed(self.allowed), embedder.embed(self.denied)
        self._embedder, self._between = embedder, _between(allowed, denied)
        judged = [allowed[at] @ _between(np.delete(allowed, at, 0), denied) for at in range(len(allowed))]
        missed = [denied[at] @ _between(allowed, np.delete(denied, at, 0)) for at in range(len(denied))]
        wrong, passed = sum(one > self.margin for one in judged), sum(one <= self.margin for one in missed)
        resources.say(
            f"{self._declared_as or 'topic'}: of {len(judged)} allowed examples, each left out in turn, {wrong} were "
            f"taken for denied; of {len(missed)} denied ones, {passed} for allowed"
        )

    def _limit(self) -> float:
        return self.margin

    def _scores(self, parts: Sequence[Window], vectors: np.ndarray) -> Sequence[float]:
        return [float(one) for one in vectors @ self._between]

    def _finding(self, part: Window, score: float) -> Finding:
        reason = "it is nearer to what it must not be about than to what it may be about"
        return Finding(part.begin, part.end, "TOPIC", reason, min(1.0, max(0.0, round(score, 4))))


def _between(allowed: np.ndarray, denied: np.ndarray) -> np.ndarray:
    """The way from the middle of the allowed to that of the denied: a text's cosine with the latter less that with the
    former."""
    import numpy as np

    middles = [side.mean(axis=0) / max(float(np.linalg.norm(side.mean(axis=0))), 1e-9) for side in (allowed, denied)]
    return middles[1] - middles[0]  # type: ignore[no-any-return]
