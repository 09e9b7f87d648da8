"""The node that says a fixed text: a refusal, a greeting, a question back."""

from __future__ import annotations

from typing import Any, TypedDict

from pydantic import Field, field_validator

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.node import Node, Read, Signature
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.texts.placeholders import filled, placeholders
from ragweave.orchestrator.types import JSON
from ragweave.orchestrator.values import Answer


class Replied(TypedDict):
    """What a reply writes."""

    answer: Answer


class Reply(Node, type="reply"):
    """Say a fixed text; `{question}` in it is replaced by the state key of that name, and `{{` is a brace.

    Set `confidence: 0` where the text is a refusal, so that evaluations count it as one.
    """

    origin = "system"
    example = 'refuse: {type: reply, text: "I could not find that.", confidence: 0}'

    text: str = Field(min_length=1, description="What to say; {question} stands for the state key of that name.")
    confidence: float = Field(1.0, ge=0, le=1, description="0 where the text says that there is no answer.")

    @field_validator("text")
    @classmethod
    def _check_text(cls, value: str) -> str:
        placeholders(value)
        return value

    def signature(self, resources: Resources) -> Signature:
        """Reads the keys that the text names."""
        return Signature({name: Read(JSON) for name in placeholders(self.text)}, self.declared.writes)

    async def __call__(self, ctx: Context, **state: Any) -> Replied:
        shown = filled(self.text, state)
        await ctx.emit(shown)
        return {"answer": Answer(text=shown, confidence=self.confidence)}
