"""The check `language`: which languages a text may be in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.errors import MissingExtra, ResourceError, did_you_mean
from ragweave.orchestrator.guardrails.check import Check, Finding, Subject
from ragweave.orchestrator.resources import Resources

NONE = "zxx"
"""What the model calls text of no language, such as code and numbers."""
_WIDE = "\u2e80"
"""From here on a letter is a syllable or a word: Chinese, Japanese, Korean."""


class Language(Check, type="language"):
    """A text in another language than those it may be in, as a whole: a sentence in a long text is not noticed.

    Texts of less than `min_letters` letters, and of no language, such as code, are not decided and pass.
    """

    languages: list[str] = Field(min_length=1, description="Those it may be in, as in ISO 639: en, de, pt, …")
    min_letters: int = Field(
        20, ge=1, description="Letters below which nothing is decided; one of Chinese, Japanese or Korean counts twice."
    )
    threshold: float = Field(
        0.8, ge=0.5, le=1, description="How much likelier another language has to be: its share against those allowed."
    )
    _model: Any = PrivateAttr(default=None)

    def open(self, resources: Resources) -> None:
        """Load the model, which takes a second or more and needs no network. Raises MissingExtra, ResourceError."""
        model = _model()
        for code in self.languages:
            if code not in model.labels:
                raise ResourceError(f"languages: {code!r} is not known{did_you_mean(code, model.labels)}")
        self._model = model

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """All of the text, if it is most likely in a language that it may not be in."""
        if sum(1 + (char >= _WIDE) for char in text if char.isalpha()) < self.min_letters:
            return []
        if self._model is None:
            raise ResourceError("the check 'language' has to be opened")
        rank = dict(await asyncio.to_thread(self._model.rank, text))
        best = max(rank, key=rank.__getitem__)
        if best == NONE or best in self.languages:
            return []
        share = rank[best] / (rank[best] + sum(rank[code] for code in self.languages))
        if share < self.threshold:
            return []
        said = f"it is in another language ({best}) than {', '.join(self.languages)}"
        return [Finding(0, len(text), "LANGUAGE", said, round(float(share), 4))]


@cache
def _model() -> Any:
    """The model of py3langid with probabilities: https://github.com/adbar/py3langid, 139 languages."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise MissingExtra("the check type 'language'", "py3langid", "language") from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
