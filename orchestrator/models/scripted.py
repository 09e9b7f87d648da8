"""A model that says what it was told to: for tests of graphs, and for trying a graph out without a model."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PrivateAttr,
    field_validator,
    model_validator,
)

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.language.policies import seconds
from ragweave.orchestrator.texts.placeholders import filled, placeholders
from ragweave.orchestrator.values import ToolCall, Usage

Pause = Annotated[NonNegativeFloat, BeforeValidator(seconds, json_schema_input_type=str | float)]


class ScriptedReply(BaseModel):
    """One reply. A plain string in `replies` is one with that text.

    Where `when`, `before` or `result` are patterns with named groups, what these match takes the place of `{name}` in
    the texts and in the arguments of calls; an argument that is nothing but `{name}` is a number if it reads as one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field("", description="What the model says; it is streamed word by word.")
    chunks: tuple[str, ...] = Field((), description="The text in the pieces in which to stream it, instead of `text`.")
    when: str = Field("", description="Answer each request whose last user message holds this text or /pattern/.")
    before: str = Field(
        "", description="Answer only requests in which an earlier message holds this text or /pattern/."
    )
    after: str = Field("", description="Answer only requests that end with a result of this tool.")
    result: str = Field("", description="Of these, only those whose result holds this text or /pattern/.")
    tool_calls: tuple[ToolCall, ...] = Field((), description="Tools that the model wants to be called.")
    usage: Usage | None = Field(None, description="Without it, words are counted as tokens.")
    confidence: float | None = Field(None, ge=0, le=1, description="How sure the model is of its answer, from 0 to 1.")
    finish: str = Field("", description="Why the reply ends, such as length; by default stop or tool_calls.")
    error: str = Field("", description="Fail with a ModelError of this message, after the text if there is one.")
    transient: bool = Field(False, description="Whether a retry of that error may help.")
    retry_after: Pause | None = Field(None, description="How long to wait before that retry.")
    delay: Pause = Field(0.0, description="The pause before the first piece.")
    pace: Pause = Field(0.0, description="The pause before each further piece.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"text": value} if isinstance(value, str) else value

    @field_validator("when", "before", "result")
    @classmethod
    def _check_pattern(cls, value: str) -> str:
        try:
            re.compile(_pattern(value))
        except re.error as error:
            raise ValueError(f"{value!r} is not a pattern: {error}") from None
        return value

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        if self.result and not self.after:
            raise ValueError("'result' needs 'after': the tool whose result it is")
        groups = self._groups()
        if groups:
            values = [self.text, *self.chunks, *(call.arguments for call in self.tool_calls)]
            for text in _texts(values):
                for name in placeholders(text):
                    if name not in groups:
                        known = ", ".join(groups)
                        raise ValueError(f"{{{name}}} is no named group of its patterns; there are {known}")
        return self

    def pieces(self) -> Sequence[str]:
        """What is streamed: `chunks`, or else the words of `text`."""
        return self.chunks or re.findall(r"\s*\S+\s*$|\s*\S+|\s+", self.text)

    @property
    def chooses(self) -> bool:
        """True if it answers what it fits, and not in turn."""
        return bool(self.when or self.before or self.after)

    def answer(self, request: ChatRequest) -> ScriptedReply | None:
        """This reply, filled in; None if it does not fit."""
        asked, earlier = _said(request)
        results = _results(request) if self.after else {}
        if self.after and self.after not in results:
            return None
        places = ((self.when, [asked]), (self.before, earlier), (self.result, [results.get(self.after, "")]))
        found: dict[str, str] = {}
        for pattern, texts in places:
            if not pattern:
                continue
            match = next(filter(None, (re.search(_pattern(pattern), text, re.IGNORECASE) for text in texts)), None)
            if match is None:
                return None
            found |= match.groupdict("")
        if not found:
            return self
        calls = [call.model_copy(update={"arguments": _filled(call.arguments, found)}) for call in self.tool_calls]
        changed = {"text": filled(self.text, found), "chunks": tuple(filled(one, found) for one in self.chunks)}
        return self.model_copy(update={**changed, "tool_calls": tuple(calls)})

    def _groups(self) -> list[str]:
        return [name for one in (self.when, self.before, self.result) for name in re.compile(_pattern(one)).groupindex]


def _pattern(when: str) -> str:
    is_pattern = len(when) > 2 and when.startswith("/") and when.endswith("/")
    return when[1:-1] if is_pattern else re.escape(when)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)


