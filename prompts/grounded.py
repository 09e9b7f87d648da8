"""The check `grounded`: whether the sources of an answer hold what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from ragweave.orchestrator.guardrails.check import Check, Finding, Subject
from ragweave.prompts.judging import unfounded


class Grounded(Check, type="grounded"):
    """Sentences of an answer that its sources do not hold: a number, a name, a negation or most words differ.

    By rules, without a model: they see words, numbers with their units, names and negations. They do not see right
    words in a wrong relation, and take a paraphrase that shares no word with its source for unfounded. An answer
    without sources has nothing that holds it.
    """

    needs: ClassVar[Sequence[Literal["question", "documents"]]] = ("documents",)

    threshold: float = Field(
        0.3, ge=0, le=1, description="How sure the rules have to be; from 0.45, other words than the sources' may pass."
    )

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """The sentences, each with why and how sure that is."""
        found = await asyncio.to_thread(unfounded, text, subject.documents)
        return [
            Finding(begin, end, "UNFOUNDED", one.reason, one.score)
            for one in found
            if one.score >= self.threshold
            for begin, end in one.spans
        ]
