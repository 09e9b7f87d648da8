"""A chat model on any server that speaks OpenAI's Chat Completions: OpenAI, vLLM, llama.cpp, Ollama, OpenRouter, …"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field

from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.errors import EndpointUnusable, ModelError
from ragweave.orchestrator.models.chat_completions import CompletionReader, request_body
from ragweave.orchestrator.models.endpoint import OPENAI_URL
from ragweave.orchestrator.models.served import Call, Refused, SchemaRefused, ServedModel, UnknownField

_FORMAT = re.compile(r"response_format|json_schema|json_object|structured.?output|guided|grammar", re.IGNORECASE)
"""What servers name when they do not take the form in which JSON is asked for."""
_SCHEMA = re.compile(r"invalid schema|schema is invalid|in context=", re.IGNORECASE)
"""What they say when it is this one schema."""


class OpenAI(ServedModel, type="openai"):
    """A language model on any server that speaks OpenAI's Chat Completions."""

    reader = CompletionReader
    home = OPENAI_URL
    reads_by_default = ("text", "image", "audio", "file")

    base_url: str = Field(OPENAI_URL, description="The address of the server, usually ending in /v1.")

    def _call(self, request: ChatRequest, way: int, blobs: Mapping[str, str]) -> Call:
        own = {"temperature": self.temperature, "max_tokens": self.max_tokens, "stop": self.stop, "seed": self.seed}
        given = {name: value for name, value in own.items() if value not in (None, [])}
        defaults = {**self.extra, **given}
        body = request_body(request, model=self.model, defaults=defaults, blobs=blobs, strict=way == 0)
        if "stream_options" in self._unknown:
            del body["stream_options"]
        if "max_tokens" in self._unknown and "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
        return Call(self.call_path, body, body.get("max_tokens") or body.get("max_completion_tokens"))

    def _adapted(self, refused: Refused, call: Call, way: int) -> Exception | None:
        if refused.status not in (400, 404, 422, 501):
            return None
        body, message = call.body, refused.message
        if "stream_options" in body and "stream_options" in message:
            return UnknownField("stream_options")
        if "max_tokens" in body and "max_completion_tokens" in message:
            return UnknownField("max_tokens")
        if "response_format" in body and _FORMAT.search(message):
            return SchemaRefused(lasting=not _SCHEMA.search(message))
        return None

    def _own_fault(self, refused: Refused, body: str) -> ModelError | None:
        if refused.code == "insufficient_quota":
            return EndpointUnusable(f"{self.server}: the quota of this key is used up{refused.said}")
        return None
