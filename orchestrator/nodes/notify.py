"""The node that tells another service of a run: a signed webhook, sent until it is taken."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypedDict
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    SecretStr,
    field_validator,
    model_validator,
)

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, NodeError
from ragweave.orchestrator.language.policies import seconds
from ragweave.orchestrator.loopback import is_here
from ragweave.orchestrator.node import Node, Read, Signature
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import JSON

if TYPE_CHECKING:
    import httpx

Seconds = Annotated[PositiveFloat, BeforeValidator(seconds, json_schema_input_type=str | float)]

LARGEST = 1 << 20
"""Bytes of a message at most."""
PASSING = frozenset({408, 409, 425, 429})
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PREFIX = "whsec_"


class Delivered(TypedDict):
    """What a notify writes."""

    delivery: dict[str, Any]


class Notify(Node, type="notify"):
    """Post state keys to a webhook as JSON, `{"type": event, "data": {key: value}}`, signed as in Standard Webhooks.

    The headers are `webhook-id`, `webhook-timestamp` and, with a `secret`, `webhook-signature` (HMAC-SHA256 of id,
    timestamp and body), besides `Idempotency-Key`. Id and body are the same however often the message is tried and the
    run is resumed, so that the receiver can tell a repetition; a run that has finished the node never sends again.
    Busy and failing servers (408, 409, 425, 429, 5xx), timeouts and lost connections are tried again with growing
    pauses, or after the pause that the server asks for; redirects are never followed. `delivery` has `id`, `status`
    and `attempts`.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # it may be the secret

    effects = "external"
    idempotent = True
    example = 'tell: {type: notify, url: "https://example.com/hook", secret: "${env:HOOK_SECRET:-}", send: [answer]}'

    url: str = Field(description="Where to post; https, or http to this machine.")
    send: list[str] = Field(min_length=1, description="The state keys to send.")
    event: str = Field("run.finished", min_length=1, max_length=200, description="The `type` of the message.")
    secret: SecretStr = Field(
        SecretStr(""), description="Signs the message: `whsec_` and base64, or any text. Without it nothing is signed."
    )
    max_retries: NonNegativeInt = Field(4, description="Further attempts after failures that may pass.")
    connect_timeout: Seconds = Field(5.0, description="The longest wait for a connection.")
    read_timeout: Seconds = Field(10.0, description="The longest wait for the reply.")
    allow_http: bool = Field(False, description="Send unencrypted to other machines, too.")

    @field_validator("send")
    @classmethod
    def _check_keys(cls, names: list[str]) -> list[str]:
        for name in names:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a state key: a-z, 0-9 and _, a letter first")
        return names

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, secret: SecretStr) -> SecretStr:
        signing_key(secret.get_secret_value())
        return secret

    @model_validator(mode="after")
    def _check_url(self) -> Notify:
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"url is no address: {error}") from None
        if parts.scheme not in ("https", "http") or not host:
            raise ValueError("url is no address such as https://example.com/hook")
        if parts.username is not None or parts.password is not None:
            raise ValueError("url holds a password; sign with `secret` instead")
        if parts.scheme == "http" and not self.allow_http and not is_here(host):
            raise ValueError(f"http:// to {host!r} is not encrypted; write https://, or allow_http: true")
        return self

    def signature(self, resources: Resources) -> Signature:
        """Reads the keys to send."""
        return Signature(dict.fromkeys(self.send, Read(JSON)), self.declared.writes)

    async def __call__(self, ctx: Context, **state: Any) -> Delivered:
        """Send, and return when the receiver has taken it. Raises NodeError (transient if another try may help)."""
        message = f"msg_{hashlib.sha256(ctx.key.encode()).hexdigest()[:32]}"
        data = {"type": self.event, "data": {name: _plain(state[name]) for name in self.send}}
        body = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if len(body) > LARGEST:
            raise InputError(
                f"the message has {len(body):,} bytes; a webhook takes {LARGEST:,}", hint="send fewer keys"
            )
        from ragweave.orchestrator.models import http  # httpx takes 0.1 s to load

        tls = await asyncio.to_thread(http.tls_context, self.url)
        client = http.make_client(self.url, tls=tls, connect=self.connect_timeout, read=self.read_timeout)
        async with client:
            for attempt in range(1, self.max_retries + 2):
                try:
                    status = await self._post(client, message, body)
                except NodeError as error:
                    pause = http.wait_before(attempt, error.retry_after)
                    if not error.transient or attempt > self.max_retries or pause > http.LONGEST_WAIT:
                        raise
                    await asyncio.sleep(pause)
                else:
                    return {"delivery": {"id": message, "status": status, "attempts": attempt}}
        raise AssertionError("the last attempt returns or raises")

    async def _post(self, client: httpx.AsyncClient, message: str, body: bytes) -> int:
        """The status of a reply that takes the message. Raises NodeError for any other, and for none."""
        import httpx

        from ragweave.orchestrator.models import http

        try:
            async with client.stream("POST", self.url, content=body, headers=self._headers(message, body)) as reply:
                status, headers = reply.status_code, reply.headers
        except httpx.TimeoutException:
            raise NodeError(
                f"{self._shown} gave no reply within {self.connect_timeout + self.read_timeout:g} s", transient=True
            ) from None
        except httpx.TransportError as error:
            raise NodeError(
                f"{self._shown} cannot be reached: {error or type(error).__name__}", transient=True
            ) from None
        if 200 <= status < 300:
            return status
        if 300 <= status < 400:
            raise NodeError(f"{self._shown} redirects ({status}), which is not followed", hint="give the final address")
        passing = status in PASSING or status >= 500
        asked = http.asked_wait(headers) if passing else None
        raise NodeError(f"{self._shown} refused the message ({status})", transient=passing, retry_after=asked)

    def _headers(self, message: str, body: bytes) -> dict[str, str]:
        moment = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "ragweave",
            "webhook-id": message,
            "webhook-timestamp": moment,
            "Idempotency-Key": message,
        }
        secret = self.secret.get_secret_value()
        if secret:
            headers["webhook-signature"] = signature_of(secret, message, moment, body)
        return headers

    @property
    def _shown(self) -> str:
        """The server; path and query may hold a token."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def signature_of(secret: str, message: str, timestamp: str, body: bytes) -> str:
    """The value of `webhook-signature`, as the Standard Webhooks specification (1.0) defines it."""
    signed = f"{message}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(signing_key(secret), signed, hashlib.sha256).digest()).decode()


def signing_key(secret: str) -> bytes:
    """The bytes that a secret stands for. Raises ValueError, without the secret, for one that is damaged."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("what follows whsec_ in the secret is not base64") from None


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
