"""Google's generateContent format, both ways: requests as JSON, and replies put together from their stream.

Nothing here does I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ragweave.orchestrator.errors import InputError, ModelError
from ragweave.orchestrator.models.reading import ReplyReader
from ragweave.orchestrator.values import BlobPart, Message, ToolCall, Usage

FOREIGN_SIGNATURE = "skip_thought_signature_validator"
"""What Google's documentation says to send with a call that is not of the model itself."""

_OWN_ID = re.compile(r"call_\d+")
_FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}
_WITHHELD = (
    "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
)  # fmt: skip


def system_and_turns(messages: Sequence[Message], blobs: Mapping[str, str]) -> tuple[str, list[dict[str, Any]]]:
    """The system text, and the turns: the user's and the model's, in which tool results are the user's.

    Raises InputError for a tool result without its call, or if there is no turn at all.
    """
    system = "\n\n".join(message.text for message in messages if message.role == "system" and message.text)
    turns: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for message in messages:
        if message.role == "system":
            continue
        role = "model" if message.role == "assistant" else "user"
        parts = [_part(part, blobs) for part in message.parts if isinstance(part, BlobPart) or part.text]
        if message.role == "tool":
            parts = [_result(message, names), *(part for part in parts if "inlineData" in part)]
        names |= {call.id: call.name for call in message.tool_calls}
        parts += [_call(call, first=position == 0) for position, call in enumerate(message.tool_calls)]
        if not parts:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        else:
            turns.append({"role": role, "parts": parts})
    if not turns:
        raise InputError("there is no message of the user to send", hint="give the prompt a section ## user")
    return system, turns


def _part(part: Any, blobs: Mapping[str, str]) -> dict[str, Any]:
    if isinstance(part, BlobPart):
        return {"inlineData": {"mimeType": part.media_type, "data": blobs[part.blob]}}
    return {"text": part.text}


def _call(call: ToolCall, *, first: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"name": call.name, "args": dict(call.arguments)}
    if not _OWN_ID.fullmatch(call.id):
        body["id"] = call.id
    # Of calls made together the first alone is signed; one without a signature is refused by newer models.
    signature = call.memo or (FOREIGN_SIGNATURE if first else "")
    return {"functionCall": body, **({"thoughtSignature": signature} if signature else {})}


def _result(message: Message, names: Mapping[str, str]) -> dict[str, Any]:
    name = names.get(message.tool_call_id)
    if name is None:
        raise InputError(
            f"a tool message answers the call {message.tool_call_id!r}, which no message before it makes",
            hint="keep the model's message with its tool calls in the conversation",
        )
    try:
        value = json.loads(message.text)
    except (ValueError, RecursionError):
        value = message.text
    body: dict[str, Any] = {"name": name, "response": value if isinstance(value, dict) else {"result": value}}
    if not _OWN_ID.fullmatch(message.tool_call_id):
        body["id"] = message.tool_call_id
    return {"functionResponse": body}


def declaration(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as the wire wants it."""
    described = {"description": tool["description"]} if tool.get("description") else {}
    schema = {"parametersJsonSchema": tool["parameters"]} if tool.get("parameters") else {}
    return {"name": tool["name"], **described, **schema}


class ContentReader(ReplyReader):
    """A reply in the generateContent format, which has no mark of its end: it is whole when it says why it ended."""

    format_name = "generateContent"
    hint = "is it a server of the Gemini API, and does base_url end in /v1beta?"
    lasting = re.compile(r"INVALID|NOT_FOUND|PERMISSION|UNAUTHENTICATED|FAILED_PRECONDITION|OUT_OF_RANGE")

    def _add(self, piece: Mapping[str, Any]) -> str:
        if usage := piece.get("usageMetadata"):
            self._usage = Usage(
                calls=1,
                input_tokens=int(usage.get("promptTokenCount") or 0),
                output_tokens=int(usage.get("candidatesTokenCount") or 0) + int(usage.get("thoughtsTokenCount") or 0),
                cached_tokens=int(usage.get("cachedContentTokenCount") or 0),
            )
        if reason := (piece.get("promptFeedback") or {}).get("blockReason"):
            self._finish_reason, self._withheld = "content_filter", f"it blocked the prompt: {reason}"
        candidates = piece.get("candidates") or []
        if not candidates:
            return ""
        candidate = candidates[0]
        text = "".join(self._part(part) for part in (candidate.get("content") or {}).get("parts") or ())
        if reason := candidate.get("finishReason"):
            self._end(str(reason), str(candidate.get("finishMessage") or ""))
        return text

    def _part(self, part: Mapping[str, Any]) -> str:
        if call := part.get("functionCall"):
            arguments = call.get("args") or {}
            self._calls.add(
                {
                    "index": len(self._calls),
                    "id": call.get("id") or "",
                    "memo": part.get("thoughtSignature") or "",
                    "function": {"name": "" + call["name"], "arguments": arguments},
                }
            )
        if part.get("thought"):
            return ""
        return "" + (part.get("text") or "")

    def _end(self, reason: str, message: str) -> None:
        if reason in _WITHHELD:
            self._finish_reason, self._withheld = "content_filter", message or reason
        elif reason in _FINISH:
            self._finish_reason = _FINISH[reason]
            if self._calls and reason == "STOP":
                self._finish_reason = "tool_calls"
        elif reason != "FINISH_REASON_UNSPECIFIED":
            shown = f": {self._redacted(message)}" if message else ""
            raise ModelError(f"model {self._model!r} broke off its reply ({reason}){shown}", transient=True)
