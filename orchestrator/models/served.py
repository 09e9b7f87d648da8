"""What all models behind HTTP have in common: one call with its retries, and what a person reads when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.contracts import ChatChunk, ChatRequest
from ragweave.orchestrator.errors import EndpointUnusable, ModelError, ResourceError, did_you_mean
from ragweave.orchestrator.models.endpoint import Endpoint
from ragweave.orchestrator.models.parts import encoded, refuse_parts
from ragweave.orchestrator.models.reading import ReplyReader, Unavailable
from ragweave.orchestrator.models.schemas import told

if TYPE_CHECKING:
    import httpx

    from ragweave.orchestrator.models.http import Clients
    from ragweave.orchestrator.resources import Resources

MODELS_TIMEOUT = 5.0
DRAIN_TIMEOUT = 0.25


class Call(NamedTuple):
    """One request as it is to be sent."""

    path: str
    """Below base_url, with a query if there is one."""
    body: Mapping[str, Any]
    max_tokens: int | None
    """The limit that the body sets."""


class Refused(NamedTuple):
    """A reply whose status is not 200."""

    status: int
    code: str
    message: str
    said: str
    """Status and message as they may be shown."""


class ServedModel(Endpoint):
    """A model on a server. A wire format is a subclass: how a request is written, and which reader takes its reply."""

    reader: ClassVar[type[ReplyReader]]
    home: ClassVar[str] = ""
    """The maker's own address, where a key is needed."""
    key_variable: ClassVar[str] = "OPENAI_API_KEY"
    reads_by_default: ClassVar[tuple[str, ...]] = ("text",)
    schema_ways: ClassVar[int] = 2
    """In how many ways the wire can ask for JSON; the last resort after them is to say the schema in words."""

    model: str = Field(min_length=1, description="The name of the model on the server.")

    _resources: Resources | None = PrivateAttr(None)
    _clients: Clients | None = PrivateAttr(None)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _unknown: set[str] = PrivateAttr(default_factory=set)
    """Fields of a request that this server has refused, to be left out or renamed."""
    _way: int = PrivateAttr(0)
    """The first way of asking for JSON that this server has not refused."""

    # --- what a wire format says ---

    @abstractmethod
    def _call(self, request: ChatRequest, way: int, blobs: Mapping[str, str]) -> Call:
        """The request as it is sent. `blobs` are bytes in base64 by their hash, `way` from 0 how JSON is asked for."""

    def _is_told(self, request: ChatRequest, way: int) -> bool:
        """True if this way of asking for JSON needs the schema in words too."""
        return way > 0

    def _names(self, listed: Any) -> list[str]:
        """The names in the server's list of models. Raises LookupError or TypeError."""
        return [str(entry["id"]) for entry in listed["data"]]

    def _adapted(self, refused: Refused, call: Call, way: int) -> Exception | None:
        """UnknownField or SchemaRefused if another form of this request may be taken, else None."""
        return None

    def _own_fault(self, refused: Refused, body: str) -> ModelError | None:
        """The error of what only this format can report."""
        return None

    # --- the model ---

    def open(self, resources: Resources) -> None:
        """Load what a call needs, off the event loop. Raises ResourceError if the maker is meant, without a key."""
        if self.base_url == self.home and self.api_key is None and not self.headers:
            raise ResourceError(
                f"model {self.model!r} at {self.server}: 'api_key' is not set",
                hint=f"write api_key: ${{env:{self.key_variable}}}, or base_url: for a server of your own",
            )
        self._resources = resources
        self._pool()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The reply in pieces; the last chunk has usage, tool calls and why it ended ("length": at `max_tokens`).

        Until the first piece is there, the call is repeated on 408, 409, 429, 5xx and lost connections, up to
        `max_retries` times, after the pause that the server asks for. Raises InputError for a part of a message that
        the model does not read.
        """
        from ragweave.orchestrator.models.http import LONGEST_WAIT, wait_before

        refuse_parts(request.messages, self.reads(), self.model)
        blobs = await encoded(request.messages, self._resources)
        attempt, begun, way = 1, False, self._way
        while True:
            try:
                async with contextlib.aclosing(self._attempt(request, way, blobs)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except UnknownField as error:
                self._unknown.add(error.field)
                continue
            except SchemaRefused as error:
                way += 1
                if error.lasting:
                    self._way = max(self._way, way)
                continue
            except Unavailable as error:
                wait = wait_before(attempt, error.retry_after)
                if begun or attempt > self.max_retries or wait > LONGEST_WAIT:
                    raise
            attempt += 1
            await asyncio.sleep(wait)

    def structures(self) -> bool:
        """True until the server has refused every way of asking for JSON; then schemas are said in words."""
        return self._way < self.schema_ways

    def calls_tools(self) -> bool:
        """True: what a server makes of tools, it says itself."""
        return True

    def reads(self) -> Collection[str]:
        """The kinds of parts that the model reads: the setting `takes`, else what its maker's models read."""
        return self.takes or self.reads_by_default

    async def close(self) -> None:
        """Close the connections, in every event loop that has some."""
        if self._clients is not None:
            clients, self._clients = self._clients, None
            await clients.close()

    async def _attempt(
        self, request: ChatRequest, way: int, blobs: Mapping[str, str]
    ) -> AsyncGenerator[ChatChunk, None]:
        import httpx

        from ragweave.orchestrator.models import http

        call = self._call(self._with_schema(request, way), way, blobs)
        reply: ReplyReader | None = None
        try:
            # Half of a surrogate pair, as broken documents have it, cannot be sent: it becomes a question mark.
            content = json.dumps(call.body, ensure_ascii=False).encode("utf-8", "replace")
            headers = {"Content-Type": "application/json", **self.request_headers()}
            sending = self._pool().here().stream("POST", self.url(call.path), content=content, headers=headers)
            async with sending as response:
                if response.status_code != 200:
                    raise await self._refusal(response, call, way)
                reply = self.reader(
                    server=self.server,
                    model=self.model,
                    max_tokens=call.max_tokens,
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

    def _with_schema(self, request: ChatRequest, way: int) -> ChatRequest:
        """The request with its schema said in words, if the wire alone does not suffice."""
        schema = request.response_schema
        if schema is None or not self._is_told(request, way):
            return request
        messages = told(request.messages, schema, tools=bool(request.tools))
        return replace(request, messages=messages, response_schema=schema if way < self.schema_ways else None)

    async def _refusal(self, response: httpx.Response, call: Call, way: int) -> Exception:
        """The error of a reply whose status is not 200."""
        from ragweave.orchestrator.models import http

        status, body = response.status_code, await http.read_body(response)
        code, message = error_detail(body)
        said = f" ({status}): {self.redacted(message)}" if message else f" ({status})"
        refused = Refused(status, code, message, said)
        if error := self._adapted(refused, call, way) or self._own_fault(refused, body):
            return error
        if status in (401, 403):
            return self._wrong_key(said)
        if 300 <= status < 400:
            target = urlsplit(response.headers.get("location", ""))._replace(query="").geturl()
            return EndpointUnusable(
                f"{self.server} sends callers to {self.redacted(target)}{said}", hint="correct base_url"
            )
        if status in (408, 409, 429) or status >= 500:
            busy = "the server is overloaded"
            what = {429: "too many requests", 503: busy, 529: busy}.get(status, "the server failed")
            kind = ModelError if response.headers.get("x-should-retry") == "false" else Unavailable
            asked = http.asked_wait(response.headers)
            return kind(f"{self.server}: {what}{said}", retry_after=wait_in(body) if asked is None else asked)
        return await self._client_fault(refused, urlsplit(call.path).path)

    def _wrong_key(self, said: str) -> ModelError:
        hint = "check the setting 'api_key'" if self.api_key else "set 'api_key'"
        return EndpointUnusable(f"{self.server} refused the key{said}", hint=f"{hint} of model {self.model!r}")

    async def _client_fault(self, refused: Refused, path: str) -> ModelError:
        """The error of a request that is wrong and stays so."""
        status, code, message, said = refused
        if status == 404 or (status in (400, 422) and (code == "model_not_found" or self.model in message)):
            names = await self._model_names()
            if names and self.model not in names:
                candidates = did_you_mean(self.model, names)
                return EndpointUnusable(f"{self.server} has no model {self.model!r}{said}{candidates}")
            if code in ("model_not_found", "not_found_error"):
                return EndpointUnusable(f"{self.server} has no model {self.model!r}{said}")
        if status in (404, 405):
            version = urlsplit(self.home).path
            ends = self.server.endswith(version)
            right = "is base_url right?" if ends else f"base_url usually ends in {version}"
            return EndpointUnusable(f"{self.server}{path} does not exist{said}", hint=right)
        long = r"context.{0,10}(length|size|window)|maximum context|prompt is too long|input token count.*exceeds"
        if status == 413 or re.search(long, f"{code} {message}"):
            hint = "send fewer or shorter documents (top_k)"
            return ModelError(f"model {self.model!r}: the prompt is too long{said}", hint=hint)
        return ModelError(f"{self.server} refused the request{said}")

    async def listed(self) -> list[str]:
        """The models that the server lists; none if it does not say. Raises ModelError if it cannot be reached or
        refuses the key."""
        import httpx

        from ragweave.orchestrator.models import http

        client = self._pool().here()
        try:
            answer = await client.get(self.url("/models"), headers=self.request_headers(), timeout=MODELS_TIMEOUT)
        except httpx.HTTPError as error:
            waited = (self.connect_timeout, MODELS_TIMEOUT)
            raise http.connection_error(error, self.server, connect=waited[0], read=waited[1]) from error
        if answer.status_code in (401, 403):
            raise self._wrong_key(f" ({answer.status_code})")
        try:
            return self._names(answer.json())
        except (ValueError, LookupError, TypeError, AttributeError):
            return []

    async def _model_names(self) -> list[str]:
        try:
            return await self.listed()
        except ModelError:
            return []

    def _pool(self) -> Clients:
        with self._lock:  # loops in several threads may make the first call together
            if self._clients is None:
                from ragweave.orchestrator.models import http

                tls, times = http.tls_context(self.base_url), (self.connect_timeout, self.read_timeout)
                self._clients = http.Clients(
                    lambda: http.make_client(self.base_url, tls=tls, connect=times[0], read=times[1])
                )
            return self._clients


class UnknownField(Exception):
    """The server does not know a field of the request that can be left out or renamed."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class SchemaRefused(Exception):
    """The server does not take the way in which JSON was asked for; `lasting`: whatever the schema."""

    def __init__(self, *, lasting: bool) -> None:
        super().__init__(lasting)
        self.lasting = lasting


def functions(tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Name, description and parameters of each tool, whether or not it is wrapped as Chat Completions has it."""
    return [tool.get("function", tool) for tool in tools]


def error_detail(text: str) -> tuple[str, str]:
    """Code and message of an error's body, in the forms that servers send; a web page has neither."""
    if text.lstrip().startswith("<"):
        return "", ""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return "", text
    if isinstance(body, list) and body:
        body = body[0]
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or error
        codes = (error.get("code"), error.get("status"), error.get("type"))
        code = next((code for code in codes if code and isinstance(code, str)), "")
        return code, message if isinstance(message, str) else json.dumps(message)
    return "", error if isinstance(error, str) else json.dumps(error)


def wait_in(body: str) -> float | None:
    """The seconds that an error's body asks for, as Google's services do: `"retryDelay": "34s"`."""
    found = re.search(r'"retryDelay"\s*:\s*"(\d{1,9}(?:\.\d{1,9})?)s"', body)
    return float(found[1]) if found else None


def _is_stream(response: httpx.Response) -> bool:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind not in ("application/json", "text/html")


async def _drain(blocks: AsyncIterator[bytes]) -> None:
    """Read the few bytes after the last event, so that the connection can be used again; do not wait for them long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_TIMEOUT):
            async for _ in blocks:
                pass
