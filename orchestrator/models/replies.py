"""Whole replies of a chat model: its text, or JSON that satisfies a schema."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import Blocked, ModelError
from ragweave.orchestrator.models.reading import cut_off, one_line
from ragweave.orchestrator.models.schemas import read_json, told
from ragweave.orchestrator.values import Message, ToolCall, Usage

if TYPE_CHECKING:
    from ragweave.orchestrator.guardrails.speech import Speech
    from ragweave.orchestrator.running.budgets.calls import Settle

BROKEN_OFF = "budget"
"""Why a reply ends of which a budget wanted no more; what was said until then is kept."""
_CORRECT = "That reply cannot be used: {}. Reply again with the corrected JSON value and nothing else."


class Reply(NamedTuple):
    """What a model said, whole."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage(calls=1)
    finish: str = ""
    confidence: float | None = None


class TextReader(Protocol):
    """What turns the text of a model into the text that is shown, piece by piece."""

    def feed(self, piece: str, /) -> str:
        """The text that may be shown by now, which may be none."""

    def end(self) -> str:
        """The text that was held back until the model had said all."""


async def complete(
    ctx: Context,
    model: ChatModel,
    request: ChatRequest,
    *,
    emit: bool = False,
    reader: TextReader | None = None,
    fewer: Callable[[int], ChatRequest] | None = None,
    unchecked: list[Speech] | None = None,
) -> Reply:
    """The model's whole reply; its usage counts toward the call `ctx`. `emit` streams the text to the run's caller.

    With a `reader` the text of the reply, and what is streamed, is what it makes of the model's. Where the run has
    budgets, the call is made within them: another model may be asked, `fewer` makes the request with only so many of
    its documents, and of a text that is streamed a part may be kept. Where a guard checks what the model says, only
    what has been checked is streamed; with `unchecked` its text is not, and what checks it is put in there. Raises
    ModelError as `model.stream` does, BudgetExceeded, and Blocked.
    """
    request = _whose(ctx, request)
    if ctx.run is None or ctx.run.budgets is None:
        return await _streamed(ctx, model, request, emit, reader, unchecked)
    from ragweave.orchestrator.running.budgets.calls import within  # for graphs with a budget

    less = None if fewer is None else lambda count: _whose(ctx, fewer(count))
    return await within(ctx, model, request, less, functools.partial(_within, ctx, emit, reader, unchecked), keeps=emit)


def _whose(ctx: Context, request: ChatRequest) -> ChatRequest:
    return replace(
        request,
        tenant=request.tenant or ctx.tenant,
        user=request.user or ctx.user,
        thread=request.thread or ctx.thread_id,
    )


async def _within(
    ctx: Context,
    emit: bool,
    reader: TextReader | None,
    unchecked: list[Speech] | None,
    model: ChatModel,
    request: ChatRequest,
    until: float | None,
    settle: Settle | None,
) -> Reply:
    return await _streamed(ctx, model, request, emit, reader, unchecked, until, settle)


async def _streamed(
    ctx: Context,
    model: ChatModel,
    request: ChatRequest,
    emit: bool,
    reader: TextReader | None,
    unchecked: list[Speech] | None = None,
    until: float | None = None,
    settle: Settle | None = None,
) -> Reply:
    """The reply as it comes; one that goes on at `until`, by the clock of the event loop, is broken off there."""
    pieces: list[str] = []
    calls: tuple[ToolCall, ...] = ()
    usage, finish, confidence, failed = None, "", None, False
    limit = asyncio.timeout_at(until) if until is not None else contextlib.nullcontext()
    stream, reader = _said(ctx, model, request, reader, unchecked)
    try:
        async with limit, closing(stream) as chunks:
            async for chunk in chunks:
                # Before the text is streamed, which is where a run may be cancelled: what was used counts then too.
                calls = (*calls, *chunk.tool_calls)
                usage = chunk.usage or usage
                finish = chunk.finish or finish
                confidence = chunk.confidence if chunk.confidence is not None else confidence
                piece = reader.feed(chunk.text) if reader is not None else chunk.text
                if piece:
                    pieces.append(piece)
                    if emit:
                        await ctx.emit(piece)
    except TimeoutError:
        if not (isinstance(limit, asyncio.Timeout) and limit.expired()):
            failed = True
            raise
        finish = BROKEN_OFF
    except Blocked as blocked:
        failed = blocked.side == "input"  # then the model was not asked
        raise
    except Exception:
        failed = True
        raise
    finally:
        answered = bool(pieces) or usage is not None or not failed
        ctx.use(usage or Usage(calls=1), model, answered=answered, settled=settle is not None)
        if settle is not None:
            settle(usage, answered)
    rest = reader.end() if reader is not None else ""
    if rest:
        pieces.append(rest)
        if emit:
            await ctx.emit(rest)
    return Reply("".join(pieces), calls, usage or Usage(calls=1), finish, confidence)


