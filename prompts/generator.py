"""The node that lets a model answer, with citations that point to the very words of the sources."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, NotRequired, TypedDict, cast

from pydantic import Field, PositiveInt, model_validator

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatRequest, ModelName, PromptName, ToolName
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.reading import cut_off
from ragweave.orchestrator.models.replies import Reply, complete, structured_reply
from ragweave.orchestrator.node import Read, Signature
from ragweave.orchestrator.nodes.shaped import Shaped
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.toolset import toolset
from ragweave.orchestrator.types import parse_type
from ragweave.orchestrator.values import Answer, Citation, Document, Message, ToolCall
from ragweave.prompts.fences import FENCE, with_fence
from ragweave.prompts.marks import MarkReader
from ragweave.prompts.steps import CALLS, READS, WRITES, answered, concluded, in_words, said
from ragweave.prompts.template import Prompt

DOCUMENTS = parse_type("list[Document]")


class Answered(TypedDict):
    """What a generator writes, beside the values that it was told to take."""

    answer: Answer
    steps: NotRequired[list[Message]]
    tool_calls: NotRequired[list[ToolCall]]


class _Said(NamedTuple):
    """A reply, its text as it is shown, and the value in it if one was asked for."""

    reply: Reply
    text: str
    value: Any = None


class Generator(Shaped, type="generator"):
    """Let a model answer, streaming its words; `[n]` in them becomes a citation of the n-th document.

    It reads what its prompt declares: `answer_with_citations` reads `question`, `documents` and, where there is one,
    `history`. Marks that point to no document are left out of the text. The confidence is the model's own if it gives
    one, else 0 if it said the prompt's abstention, else 1.

    With `fields` or `json_schema` the answer is JSON that satisfies them, and its values become state keys; a field
    `answer` is the answer's text. With `tools` the model may call them first: then the values are there once
    `tool_calls` is empty.
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
    conclude: bool = Field(False, description="Answer now from the steps of another generator, with no further calls.")

    @model_validator(mode="after")
    def _check_form(self) -> Generator:
        if self.tools and self.conclude:
            raise ValueError("a generator that has to conclude calls no tools; give either 'tools' or 'conclude'")
        taken = [name for name in self.fields if name in (*READS, *WRITES)]
        if taken:
            raise ValueError(f"the field {taken[0]!r} has the name of a key that agents use; call it something else")
        told = self.fields.get("answer")
        if told is not None and (str(told.type) != "str" or not told.required):
            raise ValueError("the field 'answer' is the text of the answer; it is a str")
        return self

    def signature(self, resources: Resources) -> Signature:
        """Reads the variables of the prompt, and with tools the `steps` so far and the `tool_results` of the last one;
        writes `answer` and the values. Raises ResourceError if the prompt is wrong."""
        prompt: Prompt = resources.get("prompts", self.prompt)
        reads = {
            name: Read(variable.type, variable.required) for name, variable in prompt.variables.items() if name != FENCE
        }
        values = {key: write for key, write in self.values_written().items() if key != "answer"}
        writes = {"answer": self.declared.writes["answer"]}
        if self.conclude:
            return Signature({**READS, **reads}, {**writes, **values})
        if not self.tools:
            return Signature(reads, {**writes, **values})
        later = {
            key: write._replace(certain=False, unless=CALLS if write.certain else "") for key, write in values.items()
        }
        return Signature({**READS, **reads}, {**writes, **WRITES, **later})

    async def __call__(self, ctx: Context, **state: Any) -> Answered:
        prompt: Prompt = await ctx.prompt(self.prompt)
        source = _documents(prompt)
        documents: Sequence[Document] = tuple(state.get(source) or ()) if source else ()
        # Without documents a number in brackets is no citation, so nothing is taken for one; nor is one in JSON.
        marked = bool(source) and (not self.shaped or "answer" in self.fields)
        reader = MarkReader(len(documents)) if marked else None
        steps = self.tools or self.conclude
        so_far = answered(state.get("steps") or (), state.get("tool_results") or ()) if steps else []
        shown = {name: value for name, value in state.items() if name in prompt.variables} if steps else state
        before = concluded(so_far) if self.conclude else so_far
        shown = with_fence(prompt.variables, shown)

        def asked_with(count: int) -> ChatRequest:
            """The request with so many of the documents."""
            given = {**shown, source: documents[:count]} if count < len(documents) else shown
            if reader is not None:
                reader.limit(count)
            return ChatRequest(
                messages=(*prompt.render(**given), *before),
                question=_text(state.get("question")),
                documents=documents[:count],
                temperature=self.temperature,
                max_tokens=self.max_tokens,
                stop=self.stop,
                seed=self.seed,
                thread=ctx.thread_id,
            )

        reply, text, value = await self._reply(ctx, asked_with, len(documents), reader)
        calls, finish, confidence = reply.tool_calls, reply.finish, reply.confidence
        if not text.strip() and not calls:
            raise ModelError(f"model {self.model!r} gave an empty reply", transient=True)
        if finish == "length" and (not self.shaped or calls):
            raise cut_off(self.model, self.max_tokens, "the answer")
        if confidence is None:
            confidence = 0.0 if is_abstention(text, prompt.abstention) else 1.0
        cited: tuple[Citation, ...] = ()
        if reader is not None and _guarded(ctx):
            reader.again(text)
        if reader is not None and reader.marks:
            from ragweave.prompts.quotes import citations  # loads a stemmer, which answers without marks do not need

            cited = await asyncio.to_thread(citations, text, reader.marks, documents)
        given = self.values_of(value) if self.shaped and not calls else {}
        written: Any = {**given, "answer": Answer(text=text, citations=cited, confidence=confidence)}
        if self.tools:
            step, asked = said(reply._replace(text=text), so_far)
            written |= {"steps": [*so_far, step], "tool_calls": asked}
        return cast("Answered", written)

    async def _reply(
        self, ctx: Context, asked_with: Callable[[int], ChatRequest], count: int, reader: MarkReader | None
    ) -> _Said:
        model = await ctx.model(self.model)
        offered = await toolset(ctx, self.tools) if self.tools else None
        functions = [offer.as_function() for offer in offered] if offered is not None and model.calls_tools() else []

        def fewer(count: int) -> ChatRequest:
            request = asked_with(count)
            return replace(request, tools=functions) if functions else request

        value, request = None, fewer(count)
        if offered is not None and not functions:
            wanted = self.wanted if self.shaped else None
            reply, value = await in_words(ctx, model, request, offered, self.model, wanted, fewer)
        elif self.shaped:
            reply, value = await structured_reply(ctx, model, request, self.wanted, name=self.model, fewer=fewer)
        else:
            reply = await complete(ctx, model, request, emit=True, reader=reader, fewer=fewer)
            return _Said(reply, reply.text)
        text = reply.text
        if self.shaped and not reply.tool_calls:
            text = value["answer"] if "answer" in self.fields else json.dumps(value, ensure_ascii=False)
        if reader is not None and not _guarded(ctx):
            # What was checked is not changed any more: without a mark, words may stand together that were not checked.
            text = reader.feed(text) + reader.end()
        await ctx.emit(text)
        return _Said(reply, text, value)


def is_abstention(text: str, abstention: str) -> bool:
    """True if a reply, or its first sentence, is the one by which a prompt lets a model say that it cannot answer."""
    wanted = _bare(abstention)
    if not wanted:
        return False
    first = re.split(r"(?<=[.!?])\s+", text.strip(), maxsplit=1)[0]
    return wanted in (_bare(first), _bare(text))


def _bare(text: str) -> str:
    return " ".join(re.sub(r"\[[\d ,;–-]*\]|[^\w\s]", " ", text.casefold()).split())


def _documents(prompt: Prompt) -> str:
    """The variable with the passages that marks point to: the first of type list[Document]; empty if there is none."""
    return next((name for name, variable in prompt.variables.items() if variable.type == DOCUMENTS), "")


def _guarded(ctx: Context) -> bool:
    """True if a guard may have checked, and changed, what a model said."""
    return ctx.resources is not None and ctx.resources.guarded


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
