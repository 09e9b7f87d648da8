"""A chat model on a server that speaks the Gemini API's generateContent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import Field, SecretStr

from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.errors import EndpointUnusable, ModelError
from ragweave.orchestrator.models.generate_content import ContentReader, declaration, system_and_turns
from ragweave.orchestrator.models.served import Call, Refused, SchemaRefused, ServedModel, functions

GEMINI_URL = "https://generativelanguage.googleapis.com/v1beta"

_FORMAT = re.compile(r"response_?(json_?)?schema|response_?mime_?type|json mode|schema", re.IGNORECASE)
_FIELD = re.compile(r"unknown name|cannot find field|not support|not enabled|unsupported", re.IGNORECASE)


class Gemini(ServedModel, type="gemini"):
    """Gemini, or another model on a server that speaks Google's generateContent."""

    reader = ContentReader
    home = GEMINI_URL
    call_path = "/models"
    key_variable = "GEMINI_API_KEY"
    reads_by_default = ("text", "image", "audio", "file")

    base_url: str = Field(GEMINI_URL, description="The address of the server, usually ending in /v1beta.")
    api_key: SecretStr | None = Field(None, description="The key, such as ${env:GEMINI_API_KEY}; never shown.")
    extra: dict[str, Any] = Field(
        {}, description="Further fields of generationConfig, such as topP; with safetySettings, of the request."
    )

    def _key_header(self, key: str) -> Mapping[str, str]:
        return {"x-goog-api-key": key}

    def _names(self, listed: Any) -> list[str]:
        return [str(entry["name"]).removeprefix("models/") for entry in listed["models"]]

    def _call(self, request: ChatRequest, way: int, blobs: Mapping[str, str]) -> Call:
        system, turns = system_and_turns(request.messages, blobs)
        settings = {name: value for name, value in self.extra.items() if name not in _OF_REQUEST}
        for name, own, given in (
            ("temperature", self.temperature, request.temperature),
            ("maxOutputTokens", self.max_tokens, request.max_tokens),
            ("seed", self.seed, request.seed),
            ("stopSequences", self.stop or None, list(request.stop) or None),
        ):
            value = own if given is None else given
            if value is not None:
                settings[name] = value
        if request.response_schema is not None:
            settings["responseMimeType"] = "application/json"
            if way == 0:
                settings["responseJsonSchema"] = dict(request.response_schema)
        body: dict[str, Any] = {name: value for name, value in self.extra.items() if name in _OF_REQUEST}
        body["contents"] = turns
        if system:
            body["systemInstruction"] = {"parts": [{"text": system}]}
        if request.tools:
            own_tools = body.get("tools") or []
            body["tools"] = [
                *own_tools, {"functionDeclarations": [declaration(tool) for tool in functions(request.tools)]}
            ]  # fmt: skip
        if settings:
            body["generationConfig"] = settings
        name = self.model if "/" in self.model else f"models/{self.model}"
        path = f"/{quote(name)}:streamGenerateContent?alt=sse"
        return Call(path, body, settings.get("maxOutputTokens"))

    def _adapted(self, refused: Refused, call: Call, way: int) -> Exception | None:
        asked = "responseMimeType" in call.body.get("generationConfig", {})
        if refused.status == 400 and asked and way < self.schema_ways and _FORMAT.search(refused.message):
            return SchemaRefused(lasting=bool(_FIELD.search(refused.message)))
        return None

    def _own_fault(self, refused: Refused, body: str) -> ModelError | None:
        if refused.status == 400 and ("API_KEY_INVALID" in body or "API key not valid" in refused.message):
            return self._wrong_key(refused.said)
        if refused.status == 400 and "location is not supported" in refused.message:
            return EndpointUnusable(f"{self.server} does not serve this place{refused.said}")
        return None


_OF_REQUEST = ("safetySettings", "toolConfig", "tools", "cachedContent", "labels")
