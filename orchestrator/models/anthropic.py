"""A chat model on a server that speaks Anthropic's Messages API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field, PositiveInt, SecretStr

from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.errors import EndpointUnusable, ModelError
from ragweave.orchestrator.models.messages_api import ANSWER_TOOL, MessageReader, closed, system_and_turns, tool_json
from ragweave.orchestrator.models.served import Call, Refused, SchemaRefused, ServedModel, functions

ANTHROPIC_URL = "https://api.anthropic.com/v1"
VERSION = "2023-06-01"

_FORMAT = re.compile(r"output_config|output_format|output format|structured output|tool_choice|schema", re.IGNORECASE)
_FIELD = re.compile(r"extra inputs|permitted|not support|unknown|unrecognized|not available|tool_choice", re.IGNORECASE)


class Anthropic(ServedModel, type="anthropic"):
    """Claude, or another model on a server that speaks Anthropic's Messages API."""

    reader = MessageReader
    home = ANTHROPIC_URL
    call_path = "/messages"
    key_variable = "ANTHROPIC_API_KEY"
    reads_by_default = ("text", "image", "file")

    base_url: str = Field(ANTHROPIC_URL, description="The address of the server, usually ending in /v1.")
    api_key: SecretStr | None = Field(None, description="The key, such as ${env:ANTHROPIC_API_KEY}; never shown.")
    max_tokens: PositiveInt | None = Field(4096, description="The longest reply, in tokens; the server needs to know.")
    seed: int | None = Field(None, description="Not sent: these servers cannot repeat a reply.")

    def _key_header(self, key: str) -> Mapping[str, str]:
        return {"x-api-key": key}

    def request_headers(self) -> dict[str, str]:
        """The HTTP headers of a call, with the key and the version of the format."""
        return {"anthropic-version": VERSION, **super().request_headers()}

    def _call(self, request: ChatRequest, way: int, blobs: Mapping[str, str]) -> Call:
        system, turns = system_and_turns(request.messages, blobs)
        limit = request.max_tokens or self.max_tokens or 4096
        body: dict[str, Any] = {**self.extra, "model": self.model, "messages": turns, "max_tokens": limit}
        if system:
            body["system"] = system
        temperature = self.temperature if request.temperature is None else request.temperature
        if temperature is not None:
            body["temperature"] = temperature
        if stop := [*request.stop] or self.stop:
            body["stop_sequences"] = stop
        if request.tools:
            body["tools"] = [tool_json(tool) for tool in functions(request.tools)]
        if request.response_schema is not None and way == 0:
            form = {"type": "json_schema", "schema": closed(request.response_schema)}
            body["output_config"] = {**(body.get("output_config") or {}), "format": form}
        elif request.response_schema is not None and _can_be_tool(request):
            body |= _forced(request.response_schema)
        body["stream"] = True
        return Call(self.call_path, body, limit)

    def _is_told(self, request: ChatRequest, way: int) -> bool:
        # A form comes first, then a tool that the model has to call.
        return way > 1 or (way == 1 and not _can_be_tool(request))

    def _adapted(self, refused: Refused, call: Call, way: int) -> Exception | None:
        asked = "tool_choice" in call.body or "format" in (call.body.get("output_config") or {})
        if refused.status in (400, 422) and asked and way < self.schema_ways and _FORMAT.search(refused.message):
            return SchemaRefused(lasting=bool(_FIELD.search(refused.message)))
        return None

    def _own_fault(self, refused: Refused, body: str) -> ModelError | None:
        if refused.status == 402 or refused.code == "billing_error" or "credit balance" in refused.message:
            return EndpointUnusable(f"{self.server}: the credit of this key is used up{refused.said}")
        return None


def _can_be_tool(request: ChatRequest) -> bool:
    """True if a reply can be asked for as a call: arguments are an object, and no other tool is there to be called."""
    return (request.response_schema or {}).get("type") == "object" and not request.tools


def _forced(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A tool whose arguments are the reply, and that has to be called."""
    tool = {"name": ANSWER_TOOL, "description": "Give the answer.", "parameters": dict(schema)}
    return {"tools": [tool_json(tool)], "tool_choice": {"type": "tool", "name": ANSWER_TOOL}}
