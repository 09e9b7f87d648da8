"""The check `http`: another service says what is at fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ConfigDict, Field, PositiveFloat, SecretStr, field_validator, model_validator

from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.guardrails.check import Check, Finding, Subject
from ragweave.orchestrator.language.policies import seconds
from ragweave.orchestrator.loopback import is_here

Seconds = Annotated[PositiveFloat, BeforeValidator(seconds, json_schema_input_type=str | float)]
Plain = bool | int | float | str


class Http(Check, type="http"):
    """What a service says that takes a text by POST as JSON and replies with a verdict, and with places if it has some.

    A service that cannot be reached in time, replies with another status than 200, or with what is neither a fault nor
    fine, cannot tell: the text counts as blocked. The text leaves this machine.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # it may be the key

    url: str = Field(description="Where to post; https, or http to this machine.")
    text: str = Field("text", min_length=1, description="The key of the text in what is sent.")
    body: dict[str, Any] = Field({}, description="What is sent besides the text, such as the name of a policy.")
    verdict: str = Field("flagged", min_length=1, description="Where the verdict stands, such as results.0.flagged.")
    faulty: list[Plain] = Field([True], min_length=1, description="Verdicts that tell of a fault.")
    fine: list[Plain] = Field([False], min_length=1, description="Verdicts that let the text pass.")
    spans: str | None = Field(
        None,
        min_length=1,
        description="Where a list of {begin, end, label} stands, counted in code points.",
    )
    api_key: SecretStr = Field(SecretStr(""), description="Sent as `Authorization: Bearer …`.")
    timeout: Seconds = Field(5.0, description="The longest wait for the whole reply.")
    allow_http: bool = Field(False, description="Send unencrypted to other machines, too.")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"it is no address: {error}") from None
        if parts.scheme not in ("https", "http") or not host:
            raise ValueError("it is no address such as https://guard.example/check")
        if parts.username is not None or parts.password is not None:
            raise ValueError("it holds a password; use `api_key` instead")
        return url

    @model_validator(mode="after")
    def _safe(self) -> Http:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.allow_http and not is_here(parts.hostname or ""):
            raise ValueError(f"http:// to {parts.hostname!r} is not encrypted; write https://, or allow_http: true")
        both = [one for one in self.faulty if _among(one, self.fine)]
        if both:
            raise ValueError(f"{both[0]!r} cannot be both faulty and fine")
        return self

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """The places that the service tells of; all of the text where it tells of none. Nothing in a blank text, which
        is not sent. Raises ModelError where the service cannot tell."""
        if not text.strip():
            return []
        try:
            async with asyncio.timeout(self.timeout):
                reply = await self._ask(text)
        except TimeoutError:
            raise ModelError(f"the guard did not reply within {self.timeout:g} s", transient=True) from None
        verdict = _at(reply, self.verdict)
        if _among(verdict, self.fine):
            return []
        if not _among(verdict, self.faulty):
            raise ModelError(
                f"the guard's verdict at {self.verdict!r} is {str(verdict)[:80]!r}, neither faulty nor fine"
            )
        places = [] if self.spans is None else _places(_at(reply, self.spans), len(text))
        return places or [Finding(0, len(text), "REFUSED", "a service says that it is at fault")]

    async def _ask(self, text: str) -> Any:
        import httpx

        from ragweave.orchestrator.models import http  # httpx takes 0.1 s to load

        tls = await asyncio.to_thread(http.tls_context, self.url)
        key = self.api_key.get_secret_value()
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        content = json.dumps({**self.body, self.text: text}).encode()
        try:
            async with (
                http.make_client(self.url, tls=tls, connect=self.timeout, read=self.timeout) as client,
                client.stream("POST", self.url, content=content, headers=headers) as response,
            ):
                status, said = response.status_code, await http.read_body(response)
        except httpx.HTTPError as error:
            raise http.connection_error(error, "the guard", connect=self.timeout, read=self.timeout) from None
        if status != 200:
            raise ModelError(f"the guard replied with status {status}")
        try:
            return json.loads(said)
        except (ValueError, RecursionError):
            raise ModelError("the guard's reply is no JSON") from None


def _among(value: Any, values: Sequence[Plain]) -> bool:
    """True and 1 are equal in Python, but no guard's verdict means one by the other."""
    return any(type(value) is type(one) and value == one for one in values)


def _at(value: Any, path: str) -> Any:
    """What stands at the path `a.0.b`. Raises ModelError if nothing does."""
    for step in path.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            raise ModelError(f"the guard's reply has nothing at {path!r}")
    return value


def _places(listed: Any, length: int) -> list[Finding]:
    """The places in order; those that overlap joined. Raises ModelError for what is none."""
    found: list[Finding] = []
    for one in listed if isinstance(listed, list) else [listed]:
        begin, end = (one.get("begin"), one.get("end")) if isinstance(one, Mapping) else (None, None)
        if type(begin) is not int or type(end) is not int or not 0 <= begin < end <= length:
            raise ModelError("a place in the guard's reply is no {begin, end} within the text")
        label = "".join(char if char.isalnum() else "_" for char in str(one.get("label") or "REFUSED")).upper()
        found.append(Finding(begin, end, label[:64], "a service says that it is at fault"))
    joined: list[Finding] = []
    for one in sorted(found):
        if joined and one.begin < joined[-1].end:
            joined[-1] = joined[-1]._replace(end=max(joined[-1].end, one.end))
        else:
            joined.append(one)
    return joined
