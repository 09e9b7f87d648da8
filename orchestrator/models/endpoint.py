"""The settings of a chat endpoint, shared by `auto` and by all models on servers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt, SecretStr, field_validator, model_validator

from ragweave.orchestrator.contracts import ChatModel
from ragweave.orchestrator.language.policies import Duration
from ragweave.orchestrator.models.reading import one_line

OPENAI_URL = "https://api.openai.com/v1"

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Endpoint(ChatModel):
    """A chat endpoint. A setting that is empty (`"${env:CHAT_MODEL:-}"`) counts as not given."""

    model_config = ConfigDict(hide_input_in_errors=True)

    call_path: ClassVar[str] = "/chat/completions"
    """Where calls go, below `base_url`; an address that was written with it is understood."""

    model: str = Field("", description="The name of the model on the server.")
    base_url: str = Field("", description="The address of the server, usually ending in /v1.")
    api_key: SecretStr | None = Field(None, description="The key, such as ${env:OPENAI_API_KEY}; never shown.")
    headers: dict[str, SecretStr] = Field({}, description="Further HTTP headers; their values are never shown.")
    temperature: float | None = Field(None, ge=0, description="0 for the likeliest words, more for variety.")
    max_tokens: PositiveInt | None = Field(None, description="The longest reply, in tokens.")
    stop: list[str] = Field([], description="Texts that end a reply.")
    seed: int | None = Field(None, description="For servers that can repeat a reply.")
    extra: dict[str, Any] = Field({}, description="Further fields of the request, such as top_p or reasoning_effort.")
    takes: list[Literal["text", "image", "audio", "file"]] = Field(
        [], description="The kinds of parts that the model reads, if they are not those of its maker's models."
    )
    connect_timeout: Duration = Field(5.0, description="The longest wait for a connection.")
    read_timeout: Duration = Field(120.0, description="The longest silence of the server, before or within a reply.")
    max_retries: NonNegativeInt = Field(2, description="Further attempts while the server has not begun to answer.")

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, settings: Any) -> Any:
        if not isinstance(settings, Mapping):
            return settings
        # A name that is wrong stays, so that it is told even where its value is empty.
        empty = {
            name for name in cls.model_fields if isinstance(settings.get(name), str) and not settings[name].strip()
        }
        return {name: value for name, value in settings.items() if name not in empty}

    @field_validator("base_url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        parts = urlsplit(value.strip())
        if parts.username or parts.password:
            raise ValueError("the address must not hold a user or password; use api_key, or a header Authorization")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{value!r} is not an address such as {OPENAI_URL} or http://localhost:8080/v1")
        path = parts.path.rstrip("/").removesuffix(cls.call_path)
        return parts._replace(path=path, fragment="").geturl()

    @field_validator("api_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value().strip() if value is not None else ""
        _check_header_value("the key", key)
        return SecretStr(key) if key else None

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of an HTTP header")
            _check_header_value(f"the value of {name!r}", secret.get_secret_value())
        return value

    @property
    def server(self) -> str:
        """The address as it may be shown: a query may hold a key."""
        return urlsplit(self.base_url)._replace(query="").geturl()

    def url(self, path: str) -> str:
        """The address of one of the server's functions, such as `/models`."""
        parts, more = urlsplit(self.base_url), urlsplit(path)
        query = "&".join(part for part in (parts.query, more.query) if part)
        return parts._replace(path=parts.path + more.path, query=query).geturl()

    def request_headers(self) -> dict[str, str]:
        """The HTTP headers of a call, with the key."""
        headers = {"User-Agent": "ragweave"}
        if self.api_key is not None:
            headers |= self._key_header(self.api_key.get_secret_value())
        return headers | {name: value.get_secret_value() for name, value in self.headers.items()}

    def _key_header(self, key: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {key}"}

    def redacted(self, text: str) -> str:
        """What a server sent, for an error message: one line, with our secrets taken out of it."""
        for secret in (self.api_key, *self.headers.values()):
            value = secret.get_secret_value() if secret is not None else ""
            if len(value) >= 4:
                text = text.replace(value, "***")
        return one_line(text)


def _check_header_value(what: str, value: str) -> None:
    if not all(" " <= letter <= "~" or letter == "\t" for letter in value):
        raise ValueError(f"{what} holds a line break or a letter beyond ASCII, which an HTTP header cannot carry")
