"""A real server on loopback that speaks Google's generateContent, well or badly, as each test wants.

Of a `Reply`, `tool_calls` are parts with a functionCall, and `finish` is the finishReason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.openai_server import OpenAIServer, Reply, Request

_CALL = re.compile(r"/v1beta/models/([^:/]+):streamGenerateContent\?alt=sse")


class GeminiServer(OpenAIServer):
    """`fields`: those of generationConfig for JSON that it knows."""

    root = "/v1beta"

    def __init__(
        self, replies: Sequence[Reply] = (Reply("Hello there."),), *,
        fields: Sequence[str] = ("responseMimeType", "responseJsonSchema"), **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__(replies, **settings)
        self.fields = fields

    def _is_call(self, request: Request) -> bool:
        return _CALL.fullmatch(request.path) is not None

    def _refusal(self, request: Request) -> Reply | None:
        if request.headers.get("x-goog-api-key") != self.key:
            details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
            shown = request.headers.get("x-goog-api-key")
            return error(400, "INVALID_ARGUMENT", f"API key not valid: {shown}. Pass a valid API key.", details)
        match = _CALL.fullmatch(request.path)
        name = match[1] if match else ""
        if self.models is not None and name not in self.models:
            return error(404, "NOT_FOUND", f"models/{name} is not found for API version v1beta")
        for field in request.json.get("generationConfig", {}):
            if field.startswith("response") and field not in self.fields:
                message = f"Invalid JSON payload received. Unknown name {field!r} at 'generation_config'"
                return error(400, "INVALID_ARGUMENT", message.replace("'responseJson", "'response_json_"))
        return None

    def _listed(self, models: Sequence[str]) -> Any:
        return {"models": [{"name": f"models/{name}"} for name in models]}

    def _events(self, reply: Reply, request: Request) -> list[bytes]:
        return events(reply)

    def _whole(self, reply: Reply) -> Any:
        return _chunk([{"text": reply.text}, *reply.tool_calls], reply, last=True)


def events(reply: Reply) -> list[bytes]:
    """The reply as the events of a stream."""
    pieces = reply.chunks or re.findall(r"\s*\S+\s*$|\s*\S+", reply.text)
    parts: list[dict[str, Any]] = [*({"text": piece} for piece in pieces), *(dict(call) for call in reply.tool_calls)]
    sent = [_chunk([part], reply, last=at == len(parts) - 1) for at, part in enumerate(parts)]
    return [event(entry) for entry in sent or [_chunk([], reply, last=True)]]


def event(entry: Mapping[str, Any]) -> bytes:
    """One event of a stream."""
    return f"data: {json.dumps(entry)}\r\n\r\n".encode()


def error(status: int, kind: str, message: str, details: Sequence[Any] = ()) -> Reply:
    """An error as the API sends it."""
    body = {"error": {"code": status, "message": message, "status": kind, "details": list(details)}}
    return Reply(status=status, body=body)


def _chunk(parts: Sequence[Mapping[str, Any]], reply: Reply, *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    read, written = reply.usage or (0, 0)
    usage: dict[str, Any] = {"promptTokenCount": read}
    if last:
        candidate["finishReason"] = {"stop": "STOP"}.get(reply.finish, reply.finish)
        usage |= {"candidatesTokenCount": written, "thoughtsTokenCount": 4, "cachedContentTokenCount": 5}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "test-model"}
