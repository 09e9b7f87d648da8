"""The node that makes one text of several, and says whether it is still too long."""

from __future__ import annotations

import asyncio
import string
from collections.abc import Sequence
from typing import Any, TypedDict

from pydantic import Field, PositiveInt, field_validator

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ModelName
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.texts.ranking import summarise
from ragweave.orchestrator.texts.tokens import Count, counter
from ragweave.orchestrator.values import Document, Message

_PLACEHOLDERS = ("number", "count", "title")


class Combined(TypedDict):
    """What a combine writes."""

    text: str
    too_long: bool


class Combine(Node, type="combine"):
    """Join texts (strings, answers, documents, messages) to one, each under its heading; blank ones are left out.

    `too_long` says whether the result has more than `max_tokens`: a route on it leads back to a `split`, so that long
    texts are worked on round by round. With `shorten`, each text keeps only its central sentences instead, as many as
    fit, and `too_long` is left for what cannot be shortened.
    """

    asks_models = False
    example = 'join: {type: combine, heading: "## Part {number}", max_tokens: 1000, reads: {texts: pieces}}'

    separator: str = Field("\n\n", description="What stands between two texts.")
    heading: str = Field("", description="What stands above each text; {number}, {count} and {title} are replaced.")
    max_tokens: PositiveInt | None = Field(None, description="More than that, headings included, is too long.")
    shorten: bool = Field(False, description="Keep central sentences only, where all of it would be too long.")
    model: ModelName | None = Field(None, description="Whose tokens are counted; without it, about.")

    @field_validator("heading")
    @classmethod
    def _check_heading(cls, value: str) -> str:
        try:
            fields = [(name, form, how) for _, name, form, how in string.Formatter().parse(value) if name is not None]
        except ValueError as error:
            raise ValueError(f"{error}; write {{{{ and }}}} for braces that are meant as such") from None
        for name, form, how in fields:
            if name not in _PLACEHOLDERS or form or how:
                raise ValueError(
                    f"{{{name}}} is none of {', '.join(f'{{{known}}}' for known in _PLACEHOLDERS)}; "
                    "write {{ and }} for braces that are meant as such"
                )
        return value

    async def __call__(self, texts: list[Any], ctx: Context) -> Combined:
        """One text, in the order of the texts."""
        parts = [(_title(item), text) for item in texts if (text := _text(item)).strip()]
        joined = self._joined(parts)
        if self.max_tokens is None:
            return {"text": joined, "too_long": False}
        count = await counter(ctx, self.model)
        if self.shorten and count(joined) > self.max_tokens:
            joined = await asyncio.to_thread(self._shortened, parts, count)
        return {"text": joined, "too_long": count(joined) > self.max_tokens}

    def _joined(self, parts: Sequence[tuple[str, str]]) -> str:
        pieces = []
        for number, (title, text) in enumerate(parts, start=1):
            head = self.heading.format(number=number, count=len(parts), title=title) if self.heading else ""
            pieces.append(f"{head}\n\n{text.strip()}" if head else text.strip())
        return self.separator.join(pieces)

    def _shortened(self, parts: Sequence[tuple[str, str]], count: Count) -> str:
        """The parts with an equal share of their sentences each, the largest share that fits found by halving."""
        low, high = 0.0, 1.0
        best = self._joined([(title, summarise(text, 1)) for title, text in parts])
        for _ in range(7):
            share = (low + high) / 2
            short = [(title, summarise(text, max(1, int(share * len(text.split()))))) for title, text in parts]
            joined = self._joined(short)
            if count(joined) <= (self.max_tokens or 0):
                best, low = joined, share
            else:
                high = share
        return best


def _text(item: Any) -> str:
    if isinstance(item, (Document, Message)):
        return item.text
    return "" if item is None else str(item)


def _title(item: Any) -> str:
    return item.title if isinstance(item, Document) else ""