def _said(
    ctx: Context,
    model: ChatModel,
    request: ChatRequest,
    reader: TextReader | None,
    unchecked: list[Speech] | None,
) -> tuple[AsyncIterator[ChatChunk], TextReader | None]:
    """What the model says, and what its text is still to be read with: a guard checks what is shown, so it is behind
    the reader."""
    if not getattr(model, "guard", None):
        return model.stream(request), reader
    from ragweave.orchestrator.guardrails.guards import guards_of  # for models that have guards

    guards = guards_of(model)
    assert guards is not None
    speech = guards.speech(ctx)
    if unchecked is not None:
        unchecked.append(speech)
    streaming = functools.partial(type(model).stream.unguarded, model)  # type: ignore[attr-defined]
    return speech.stream(streaming, request, reader, later=unchecked is not None), None


async def structured(
    ctx: Context,
    model: ChatModel,
    request: ChatRequest,
    schema: Mapping[str, Any],
    *,
    name: str = "",
    fewer: Callable[[int], ChatRequest] | None = None,
) -> Any:
    """A JSON value that satisfies `schema`, from any model that follows instructions.

    A model that keeps to schemas by itself is given the schema, any other is told it in words. A reply that does not
    satisfy it is sent back once with what is wrong. `name` is the model's, for errors; `fewer` makes the request with
    only so many of its documents, where a budget does not hold them all. Raises ModelError (transient: another try may
    help) if the second reply is no better, and BudgetExceeded.
    """
    return (await structured_reply(ctx, model, request, schema, name=name, fewer=fewer))[1]


async def structured_reply(
    ctx: Context,
    model: ChatModel,
    request: ChatRequest,
    schema: Mapping[str, Any],
    *,
    name: str = "",
    fewer: Callable[[int], ChatRequest] | None = None,
) -> tuple[Reply, Any]:
    """The same, with the reply that holds the value. A reply that calls tools of the request has none, and is not
    held against the schema."""
    name = name or model.type_name
    if not model.follows_instructions():
        raise ModelError(
            f"model {name!r} quotes its sources and cannot write JSON", hint="name a model that follows instructions"
        )

    def asked(request: ChatRequest) -> ChatRequest:
        if model.structures():
            return replace(request, response_schema=schema)
        return replace(request, messages=told(request.messages, schema, tools=bool(request.tools)))

    less = None if fewer is None else lambda count: asked(fewer(count))
    request = asked(request)
    guards: list[Speech] = []
    reply = await complete(ctx, model, request, fewer=less, unchecked=guards)
    if reply.tool_calls and request.tools:
        return await _checked(guards, reply, None)
    value, fault = read_json(reply.text, schema)
    if not fault:
        return await _checked(guards, reply, value)
    if reply.finish == "length":
        raise cut_off(name, request.max_tokens, "its JSON")
    again = (Message.of("assistant", reply.text or "(nothing)"), Message.of("user", _CORRECT.format(fault)))

    def repaired(request: ChatRequest) -> ChatRequest:
        return replace(request, messages=(*request.messages, *again))

    again_with = None if less is None else lambda count: repaired(less(count))
    reply = await complete(ctx, model, repaired(request), fewer=again_with, unchecked=guards)
    if reply.tool_calls and request.tools:
        return await _checked(guards, reply, None)
    value, fault = read_json(reply.text, schema)
    if fault:
        raise ModelError(
            f"model {name!r} wrote no JSON that satisfies the schema, asked twice: {fault}; "
            f"it said {one_line(reply.text)!r}",
            transient=True,
        )
    return await _checked(guards, reply, value)


async def _checked(guards: Sequence[Speech], reply: Reply, value: Any) -> tuple[Reply, Any]:
    """A reply and the value in it, as the guard of the model that gave it lets them pass. Raises Blocked."""
    if not guards:
        return reply, value
    if reply.tool_calls:
        return reply._replace(text=await guards[-1].value(reply.text)), value
    value = await guards[-1].value(value)
    return reply._replace(text=json.dumps(value, ensure_ascii=False)), value


@asynccontextmanager
async def closing(stream: AsyncIterator[ChatChunk]) -> AsyncIterator[AsyncIterator[ChatChunk]]:
    """A model's stream; leaving early ends the call, whatever kind of iterator the model gives."""
    try:
        yield aiter(stream)
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
