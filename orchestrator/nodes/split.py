"""The node that cuts a long text into pieces that a model can take."""

from __future__ import annotations

import asyncio
from typing import TypedDict

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ModelName
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.texts.cutting import cut
from ragweave.orchestrator.texts.tokens import counter


class Pieces(TypedDict):
    """What a split writes."""

    pieces: list[str]


class Split(Node, type="split"):
    """Cut a text into pieces, behind a paragraph or a sentence where that can be, never within a word.

    Without `overlap` the pieces joined are the text, character by character. Tokens are counted by the tokenizer of
    `model` where that has one at hand, else about: one for each 8 letters of a word begun, each digit group and each
    sign. A single word that is longer than `max_tokens` is a piece of its own; a blank text has no pieces.
    """

    asks_models = False
    example = "cut: {type: split, max_tokens: 1000, overlap: 50}"

    max_tokens: PositiveInt = Field(1000, description="The largest piece, in tokens.")
    overlap: NonNegativeInt = Field(0, description="Tokens that a piece repeats from the end of the one before.")
    model: ModelName | None = Field(None, description="Whose tokens are counted; without it, about.")

    @model_validator(mode="after")
    def _check_overlap(self) -> Split:
        if self.overlap * 2 > self.max_tokens:
            raise ValueError(f"an overlap of {self.overlap} is more than half of max_tokens, {self.max_tokens}")
        return self

    async def __call__(self, text: str, ctx: Context) -> Pieces:
        """The pieces, in the order of the text."""
        count = await counter(ctx, self.model)
        pieces = await asyncio.to_thread(cut, text, self.max_tokens, self.overlap, count)
        return {"pieces": [text[piece.start : piece.end] for piece in pieces]}
