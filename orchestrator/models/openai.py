"""A chat model on any server that speaks OpenAI's Chat Completions: OpenAI, vLLM, llama.cpp, Ollama, OpenRouter, …"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.contracts import ChatChunk, ChatRequest
from ragweave.orchestrator.errors import EndpointUnusable, ModelError, ResourceError, did_you_mean
from ragweave.orchestrator.models.chat_completions import ReplyReader, Unavailable, request_body
from ragweave.orchestrator.models.endpoint import OPENAI_URL, Endpoint

if TYPE_CHECKING:
    import httpx

    from ragweave.orchestrator.models.http import Clients
    from ragweave.orchestrator.resources import Resources

MODELS_TIMEOUT = 5.0
DRAIN_TIMEOUT = 0.25


class OpenAI(Endpoint, type="openai"):
    """A language model on any server that speaks OpenAI's Chat Completions."""

    model: str = Field(min_length=1, description="The name of the model on the server.")
    base_url: str = Field(OPENAI_URL, description="The address of the server, usually ending in /v1.")

    _clients: Clients | None = PrivateAttr(None)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _unknown: set[str] = PrivateAttr(default_factory=set)
    """Fields of a request that this server has refused, to be left out or renamed."""

    def open(self, resources: Resources) -> None:
        """Load what a call needs, off the event loop. Raises ResourceError if OpenAI is meant and there is no key."""
        if self.base_url == OPENAI_URL and self.api_key is None and not self.headers:
            raise ResourceError(
                f"model {self.model!r} at {self.server}: 'api_key' is not set",
                hint="write api_key: ${env:OPENAI_API_KEY}, or base_url: for a server of your own",
            )
        self._pool()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The reply in pieces; the last chunk has usage, tool calls and why it ended ("length": at `max_tokens`).

        Until the first piece is there, the call is repeated on 408, 409, 429, 5xx and lost connections, up to
        `max_retries` times, after the pause that the server asks for.
        """
        from ragweave.orchestrator.models.http import LONGEST_WAIT, wait_before

        attempt, begun = 1, False
        while True:
            try:
                async with contextlib.aclosing(self._attempt(request)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except _UnknownField as error:
                self._unknown.add(error.field)
                continue
            except Unavailable as error:
                wait = wait_before(attempt, error.retry_after)
                if begun or attempt > self.max_retries or wait > LONGEST_WAIT:
                    raise
            attempt += 1
            await asyncio.sleep(wait)

    def structures(self) -> bool:
        """True until the server has refused `response_format`."""
        return "response_format" not in self._unknown

    async def close(self) -> None:
        """Close the connections, in every event loop that has some."""
        if self._clients is not None:
            clients, self._clients = self._clients, None
            await clients.close()

    async def _attempt(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        import httpx

        from ragweave.orchestrator.models import http

        body = self._body(request)
        limit = body.get("max_tokens") or body.get("max_completion_tokens")
        reply: ReplyReader | None = None
        try:
            # Half of a surrogate pair, as broken documents have it, cannot be sent: it becomes a question mark.
            content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
            headers = {"Content-Type": "application/json", **self.request_headers()}
            call = self._pool().here().stream("POST", self.url("/chat/completions"), content=content, headers=headers)
            async with call as response:
                if response.status_code != 200:
                    raise await self._refusal(response, body)
                reply = ReplyReader(
                    server=self.server,
                    model=self.model,
                    max_tokens=limit,
                    streamed=_is_stream(response),
                    redacted=self.redacted,
                )
                blocks = response.aiter_bytes()
                async for block in blocks:
                    if text := reply.feed(block):
                        yield ChatChunk(text=text)
                    if reply.done:
                        await _drain(blocks)
                        break
                if text := reply.end():
                    yield ChatChunk(text=text)
        except httpx.HTTPError as error:
            lost = isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError))
            if reply is not None and lost:
                raise reply.broken_off() from error
            raise http.connection_error(
                error, self.server, connect=self.connect_timeout, read=self.read_timeout
            ) from error
        yield reply.finish()

    async def _refusal(self, response: httpx.Response, body: Mapping[str, Any]) -> Exception:
        """The error of a reply whose status is not 200."""
        from ragweave.orchestrator.models import http

        status, text = response.status_code, await http.read_body(response)
        code, message = _error_detail(text)
        said = f" ({status}): {self.redacted(message)}" if message else f" ({status})"
        if status in (400, 422) and (field := _unknown_field(message, body)):
            return _UnknownField(field)
        if status in (401, 403):
            hint = "check the setting 'api_key'" if self.api_key else "set 'api_key'"
            return EndpointUnusable(f"{self.server} refused the key{said}", hint=f"{hint} of model {self.model!r}")
        if 300 <= status < 400:
            target = urlsplit(response.headers.get("location", ""))._replace(query="").geturl()
            return EndpointUnusable(
                f"{self.server} sends callers to {self.redacted(target)}{said}", hint="correct base_url"
            )
        if code == "insufficient_quota":
            return EndpointUnusable(f"{self.server}: the quota of this key is used up{said}")
        if status in (408, 409, 429) or status >= 500:
            what = {429: "too many requests", 503: "the server is overloaded"}.get(status, "the server failed")
            kind = ModelError if response.headers.get("x-should-retry") == "false" else Unavailable
            return kind(f"{self.server}: {what}{said}", retry_after=http.asked_wait(response.headers))
        return await self._client_fault(status, code, message, said)

    async def _client_fault(self, status: int, code: str, message: str, said: str) -> ModelError:
        """The error of a request that is wrong and stays so."""
        if status == 404 or (status in (400, 422) and (code == "model_not_found" or self.model in message)):
            names = await self._model_names()
            if names and self.model not in names:
                candidates = did_you_mean(self.model, names)
                return EndpointUnusable(f"{self.server} has no model {self.model!r}{said}{candidates}")
            if code == "model_not_found":
                return EndpointUnusable(f"{self.server} has no model {self.model!r}{said}")
        if status in (404, 405):
            right = "is base_url right?" if self.server.endswith("/v1") else "base_url usually ends in /v1"
            return EndpointUnusable(f"{self.server}/chat/completions does not exist{said}", hint=right)
        if status == 413 or re.search(r"context.{0,10}(length|size|window)|maximum context", f"{code} {message}"):
            hint = "send fewer or shorter documents (top_k)"
            return ModelError(f"model {self.model!r}: the prompt is too long{said}", hint=hint)
        return ModelError(f"{self.server} refused the request{said}")

    async def _model_names(self) -> list[str]:
        """The models that the server lists; none if it does not say."""
        import httpx

        client = self._pool().here()
        try:
            answer = await client.get(self.url("/models"), headers=self.request_headers(), timeout=MODELS_TIMEOUT)
            return [str(entry["id"]) for entry in answer.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return []

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        own = {"temperature": self.temperature, "max_tokens": self.max_tokens, "stop": self.stop, "seed": self.seed}
        given = {name: value for name, value in own.items() if value not in (None, [])}
        body = request_body(request, model=self.model, defaults={**self.extra, **given})
        if "stream_options" in self._unknown:
            del body["stream_options"]
        if "max_tokens" in self._unknown and "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
        return body

    def _pool(self) -> Clients:
        with self._lock:  # loops in several threads may make the first call together
            if self._clients is None:
                from ragweave.orchestrator.models import http

                tls, times = http.tls_context(self.base_url), (self.connect_timeout, self.read_timeout)
                self._clients = http.Clients(
                    lambda: http.make_client(self.base_url, tls=tls, connect=times[0], read=times[1])
                )
            return self._clients


class _UnknownField(Exception):
    """The server does not know a field of the request that can be left out or renamed."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def _is_stream(response: httpx.Response) -> bool:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind not in ("application/json", "text/html")


async def _drain(blocks: AsyncIterator[bytes]) -> None:
    """Read the few bytes after the last event, so that the connection can be used again; do not wait for them long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_TIMEOUT):
            async for _ in blocks:
                pass


def _unknown_field(message: str, body: Mapping[str, Any]) -> str:
    """The field of `body` that an older server (or a newer model, for max_tokens) says it does not know."""
    if "stream_options" in body and "stream_options" in message:
        return "stream_options"
    if "max_tokens" in body and "max_completion_tokens" in message:
        return "max_tokens"
    return ""


def _error_detail(text: str) -> tuple[str, str]:
    """Code and message of an error's body, in the forms that servers send; a web page has neither."""
    if text.lstrip().startswith("<"):
        return "", ""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return "", text
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or error
        code = str(error.get("code") or error.get("type") or "")
        return code, message if isinstance(message, str) else json.dumps(message)
    return "", error if isinstance(error, str) else json.dumps(error)
