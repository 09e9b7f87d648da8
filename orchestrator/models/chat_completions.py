"""The Chat Completions format, both ways: requests as JSON, and replies put together from the bytes of their stream.

Nothing here does I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ragweave.orchestrator.contracts import ChatChunk, ChatRequest
from ragweave.orchestrator.errors import InputError, ModelError
from ragweave.orchestrator.models.sse import EVENT_LIMIT, EventParser
from ragweave.orchestrator.values import BlobPart, Message, ToolCall, Usage

_LASTING = re.compile(r"invalid|not_found|context_length|content_filter|quota|authentication|permission")


class Unavailable(ModelError):
    """The server did not take the call, or broke off before it said anything: repeating it is safe."""

    transient = True


def request_body(request: ChatRequest, *, model: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a request. What it leaves open is taken from `defaults`; what both leave open is not sent."""
    body: dict[str, Any] = dict(defaults)
    body["model"] = model
    body["messages"] = [message_json(message) for message in request.messages]
    body["stream"] = True
    body["stream_options"] = {"include_usage": True}
    for name in ("temperature", "max_tokens", "seed"):
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.stop:
        body["stop"] = list(request.stop)
    if request.tools:
        body["tools"] = [
            dict(tool) if "function" in tool else {"type": "function", "function": dict(tool)} for tool in request.tools
        ]
    if request.response_schema is not None:
        body["response_format"] = _response_format(request.response_schema)
    return body


def message_json(message: Message) -> dict[str, Any]:
    """A message as the wire wants it. Raises InputError for parts whose bytes cannot be sent."""
    for part in message.parts:
        if isinstance(part, BlobPart):
            raise InputError(
                f"a {message.role} message holds the {part.type} {part.name or part.blob!r}; the model reads text",
                hint="leave the part out of the message, or say in words what it shows",
            )
    result: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        result["content"] = message.text or None
        result["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments), ensure_ascii=False)},
            }
            for call in message.tool_calls
        ]
    if message.role == "tool":
        result["tool_call_id"] = message.tool_call_id
    return result


def _response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    name = re.sub(r"[^A-Za-z0-9]", "_", str(schema.get("title") or "reply"))[:64]
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": dict(schema), "strict": _is_strict(schema)},
    }