def _filled(value: Any, found: Mapping[str, str]) -> Any:
    """An argument with what was found in the place of `{name}`."""
    if isinstance(value, Mapping):
        return {name: _filled(one, found) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(one, found) for one in value]
    if not isinstance(value, str):
        return value
    text = filled(value, found)
    alone = re.fullmatch(r"\{\w+\}", value) and re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", text)
    return json.loads(text) if alone else text


class Scripted(ChatModel, type="scripted"):
    """Says `replies` in turn, each once; those with `when`, `before` or `after` answer all requests that they fit, the
    first that does, before the others.

    `requests` holds what the model was asked, oldest first.
    """

    replies: list[ScriptedReply | str] = Field([], description="Texts, or replies with tool calls, errors and pauses.")
    repeat: bool = Field(False, description="Start again with the first reply when the last one was used.")

    _script: list[ScriptedReply] = PrivateAttr(default_factory=list)
    _used: int = PrivateAttr(0)
    _requests: list[ChatRequest] = PrivateAttr(default_factory=list)

    def model_post_init(self, context: Any) -> None:
        """Give every reply one form."""
        self._script = [ScriptedReply(text=reply) if isinstance(reply, str) else reply for reply in self.replies]

    @property
    def requests(self) -> list[ChatRequest]:
        """What the model was asked, oldest first."""
        return self._requests

    def calls_tools(self) -> bool:
        """True: its replies say which."""
        return True

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The next reply. Raises ModelError if there is none left, or if the reply is an error."""
        self._requests.append(request)
        reply = self._next(request)
        await asyncio.sleep(reply.delay)
        for position, piece in enumerate(reply.pieces()):
            if position and reply.pace:
                await asyncio.sleep(reply.pace)
            yield ChatChunk(text=piece)
        if reply.error:
            raise ModelError(reply.error, transient=reply.transient, retry_after=reply.retry_after)
        yield ChatChunk(
            tool_calls=reply.tool_calls,
            usage=reply.usage or _counted(request, reply),
            finish=reply.finish or ("tool_calls" if reply.tool_calls else "stop"),
            confidence=reply.confidence,
        )

    def _next(self, request: ChatRequest) -> ScriptedReply:
        for reply in self._script:
            fits = reply.answer(request) if reply.chooses else None
            if fits is not None:
                return fits
        in_turn = [reply for reply in self._script if not reply.chooses]
        if in_turn and (self.repeat or self._used < len(in_turn)):
            self._used += 1
            return in_turn[(self._used - 1) % len(in_turn)]
        count = f"{len(in_turn)} repl{'y' if len(in_turn) == 1 else 'ies'}"
        asked, _ = _said(request)
        raise ModelError(
            f"the scripted model has no reply left: it was given {count} and this is request {len(self._requests)}, "
            f"{asked[:80]!r}",
            hint="add a reply, one with `when`, or repeat: true",
        )


def _said(request: ChatRequest) -> tuple[str, list[str]]:
    """What the user said last, and what user and model said before that, the latest first."""
    said = [(message.role, message.text) for message in reversed(request.messages)]
    last = next((place for place, (role, _) in enumerate(said) if role == "user"), len(said))
    earlier = [text for role, text in said[last + 1 :] if role in ("user", "assistant")]
    return (said[last][1] if last < len(said) else ""), earlier


def _results(request: ChatRequest) -> dict[str, str]:
    """By the name of the tool, the results that end a request."""
    names = {call.id: call.name for message in request.messages for call in message.tool_calls}
    ending = itertools.takewhile(lambda message: message.role == "tool", reversed(request.messages))
    return {names.get(message.tool_call_id or "", ""): message.text for message in ending}


def _counted(request: ChatRequest, reply: ScriptedReply) -> Usage:
    return Usage(
        calls=1,
        input_tokens=sum(len(message.text.split()) for message in request.messages),
        output_tokens=len("".join(reply.pieces()).split()),
    )
