"""Anthropic's Messages format, both ways: requests as JSON, and replies put together from the events of their stream.

Nothing here does I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.models.parts import unsendable
from ragweave.orchestrator.models.reading import ReplyReader
from ragweave.orchestrator.values import BlobPart, Message, ToolCall, Usage

ANSWER_TOOL = "answer"
"""The tool that a model is made to call where its reply cannot be bound to a schema otherwise."""

_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def system_and_turns(messages: Sequence[Message], blobs: Mapping[str, str]) -> tuple[str, list[dict[str, Any]]]:
    """The system text, and the turns: the user's and the model's, in which tool results are the user's.

    Raises InputError for parts that the format cannot carry, or if there is no turn at all.
    """
    system = "\n\n".join(message.text for message in messages if message.role == "system" and message.text)
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, blobs)
        if not blocks:
            continue  # the server refuses a turn that says nothing
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns:
        raise InputError("there is no message of the user to send", hint="give the prompt a section ## user")
    return system, turns


def _blocks(message: Message, blobs: Mapping[str, str]) -> list[dict[str, Any]]:
    blocks = [_block(part, blobs) for part in message.parts if isinstance(part, BlobPart) or part.text.strip()]
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id, "content": blocks}]
    thoughts = [block for call in message.tool_calls for block in _remembered(call)]
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}
        for call in message.tool_calls
    ]
    return [*thoughts, *blocks, *calls]


def _remembered(call: ToolCall) -> list[dict[str, Any]]:
    """The thoughts before a call, which the server wants back unchanged; none if they were another server's."""
    try:
        blocks = json.loads(call.memo) if call.memo else []
    except ValueError:
        return []
    return [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []


def _block(part: Any, blobs: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(part, BlobPart):
        return {"type": "text", "text": part.text}
    source = {"type": "base64", "media_type": part.media_type, "data": blobs[part.blob]}
    if part.type == "image" and part.media_type in _IMAGES:
        return {"type": "image", "source": source}
    if part.type == "file" and part.media_type == "application/pdf":
        return {"type": "document", "source": source, **({"title": part.name} if part.name else {})}
    raise unsendable(part, "the Messages API", ", ".join([*_IMAGES, "application/pdf"]))


def tool_json(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as the wire wants it."""
    described = {"description": tool["description"]} if tool.get("description") else {}
    schema = tool.get("parameters") or {"type": "object", "properties": {}}
    return {"name": tool["name"], **described, "input_schema": {"type": "object", **schema}}


def closed(schema: Any) -> Any:
    """The schema with objects that name their properties closed, as the server asks for it: stricter, never looser."""
    if isinstance(schema, Mapping):
        result = {name: closed(value) for name, value in schema.items()}
        if schema.get("type") == "object" and "properties" in schema:
            result.setdefault("additionalProperties", False)
        return result
    if isinstance(schema, (list, tuple)):
        return [closed(value) for value in schema]
    return schema


class MessageReader(ReplyReader):
    """A reply in the Messages format. A call of `ANSWER_TOOL` is the reply's text: it was asked for as a form only."""

    format_name = "Messages"
    hint = "is it a server of the Messages API, and does base_url end in /v1?"
    lasting = re.compile(r"invalid|not_found|authentication|permission|billing|too_large")

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._thoughts: dict[int, dict[str, Any]] = {}
        self._answers: set[int] = set()
        self._first_call: int | None = None
        self._tokens = {"input": 0, "written": 0, "cached": 0, "output": 0}

    def _add(self, piece: Mapping[str, Any]) -> str:
        kind = piece.get("type")
        if kind == "message_start":
            self._count(piece["message"].get("usage") or {})
        elif kind == "content_block_start":
            return self._start(piece["index"], piece["content_block"])
        elif kind == "content_block_delta":
            return self._delta(piece["index"], piece["delta"])
        elif kind == "message_delta":
            self._end(piece["delta"])
            self._count(piece.get("usage") or {})
        elif kind == "message_stop":
            self.done = True
        elif kind == "message":  # a server that does not stream
            self._count(piece.get("usage") or {})
            said = "".join(self._start(index, block) for index, block in enumerate(piece["content"]))
            self._end(piece)
            self.done = True
            return said
        elif not isinstance(kind, str):
            raise ValueError("an event has a type")
        return ""  # `ping`, and kinds of events that are yet to come

    def _start(self, index: int, block: Mapping[str, Any]) -> str:
        kind = block["type"]
        if kind == "text":
            return "" + (block.get("text") or "")
        if kind in ("thinking", "redacted_thinking"):
            self._thoughts[int(index)] = dict(block)
        elif kind == "tool_use" and block["name"] == ANSWER_TOOL:
            self._answers.add(index)
            return json.dumps(block["input"], ensure_ascii=False) if block.get("input") else ""
        elif kind == "tool_use":
            memo = ""
            if self._first_call is None:
                self._first_call = int(index)
                memo = json.dumps(list(self._thoughts.values()), ensure_ascii=False) if self._thoughts else ""
            self._calls.add(
                {
                    "index": int(index),
                    "id": block["id"],
                    "memo": memo,
                    "function": {"name": block["name"], "arguments": block.get("input") or ""},
                }
            )
        return ""

    def _delta(self, index: int, delta: Mapping[str, Any]) -> str:
        kind = delta["type"]
        if kind == "text_delta":
            text: str = "" + delta["text"]
            return text
        if kind == "input_json_delta":
            piece: str = "" + delta["partial_json"]
            if index in self._answers:
                return piece
            self._calls.add({"index": int(index), "function": {"arguments": piece}})
        elif kind == "thinking_delta":
            self._thoughts[index]["thinking"] = self._thoughts[index].get("thinking", "") + delta["thinking"]
        elif kind == "signature_delta":
            self._thoughts[index]["signature"] = self._thoughts[index].get("signature", "") + delta["signature"]
        return ""

    def _end(self, ending: Mapping[str, Any]) -> None:
        reason = ending.get("stop_reason")
        if not reason:
            return
        self._finish_reason = _FINISH.get(str(reason), str(reason))
        if self._answers and self._finish_reason == "tool_calls":
            self._finish_reason = "stop"
        if reason == "refusal":
            self._withheld = str((ending.get("stop_details") or {}).get("explanation") or "the model refused")

    def _count(self, usage: Mapping[str, Any]) -> None:
        """Counts are those of the whole reply so far; what was read from or written into a cache is listed apart."""
        names = {
            "input": "input_tokens",
            "written": "cache_creation_input_tokens",
            "cached": "cache_read_input_tokens",
            "output": "output_tokens",
        }
        for name, field in names.items():
            self._tokens[name] = int(usage.get(field) or self._tokens[name])
        self._usage = Usage(
            calls=1,
            input_tokens=self._tokens["input"] + self._tokens["written"] + self._tokens["cached"],
            output_tokens=self._tokens["output"],
            cached_tokens=self._tokens["cached"],
        )