def _is_strict(schema: Any) -> bool:
    """True if every object requires all of its properties and allows no others: else OpenAI refuses `strict`."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "object" and (
            schema.get("additionalProperties") is not False
            or set(schema.get("required", ())) != set(schema.get("properties", {}))
        ):
            return False
        return all(_is_strict(value) for value in schema.values())
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return all(_is_strict(value) for value in schema)
    return True


class ReplyReader:
    """Builds one reply out of the bytes that a server sends: `feed` gives new text, `finish` the last chunk.

    `streamed` is false for a server that sends its reply whole. All errors are ModelErrors that name `server` and
    pass what the server sent through `redacted`.
    """

    def __init__(
        self, *, server: str, model: str, max_tokens: int | None, streamed: bool, redacted: Callable[[str], str]
    ) -> None:
        self.done = False
        """True once the server has said that nothing more comes."""
        self.length = 0
        """Characters of text so far."""
        self._server = server
        self._model = model
        self._max_tokens = max_tokens
        self._redacted = redacted
        self._events = EventParser() if streamed else None
        self._body = bytearray()
        self._calls = ToolCallPieces()
        self._usage = Usage(calls=1)
        self._refusal = ""
        self._finish_reason = ""

    def feed(self, chunk: bytes) -> str:
        """The text in these bytes. Raises ModelError for what is not a reply."""
        if self._events is None:
            self._body += chunk
            if len(self._body) > EVENT_LIMIT:
                raise ModelError(f"{self._server} sent a reply of more than {EVENT_LIMIT:,} bytes")
            return ""
        try:
            events = self._events.feed(chunk)
        except ValueError as error:
            raise ModelError(f"{self._server} sent a stream that cannot be read: {error}") from None
        return "".join(self._read(event.data) for event in events)

    def end(self) -> str:
        """The text that is left when the server has sent everything."""
        if self._events is None:
            return self._read(self._body.decode("utf-8", "replace"))
        return "".join(self._read(event.data) for event in self._events.end())

    def finish(self) -> ChatChunk:
        """The last chunk: tool calls, usage and why the reply ended. Raises ModelError if it is no whole reply."""
        if not self._finish_reason:
            raise self.broken_off()
        if self._finish_reason == "content_filter":
            raise ModelError(
                f"model {self._model!r}: the server's content filter withheld the reply"
                + (f" after {self.length} characters" if self.length else ""),
                hint="reword the prompt, or leave out the document that set it off",
            )
        if self._refusal and not self.length:
            raise ModelError(f"model {self._model!r} refused: {self._redacted(self._refusal)}")
        if self._finish_reason == "length" and (self._calls or not self.length):
            raise cut_off(self._model, self._max_tokens, "its tool calls" if self._calls else "its first word")
        calls = self._calls.read(self._model)
        if not calls and not self.length:
            raise ModelError(f"model {self._model!r} gave an empty reply", transient=True)
        return ChatChunk(tool_calls=calls, usage=self._usage, finish=self._finish_reason)

    def broken_off(self) -> ModelError:
        """The error of a connection that ended before the reply did."""
        if not self.length:
            return Unavailable(f"{self._server} closed the connection before it said anything")
        return ModelError(
            f"{self._server} closed the connection in mid-reply, after {self.length} characters", transient=True
        )

    def _read(self, data: str) -> str:
        text = data.strip()
        if not text or self.done:
            return ""
        if text == "[DONE]":
            self.done = True
            return ""
        if text.startswith("<"):
            raise ModelError(f"{self._server} answered with a web page, not with JSON", hint="check base_url")
        try:
            piece = json.loads(text)
        except (ValueError, RecursionError):
            piece = None
        if not isinstance(piece, dict):
            raise ModelError(
                f"{self._server} sent what is not a JSON object: {self._redacted(text)!r}",
                hint="is it an OpenAI-compatible server, and does base_url end in /v1?",
            )
        if piece.get("error"):
            raise self._sent_error(piece["error"])
        try:
            return self._add(piece)
        except (AttributeError, TypeError, ValueError, LookupError, OverflowError):
            raise ModelError(
                f"{self._server} sent JSON that is not of the Chat Completions format: {self._redacted(text)!r}"
            ) from None

    def _add(self, piece: Mapping[str, Any]) -> str:
        if usage := piece.get("usage"):
            self._usage = Usage(
                calls=1,
                input_tokens=int(usage.get("prompt_tokens") or 0),
                output_tokens=int(usage.get("completion_tokens") or 0),
            )
        choices = piece.get("choices") or []
        if not choices:
            return ""
        choice = choices[0]
        delta = choice.get("delta") or choice.get("message") or {}
        self._finish_reason = str(choice.get("finish_reason") or self._finish_reason)
        for call in delta.get("tool_calls") or ():
            self._calls.add(call)
        self._refusal += delta.get("refusal") or ""
        text: str = "" + (delta.get("content") or "")
        self.length += len(text)
        return text

    def _sent_error(self, error: Any) -> ModelError:
        detail = error if isinstance(error, Mapping) else {"message": str(error)}
        message = f"{self._server} reported an error: {self._redacted(str(detail.get('message') or detail))}"
        code = str(detail.get("code") or detail.get("type") or "")
        lasting = _LASTING.search(code) or (re.fullmatch(r"4\d\d", code) and code not in ("408", "409", "429"))
        return ModelError(message) if lasting else Unavailable(message)


class ToolCallPieces:
    """Tool calls come in pieces, told apart by their index, or by a new id from servers that send no index."""

    def __init__(self) -> None:
        self._calls: list[dict[str, str]] = []
        self._by_index: dict[int, dict[str, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, piece: Mapping[str, Any]) -> None:
        """Take one entry of `delta.tool_calls`. Raises TypeError or AttributeError if it is not one."""
        index, identity = piece.get("index"), piece.get("id") or ""
        call = self._by_index.get(index) if isinstance(index, int) else self._calls[-1] if self._calls else None
        if call is None or (identity and call["id"] and identity != call["id"]):
            call = {"id": "", "name": "", "arguments": ""}
            self._calls.append(call)
            if isinstance(index, int):
                self._by_index[index] = call
        call["id"] = call["id"] or "" + identity
        function = piece.get("function") or {}
        call["name"] = call["name"] or "" + (function.get("name") or "")
        arguments = function.get("arguments") or ""
        call["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments)

    def read(self, model: str) -> tuple[ToolCall, ...]:
        """The calls, whole. Raises ModelError if the arguments of one are not a JSON object."""
        return tuple(self._read_call(model, position, call) for position, call in enumerate(self._calls))

    def _read_call(self, model: str, position: int, call: Mapping[str, str]) -> ToolCall:
        try:
            arguments = json.loads(call["arguments"] or "{}")
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise ModelError(
                f"model {model!r} called the tool {call['name']!r} with arguments that are not a JSON object: "
                f"{one_line(call['arguments'])!r}",
                transient=True,
            )
        return ToolCall(id=call["id"] or f"call_{position}", name=call["name"], arguments=arguments)


def cut_off(model: str, max_tokens: int | None, before: str) -> ModelError:
    """The error of a reply that met its limit of tokens too early."""
    limit = f"max_tokens: {max_tokens}" if max_tokens else "the model's own limit"
    return ModelError(
        f"model {model!r}: the reply was cut off ({limit}) before the end of {before}",
        hint="raise max_tokens, or send a shorter prompt",
    )


def one_line(text: str, limit: int = 200) -> str:
    """A text for an error message: on one line, without control characters, and not too long."""
    text = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
