"""A real server on loopback that speaks Anthropic's Messages API, well or badly, as each test wants.

Of a `Reply`, `tool_calls` are content blocks of the type `tool_use`, and `finish` is the stop reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.openai_server import OpenAIServer, Reply, Request


class AnthropicServer(OpenAIServer):
    """`forms`: the ways of asking for JSON that it knows, of "output_config" and "tool_choice"."""

    def __init__(
        self, replies: Sequence[Reply] = (Reply("Hello there."),), *, forms: Sequence[str] = ("output_config",),
        **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__(replies, **settings)
        self.forms = forms

    def _is_call(self, request: Request) -> bool:
        return request.path == "/v1/messages"

    def _refusal(self, request: Request) -> Reply | None:
        if request.headers.get("x-api-key") != self.key:
            return error(401, "authentication_error", f"invalid x-api-key: {request.headers.get('x-api-key')}")
        body = request.json
        if "anthropic-version" not in request.headers:
            return error(400, "invalid_request_error", "anthropic-version: header is required")
        if self.models is not None and body["model"] not in self.models:
            return error(404, "not_found_error", f"model: {body['model']}")
        if "max_tokens" not in body:
            return error(400, "invalid_request_error", "max_tokens: Field required")
        for form in ("output_config", "tool_choice"):
            if form in body and form not in self.forms:
                return error(400, "invalid_request_error", f"{form}: Extra inputs are not permitted")
        return None

    def _listed(self, models: Sequence[str]) -> Any:
        return {"data": [{"type": "model", "id": name, "display_name": name} for name in models], "has_more": False}

    def _events(self, reply: Reply, request: Request) -> list[bytes]:
        return events(reply, request.json["model"])

    def _whole(self, reply: Reply) -> Any:
        content = [{"type": "text", "text": reply.text}, *reply.tool_calls]
        return {**_message("test-model", reply), "content": content, "stop_reason": stop_reason(reply)}


def events(reply: Reply, model: str = "test-model") -> list[bytes]:
    """The reply as the events of a stream."""
    pieces = reply.chunks or re.findall(r"\s*\S+\s*$|\s*\S+", reply.text)
    sent: list[dict[str, Any]] = [{"type": "message_start", "message": _message(model, reply)}, {"type": "ping"}]
    index = -1
    if pieces:
        index += 1
        sent.append({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}})
        for piece in pieces:
            delta = {"type": "text_delta", "text": piece}
            sent.append({"type": "content_block_delta", "index": index, "delta": delta})
        sent.append({"type": "content_block_stop", "index": index})
    for call in reply.tool_calls:
        index += 1
        block = dict(call)
        arguments = json.dumps(block.pop("input", {}))
        if block["type"] == "tool_use":
            block["input"] = {}
        sent.append({"type": "content_block_start", "index": index, "content_block": block})
        for start in range(0, len(arguments) if block["type"] == "tool_use" else 0, 5):
            delta = {"type": "input_json_delta", "partial_json": arguments[start : start + 5]}
            sent.append({"type": "content_block_delta", "index": index, "delta": delta})
        sent.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": stop_reason(reply), "stop_sequence": None}
    sent.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": (reply.usage or (0, 0))[1]}})
    if reply.done:
        sent.append({"type": "message_stop"})
    return [event(entry) for entry in sent]


def event(entry: Mapping[str, Any]) -> bytes:
    """One event of a stream."""
    return f"event: {entry['type']}\ndata: {json.dumps(entry)}\n\n".encode()


def error(status: int, kind: str, message: str, **headers: str) -> Reply:
    """An error as the API sends it."""
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return Reply(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def stop_reason(reply: Reply) -> str:
    """What the API calls the end of this reply."""
    return {"stop": "tool_use" if reply.tool_calls else "end_turn"}.get(reply.finish, reply.finish)


def _message(model: str, reply: Reply) -> dict[str, Any]:
    usage = {
        "input_tokens": (reply.usage or (0, 0))[0],
        "cache_creation_input_tokens": 2,
        "cache_read_input_tokens": 30,
        "output_tokens": 1,
    }
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "usage": usage}
