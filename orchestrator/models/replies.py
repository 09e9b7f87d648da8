"""Whole replies of a chat model: its text, or JSON that satisfies a schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, NamedTuple

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatModel, ChatRequest
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.chat_completions import cut_off, one_line
from ragweave.orchestrator.values import Message, ToolCall, Usage

_FENCED = re.compile(r"```(?:\w+)?[ \t]*\n?(.*?)```", re.DOTALL)
_WRITE_JSON = (
    "Reply with one JSON value and nothing else: no explanation, no code fence. It has to satisfy this JSON schema:\n{}"
)
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
    usage, finish, confidence = None, "", None
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
    finally:
        ctx.use(usage or Usage(calls=1))
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
        request = replace(request, messages=_told(request, schema))
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


def read_json(text: str, schema: Mapping[str, Any]) -> tuple[Any, str]:
    """The JSON value in a reply, which may stand in a code fence or between words; and what is wrong with it, or ""."""
    from jsonschema import Draft202012Validator  # 60 ms to import

    value, found = _first_json(text)
    if not found:
        return None, "it holds no JSON value"
    errors = sorted(Draft202012Validator(schema).iter_errors(value), key=lambda error: list(map(str, error.path)))
    said = "; ".join(f"{_place(error.absolute_path)}{one_line(error.message)}" for error in errors[:3])
    return value, said


def _first_json(text: str) -> tuple[Any, bool]:
    fenced = _FENCED.search(text)
    for candidate in (text, fenced[1] if fenced else ""):
        try:
            return json.loads(candidate), True
        except (ValueError, RecursionError):
            pass
    decoder = json.JSONDecoder()
    for start in re.finditer(r"[{\[]", text):
        try:
            return decoder.raw_decode(text, start.start())[0], True
        except (ValueError, RecursionError):
            continue
    return None, False


def _place(path: Any) -> str:
    parts = ".".join(str(part) for part in path)
    return f"{parts}: " if parts else ""


def _told(request: ChatRequest, schema: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages with the schema said at their end, where models heed it most."""
    order = _WRITE_JSON.format(json.dumps(dict(schema), ensure_ascii=False))
    *before, last = request.messages or (Message.of("user", ""),)
    if last.role != "user":
        return (*before, last, Message.of("user", order))
    gap = "\n\n" if last.text else ""
    return (*before, last.model_copy(update={"parts": (*last.parts, *Message.of("user", gap + order).parts)}))


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
