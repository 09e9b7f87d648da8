"""One reply of a model's server, put together from its bytes: what the formats of all servers have in common.

Nothing here does I/O.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ragweave.orchestrator.contracts import ChatChunk
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.sse import EVENT_LIMIT, EventParser
from ragweave.orchestrator.values import ToolCall, Usage


class Unavailable(ModelError):
    """The server did not take the call, or broke off before it said anything: repeating it is safe."""

    transient = True


class ReplyReader(ABC):
    """Builds one reply out of the bytes that a server sends: `feed` gives new text, `finish` the last chunk.

    `streamed` is false for a server that sends its reply whole. All errors are ModelErrors that name `server` and
    pass what the server sent through `redacted`. A format is a subclass: `_add` takes one JSON object apart.
    """

    format_name: ClassVar[str] = ""
    hint: ClassVar[str] = "check base_url"
    lasting: ClassVar[re.Pattern[str]] = re.compile(r"$^")
    """Codes of errors that a second try does not mend."""
    passing: ClassVar[re.Pattern[str]] = re.compile(r"408|409|429|5\d\d")
    """Codes of errors that may pass, before `lasting` and other codes of 4xx are looked at."""

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
        self._withheld = ""
        """Why the server kept back the reply, in its own words."""
        self._finish_reason = ""

    @abstractmethod
    def _add(self, piece: Mapping[str, Any]) -> str:
        """Take in one JSON object and give the text in it. Raises AttributeError, TypeError, ValueError, LookupError
        or OverflowError for what is not of the format."""

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
            why = f" ({self._redacted(self._withheld)})" if self._withheld else ""
            raise ModelError(
                f"model {self._model!r}: the server's content filter withheld the reply{why}"
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
            raise ModelError(f"{self._server} sent what is not a JSON object: {self._redacted(text)!r}", hint=self.hint)
        if piece.get("error"):
            raise self._sent_error(piece["error"])
        try:
            said = self._add(piece)
            self.length += len(said)
        except (AttributeError, TypeError, ValueError, LookupError, OverflowError):
            raise ModelError(
                f"{self._server} sent JSON that is not of the {self.format_name} format: {self._redacted(text)!r}"
            ) from None
        return said

    def _sent_error(self, error: Any) -> ModelError:
        detail = error if isinstance(error, Mapping) else {"message": str(error)}
        message = f"{self._server} reported an error: {self._redacted(str(detail.get('message') or detail))}"
        codes = [str(detail[name]) for name in ("code", "status", "type") if detail.get(name)]
        if any(self.passing.fullmatch(code) for code in codes):
            return Unavailable(message)
        lasting = any(self.lasting.search(code) or re.fullmatch(r"4\d\d", code) for code in codes)
        return ModelError(message) if lasting else Unavailable(message)


class ToolCallPieces:
    """Tool calls come in pieces, told apart by their index, or by a new id from servers that send no index."""

    def __init__(self) -> None:
        self._calls: list[dict[str, str]] = []
        self._by_index: dict[int, dict[str, str]] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, piece: Mapping[str, Any]) -> None:
        """Take one entry of `delta.tool_calls`. Raises TypeError or AttributeError if it is not one."""
        index, identity = piece.get("index"), piece.get("id") or ""
        call = self._by_index.get(index) if isinstance(index, int) else self._calls[-1] if self._calls else None
        if call is None or (identity and call["id"] and identity != call["id"]):
            call = {"id": "", "name": "", "arguments": "", "memo": ""}
            self._calls.append(call)
            if isinstance(index, int):
                self._by_index[index] = call
        call["id"] = call["id"] or "" + identity
        call["memo"] = call["memo"] or "" + (piece.get("memo") or "")
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
        identity = call["id"] or f"call_{position}"
        return ToolCall(id=identity, name=call["name"], arguments=arguments, memo=call["memo"])


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
