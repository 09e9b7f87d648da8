"""A real server on loopback that speaks Chat Completions, well or badly, as each test wants.

    with OpenAIServer([Reply("Hello there."), Reply(status=429, headers={"Retry-After": "1"})]) as server:
        model = OpenAI(model="test-model", base_url=server.url, api_key=server.key)

Replies are used in turn, the last one for ever. It runs in a thread of its own, for sync and async callers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

SILENCE = 300.0
"""Seconds that a server says nothing which hangs: longer than any test waits."""


@dataclass(frozen=True)
class Reply:
    """What the server does with one request."""

    text: str = ""
    """Streamed word by word."""
    chunks: Sequence[str] = ()
    """The text in these pieces, instead of `text`."""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    """Deltas of `tool_calls`, each sent in a chunk of its own after the text."""
    finish: str = "stop"
    usage: tuple[int, int] | None = (7, 3)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    """Sent instead of a reply: JSON for a dict or list, else the text itself."""
    raw: bytes | Sequence[bytes] | None = None
    """Sent as the event stream, byte for byte; several blocks apart."""
    whole: bool = False
    """Do not stream: one JSON object, as servers do that ignore `stream`."""
    delay: float = 0.0
    """Seconds before the status line."""
    pace: float = 0.0
    """Seconds before each chunk."""
    hang: bool = False
    """Accept the request and say nothing."""
    hang_after: int | None = None
    """Send so many chunks, and then say nothing more."""
    close_after: int | None = None
    """Cut the connection after so many chunks; 0 before the status line."""
    done: bool = True
    """End the stream with `data: [DONE]`."""


@dataclass(frozen=True)
class Request:
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    json: Any
    connection: int
    """Which connection it came on, from 1."""


class OpenAIServer:
    """See the module. `requests` are the calls of the model, `others` the rest, oldest first.

    Another wire is a subclass with another `root`, `_is_call`, `_refusal`, `_listed`, `_events` and `_whole`.
    """

    root = "/v1"

    def __init__(
        self,
        replies: Sequence[Reply] = (Reply("Hello there."),),
        *,
        key: str = "sk-test-1234567890",
        models: Sequence[str] | None = ("test-model", "other-model"),
        knows_stream_options: bool = True,
        formats: Sequence[str] = ("json_schema", "json_object", "text"),
    ) -> None:
        self.replies = list(replies)
        self.key = key
        self.models = models
        self.knows_stream_options = knows_stream_options
        self.formats = formats
        """The types of `response_format` that it takes."""
        self.requests: list[Request] = []
        self.others: list[Request] = []
        self.connections = 0
        self.open_connections = 0
        self.left = threading.Event()
        """Set when a client went away before it had its whole reply."""
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="openai-server", daemon=True)
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base_url."""
        return f"http://127.0.0.1:{self.port}{self.root}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    async def asked(self, count: int = 1) -> None:
        """Wait until so many calls of the model have come."""
        async with asyncio.timeout(60):
            while len(self.requests) < count:  # noqa: ASYNC110 - they come in another thread
                await asyncio.sleep(0.01)

    async def is_left(self) -> None:
        """Wait until a client has gone away in mid-reply."""
        assert await asyncio.to_thread(self.left.wait, 60), "the client never went away"

    def _is_call(self, request: Request) -> bool:
        return request.path.partition("?")[0] == "/v1/chat/completions"

    def _refusal(self, request: Request) -> Reply | None:
        """What the server says to a request that it does not take, whatever the test's replies are."""
        if request.headers.get("authorization") != f"Bearer {self.key}":
            message = f"Incorrect API key provided: {request.headers.get('authorization')}"
            return Reply(status=401, body=_error(message))
        if self.models is not None and request.json["model"] not in self.models:
            message = f"The model {request.json['model']!r} does not exist"
            return Reply(status=404, body=_error(message, code="model_not_found"))
        if not self.knows_stream_options and "stream_options" in request.json:
            return Reply(status=400, body=_error("Unrecognized request argument supplied: stream_options"))
        form = (request.json.get("response_format") or {}).get("type")
        if form is not None and form not in self.formats:
            return Reply(status=400, body=_error(f"response_format type {form!r} is unavailable now"))
        return None

    def _listed(self, models: Sequence[str]) -> Any:
        listed = [{"id": name, "object": "model", "created": 1, "owned_by": "test"} for name in models]
        return {"object": "list", "data": listed}

    def _events(self, reply: Reply, request: Request) -> list[bytes]:
        return _events(reply, request)

    def _whole(self, reply: Reply) -> Any:
        return _whole(reply)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = self._loop.create_task(self._connection(reader, writer, self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.open_connections += 1
        try:
            while (request := await _read_request(reader, writer, number)) is not None:
                if not await self._answer(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            self.open_connections -= 1
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False if the connection is to be closed."""
        if not self._is_call(request):
            self.others.append(request)
            return await self._answer_other(request, writer)
        self.requests.append(request)
        reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        reply = self._refusal(request) or reply
        gone = asyncio.create_task(reader.read(1))
        sending = asyncio.create_task(self._send(reply, request, writer))
        await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
        if not sending.done():
            self.left.set()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            return False
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        return sending.result()

    async def _answer_other(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.path == f"{self.root}/models" and self.models is not None:
            await _send_body(writer, 200, {}, self._listed(self.models))
        else:
            await _send_body(writer, 404, {}, {"detail": "Not Found"})
        return True

    async def _send(self, reply: Reply, request: Request, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(reply.delay)
        if reply.hang:
            await asyncio.sleep(SILENCE)
        if reply.close_after == 0:
            return False
        if reply.status != 200 or reply.body is not None:
            await _send_body(writer, reply.status, reply.headers, reply.body)
            return True
        if reply.raw is None:
            events = self._events(reply, request)
        else:
            events = [reply.raw] if isinstance(reply.raw, bytes) else [*reply.raw]
        if reply.whole:
            await _send_body(writer, 200, reply.headers, self._whole(reply))
            return True
        headers = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked", **reply.headers}
        writer.write(_head(200, headers))
        for count, block in enumerate(events, 1):
            await asyncio.sleep(reply.pace)
            writer.write(b"%x\r\n%s\r\n" % (len(block), block))
            await writer.drain()
            if count == reply.close_after:
                return False
            if count == reply.hang_after:
                await asyncio.sleep(SILENCE)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> Request | None:
    try:
        start = await reader.readexactly(1)
        if start == b"\x16":  # a TLS handshake: plain servers answer it so
            await _send_body(writer, 400, {}, "<html>This is plain HTTP.</html>")
            return None
        head = start + await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, json.loads(body) if body else None, number)


def _events(reply: Reply, request: Request) -> list[bytes]:
    pieces = reply.chunks or re.findall(r"\s*\S+\s*$|\s*\S+", reply.text)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces)]
    deltas += [{"tool_calls": [dict(call)]} for call in reply.tool_calls]
    objects: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    objects.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reply.finish}]})
    if reply.usage is not None and (request.json.get("stream_options") or {}).get("include_usage"):
        objects.append({"choices": [], "usage": _usage(reply.usage)})
    common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": request.json["model"]}
    events = [f"data: {json.dumps({**common, **entry})}\n\n".encode() for entry in objects]
    return [*events, b"data: [DONE]\n\n"] if reply.done else events


def _whole(reply: Reply) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.text or "".join(reply.chunks), "refusal": None}
    choices = [{"index": 0, "message": message, "finish_reason": reply.finish, "logprobs": None}]
    return {"id": "chatcmpl-1", "object": "chat.completion", "choices": choices, "usage": _usage(reply.usage or (0, 0))}


def _usage(usage: tuple[int, int]) -> dict[str, int]:
    return {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}


def _error(message: str, *, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


async def _send_body(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str], body: Any) -> None:
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    kind = "text/html" if isinstance(body, str) else "application/json"
    writer.write(_head(status, {"Content-Type": kind, "Content-Length": str(len(content)), **headers}) + content)
    await writer.drain()


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Test", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
