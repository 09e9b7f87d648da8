"""The node type `summariser`: a text as a short one, by a model, or by quoting its central sentences."""

from __future__ import annotations

import asyncio
from typing import Literal, TypedDict

from pydantic import Field, PositiveInt

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatModel, ChatRequest, ModelName, PromptName
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.reading import cut_off
from ragweave.orchestrator.models.replies import complete
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.texts.ranking import summarise


class Summarised(TypedDict):
    """What a summariser writes."""

    summary: str


class Summariser(Node, type="summariser"):
    """Sum a text up in about so many words; where the state has a `question`, with that in mind.

    A model that follows instructions writes the summary. Without one, as with `extractive`, the summary is made of the
    sentences of the text that are nearest to all others, none that says again what another says; it never changes a
    word. For a text that is too long for a model, map it over the pieces of a `split` and `combine` what comes of them.
    """

    origin = "model"
    example = "sum_up: {type: summariser, words: 80, map: {over: pieces, as: text, max_concurrency: 4}}"

    model: ModelName = Field("auto", description="The model that writes; `extractive` quotes the central sentences.")
    prompt: PromptName = Field("summarise", description="What the model is told.")
    words: PositiveInt = Field(120, description="About how many words the summary may have.")
    form: Literal["prose", "points"] = Field("prose", description="Sentences one after the other, or a list.")
    max_tokens: PositiveInt | None = Field(None, description="A longer reply of the model, in tokens, is an error.")

    async def __call__(self, text: str, ctx: Context, question: str | None = None) -> Summarised:
        """The summary; of a blank text a blank one, without a call."""
        if not text.strip():
            return {"summary": ""}
        model = await ctx.model(self.model)
        if model.follows_instructions():
            return {"summary": await self._ask(model, ctx, text, question)}
        summary = await asyncio.to_thread(summarise, text, self.words, question=question or "", form=self.form)
        await ctx.emit(summary)
        return {"summary": summary}

    async def _ask(self, model: ChatModel, ctx: Context, text: str, question: str | None) -> str:
        prompt = await ctx.prompt(self.prompt)
        values = {"text": text, "words": self.words, "form": self.form, "question": question}
        messages = prompt.render(**{name: value for name, value in values.items() if name in prompt.variables})
        request = ChatRequest(messages=messages, temperature=0.0, max_tokens=self.max_tokens)
        reply = await complete(ctx, model, request, emit=True)
        if reply.finish == "length":
            raise cut_off(self.model, self.max_tokens, "the summary")
        if not reply.text.strip():
            raise ModelError(f"model {self.model!r} gave an empty reply", transient=True)
        return reply.text.strip()
