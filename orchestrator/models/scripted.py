"""A model that says what it was told to: for tests of graphs, and for trying a graph out without a model."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any

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
from ragweave.orchestrator.values import ToolCall, Usage

Pause = Annotated[NonNegativeFloat, BeforeValidator(seconds, json_schema_input_type=str | float)]


class ScriptedReply(BaseModel):
    """One reply. A plain string in `replies` is one with that text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field("", description="What the model says; it is streamed word by word.")
    chunks: tuple[str, ...] = Field((), description="The text in the pieces in which to stream it, instead of `text`.")
    when: str = Field("", description="Answer each request whose last user message holds this text or /pattern/.")
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

    @field_validator("when")
    @classmethod
    def _check_pattern(cls, value: str) -> str:
        try:
            re.compile(_pattern(value))
        except re.error as error:
            raise ValueError(f"{value!r} is not a pattern: {error}") from None
        return value

    def pieces(self) -> Sequence[str]:
        """What is streamed: `chunks`, or else the words of `text`."""
        return self.chunks or re.findall(r"\s*\S+\s*$|\s*\S+|\s+", self.text)

    def answers(self, question: str) -> bool:
        """True if `when` fits this text."""
        return re.search(_pattern(self.when), question, re.IGNORECASE) is not None


def _pattern(when: str) -> str:
    is_pattern = len(when) > 2 and when.startswith("/") and when.endswith("/")
    return when[1:-1] if is_pattern else re.escape(when)


class Scripted(ChatModel, type="scripted"):
    """Says `replies` in turn, each once; one with `when` answers every request that it fits, before the others.

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
        asked = next((message.text for message in reversed(request.messages) if message.role == "user"), "")
        for reply in self._script:
            if reply.when and reply.answers(asked):
                return reply
        in_turn = [reply for reply in self._script if not reply.when]
        if in_turn and (self.repeat or self._used < len(in_turn)):
            self._used += 1
            return in_turn[(self._used - 1) % len(in_turn)]
        count = f"{len(in_turn)} repl{'y' if len(in_turn) == 1 else 'ies'}"
        raise ModelError(
            f"the scripted model has no reply left: it was given {count} and this is request {len(self._requests)}, "
            f"{asked[:80]!r}",
            hint="add a reply, one with `when`, or repeat: true",
        )


def _counted(request: ChatRequest, reply: ScriptedReply) -> Usage:
    return Usage(
        calls=1,
        input_tokens=sum(len(message.text.split()) for message in request.messages),
        output_tokens=len("".join(reply.pieces()).split()),
    )
