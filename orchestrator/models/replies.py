"""Whole replies of a chat model: its text, or JSON that satisfies a schema."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, NamedTuple

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatModel, ChatRequest
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.reading import cut_off, one_line
from ragweave.orchestrator.models.schemas import read_json, told
from ragweave.orchestrator.values import Message, ToolCall, Usage

_CORRECT = "That reply cannot be used: {}. Reply again with the corrected JSON value and nothing else."


class Reply(NamedTuple):
    """What a model said, whole."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage(calls=1)
    finish: str = ""
    confidence: float | None = None


async def complete(ctx: Context, model: ChatModel, request: ChatRequest, *, emit: bool = False) -> Reply:
    """The model's whole reply; its usage counts toward the call `ctx`. `emit` streams the text to the run's caller.

    Raises ModelError as `model.stream` does.
    """
    pieces: list[str] = []
    calls: tuple[ToolCall, ...] = ()
    usage, finish, confidence, failed = None, "", None, False
    request = replace(request, thread=request.thread or ctx.thread_id)
    try:
        async with aclosing(_iterator(model, request)) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    pieces.append(chunk.text)
                    if emit:
                        await ctx.emit(chunk.text)
                calls = (*calls, *chunk.tool_calls)
                usage = chunk.usage or usage
                finish = chunk.finish or finish
                confidence = chunk.confidence if chunk.confidence is not None else confidence
    except Exception:
        failed = True
        raise
    finally:
        ctx.use(usage or Usage(calls=1), model, answered=bool(pieces) or usage is not None or not failed)
    return Reply("".join(pieces), calls, usage or Usage(calls=1), finish, confidence)


async def structured(
    ctx: Context, model: ChatModel, request: ChatRequest, schema: Mapping[str, Any], *, name: str = ""
) -> Any:
    """A JSON value that satisfies `schema`, from any model that follows instructions.

    A model that keeps to schemas by itself is given the schema, any other is told it in words. A reply that does not
    satisfy it is sent back once with what is wrong. `name` is the model's, for errors. Raises ModelError (transient:
    another try may help) if the second reply is no better.
    """
    name = name or model.type_name
    if not model.follows_instructions():
        raise ModelError(
            f"model {name!r} quotes its sources and cannot write JSON", hint="name a model that follows instructions"
        )
    if model.structures():
        request = replace(request, response_schema=schema)
    else:
        request = replace(request, messages=told(request.messages, schema))
    reply = await complete(ctx, model, request)
    value, fault = read_json(reply.text, schema)
    if not fault:
        return value
    if reply.finish == "length":
        raise cut_off(name, request.max_tokens, "its JSON")
    again = (Message.of("assistant", reply.text or "(nothing)"), Message.of("user", _CORRECT.format(fault)))
    reply = await complete(ctx, model, replace(request, messages=(*request.messages, *again)))
    value, fault = read_json(reply.text, schema)
    if fault:
        raise ModelError(
            f"model {name!r} wrote no JSON that satisfies the schema, asked twice: {fault}; "
            f"it said {one_line(reply.text)!r}",
            transient=True,
        )
    return value


async def _iterator(model: ChatModel, request: ChatRequest) -> Any:
    """The model's stream as an asynchronous generator, so that leaving early ends the call, whatever it gives."""
    stream = model.stream(request)
    try:
        async for chunk in stream:
            yield chunk
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
