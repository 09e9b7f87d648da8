"""The node that says a fixed text: a refusal, a greeting, a question back."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from pydantic import BaseModel, Field, field_validator

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.node import Node, Read, Signature
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import JSON
from ragweave.orchestrator.values import Answer

_FORMATTER = string.Formatter()


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
        shown = "".join(
            literal + (_shown(state[name]) if name is not None else "")
            for literal, name, _, _ in _FORMATTER.parse(self.text)
        )
        await ctx.emit(shown)
        return {"answer": Answer(text=shown, confidence=self.confidence)}


def placeholders(text: str) -> list[str]:
    """The state keys that a text names, each once. Raises ValueError for braces that are no plain `{key}`."""
    found: dict[str, None] = {}
    try:
        pieces = list(_FORMATTER.parse(text))
    except ValueError as error:
        raise ValueError(f"{error} in {text!r}; write {{{{ and }}}} for braces that are meant as such") from None
    for _, name, form, conversion in pieces:
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            written = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            raise ValueError(
                f"'{{{written}}}' is not a placeholder such as {{question}}: the name of a state key, without fields, "
                "formats or spaces; write {{ and }} for braces that are meant as such"
            )
        found[name] = None
    return list(found)


def _shown(value: Any) -> str:
    """A value as a person reads it: value models by `str()`, lists with commas, maps as JSON."""
    if value is None:
        return ""
    if isinstance(value, (str, BaseModel)):
        return str(value)
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, Sequence):
        return ", ".join(map(_shown, value))
    return json.dumps(value) if isinstance(value, bool) else str(value)
