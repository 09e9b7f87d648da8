"""The Chat Completions format, both ways: requests as JSON, and replies put together from the bytes of their stream.

Nothing here does I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.models.parts import unsendable
from ragweave.orchestrator.models.reading import ReplyReader
from ragweave.orchestrator.models.schemas import is_closed
from ragweave.orchestrator.values import BlobPart, Message, Usage

_SOUNDS = {"audio/wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/flac": "flac", "audio/ogg": "ogg"}


def request_body(
    request: ChatRequest,
    *,
    model: str,
    defaults: Mapping[str, Any],
    blobs: Mapping[str, str] | None = None,
    strict: bool = True,
) -> dict[str, Any]:
    """The JSON of a request. What it leaves open is taken from `defaults`; what both leave open is not sent.

    `blobs` are bytes in base64 by their hash. Unless `strict`, a schema is asked for as a JSON object of any form.
    """
    body: dict[str, Any] = dict(defaults)
    body["model"] = model
    body["messages"] = [message_json(message, blobs or {}) for message in request.messages]
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
        body["response_format"] = _response_format(request.response_schema) if strict else {"type": "json_object"}
    return body


def message_json(message: Message, blobs: Mapping[str, str]) -> dict[str, Any]:
    """A message as the wire wants it. Raises InputError for a sound of a kind that it cannot carry."""
    result: dict[str, Any] = {"role": message.role, "content": message.text}
    if any(isinstance(part, BlobPart) for part in message.parts):
        result["content"] = [_part_json(part, blobs) for part in message.parts]
    if message.tool_calls:
        result["content"] = result["content"] or None
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


def _part_json(part: Any, blobs: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(part, BlobPart):
        return {"type": "text", "text": part.text}
    data = blobs[part.blob]
    if part.type == "audio":
        sort = _SOUNDS.get(part.media_type)
        if sort is None:
            raise unsendable(part, "Chat Completions", ", ".join(_SOUNDS))
        return {"type": "input_audio", "input_audio": {"data": data, "format": sort}}
    url = f"data:{part.media_type};base64,{data}"
    if part.type == "image":
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": part.name or "file", "file_data": url}}


def _response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    name = re.sub(r"[^A-Za-z0-9]", "_", str(schema.get("title") or "reply"))[:64]
    # OpenAI refuses `strict` for a schema that leaves an object open.
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": dict(schema), "strict": is_closed(schema)},
    }


class CompletionReader(ReplyReader):
    """A reply in the Chat Completions format."""

    format_name = "Chat Completions"
    hint = "is it an OpenAI-compatible server, and does base_url end in /v1?"
    lasting = re.compile(r"invalid|not_found|context_length|content_filter|quota|authentication|permission")

    def _add(self, piece: Mapping[str, Any]) -> str:
        if usage := piece.get("usage"):
            self._usage = Usage(
                calls=1,
                input_tokens=int(usage.get("prompt_tokens") or 0),
                output_tokens=int(usage.get("completion_tokens") or 0),
                cached_tokens=int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
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
        return "" + (delta.get("content") or "")
