"""The node that lets a model answer, with citations that point to the very words of the sources."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NotRequired, TypedDict

from pydantic import Field, PositiveInt

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatRequest, ModelName, PromptName, ToolName
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.reading import cut_off
from ragweave.orchestrator.models.replies import Reply, complete
from ragweave.orchestrator.node import Node, Read, Signature
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.toolset import toolset
from ragweave.orchestrator.types import parse_type
from ragweave.orchestrator.values import Answer, Citation, Document, Message, ToolCall
from ragweave.prompts.marks import MarkReader
from ragweave.prompts.steps import READS, WRITES, answered, in_words, said
from ragweave.prompts.template import Prompt

DOCUMENTS = parse_type("list[Document]")


class Answered(TypedDict):
    """What a generator writes."""

    answer: Answer
    steps: NotRequired[list[Message]]
    tool_calls: NotRequired[list[ToolCall]]


class Generator(Node, type="generator"):
    """Let a model answer, streaming its words; `[n]` in them becomes a citation of the n-th document.

    It reads what its prompt declares: `answer_with_citations` reads `question`, `documents` and, where there is one,
    `history`. Marks that point to no document are left out of the text. The confidence is the model's own if it gives
    one, else 0 if it said the prompt's abstention, else 1.
    """

    origin = "model"
    example = "answer: {type: generator, model: chat, prompt: answer_with_citations, temperature: 0}"

    model: ModelName = Field("auto", description="The model that answers.")
    prompt: PromptName = Field("answer_with_citations", description="What it is told; its variables are what is read.")
    temperature: float | None = Field(None, ge=0, description="0 for the likeliest words; without it, the model's own.")
    max_tokens: PositiveInt | None = Field(None, description="The longest answer, in tokens; a longer one is an error.")
    stop: list[str] = Field([], description="Texts that end the answer.")
    seed: int | None = Field(None, description="For models that can repeat an answer.")
    tools: list[ToolName] = Field([], description="Tools that the model may ask for; a tool_executor calls them.")

    def signature(self, resources: Resources) -> Signature:
        """Reads the variables of the prompt, and with tools the `steps` so far and the `tool_results` of the last one.
        Raises ResourceError if the prompt is wrong."""
        prompt: Prompt = resources.get("prompts", self.prompt)
        reads = {name: Read(variable.type, variable.required) for name, variable in prompt.variables.items()}
        writes = {"answer": self.declared.writes["answer"]}
        if not self.tools:
            return Signature(reads, writes)
        return Signature({**READS, **reads}, {**writes, **WRITES})

    async def __call__(self, ctx: Context, **state: Any) -> Answered:
        prompt: Prompt = await ctx.prompt(self.prompt)
        documents = _documents(prompt, state)
        # Without documents a number in brackets is no citation, so nothing is taken for one.
        reader = MarkReader(len(documents)) if documents is not None else None
        so_far = answered(state.get("steps") or (), state.get("tool_results") or ()) if self.tools else []
        shown = {name: value for name, value in state.items() if name in prompt.variables} if self.tools else state
        request = ChatRequest(
            messages=(*prompt.render(**shown), *so_far),
            question=_text(state.get("question")),
            documents=documents or (),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            stop=self.stop,
            seed=self.seed,
            thread=ctx.thread_id,
        )
        reply = await self._reply(ctx, request, reader)
        text, calls, _, finish, confidence = reply
        if not text.strip() and not calls:
            raise ModelError(f"model {self.model!r} gave an empty reply", transient=True)
        if finish == "length":
            raise cut_off(self.model, self.max_tokens, "the answer")
        if confidence is None:
            confidence = 0.0 if is_abstention(text, prompt.abstention) else 1.0
        cited: tuple[Citation, ...] = ()
        if reader is not None and reader.marks:
            from ragweave.prompts.quotes import citations  # loads a stemmer, which answers without marks do not need

            cited = await asyncio.to_thread(citations, text, reader.marks, documents or ())
        written: Answered = {"answer": Answer(text=text, citations=cited, confidence=confidence)}
        if not self.tools:
            return written
        step, asked = said(reply, so_far)
        return {**written, "steps": [*so_far, step], "tool_calls": asked}

    async def _reply(self, ctx: Context, request: ChatRequest, reader: MarkReader | None) -> Reply:
        model = await ctx.model(self.model)
        if not self.tools:
            return await complete(ctx, model, request, emit=True, reader=reader)
        offered = await toolset(ctx, self.tools)
        if model.calls_tools():
            given = replace(request, tools=[offer.as_function() for offer in offered])
            return await complete(ctx, model, given, emit=True, reader=reader)
        reply = await in_words(ctx, model, request, offered, self.model)
        text = reply.text if reader is None else reader.feed(reply.text) + reader.end()
        await ctx.emit(text)
        return reply._replace(text=text)


def is_abstention(text: str, abstention: str) -> bool:
    """True if a reply, or its first sentence, is the one by which a prompt lets a model say that it cannot answer."""
    wanted = _bare(abstention)
    if not wanted:
        return False
    first = re.split(r"(?<=[.!?])\s+", text.strip(), maxsplit=1)[0]
    return wanted in (_bare(first), _bare(text))


def _bare(text: str) -> str:
    return " ".join(re.sub(r"\[[\d ,;–-]*\]|[^\w\s]", " ", text.casefold()).split())


def _documents(prompt: Prompt, state: dict[str, Any]) -> Sequence[Document] | None:
    """The passages that marks point to: the prompt's first variable of type list[Document]; None if it has none."""
    for name, variable in prompt.variables.items():
        if variable.type == DOCUMENTS:
            return tuple(state.get(name) or ())
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
