"""A real server on loopback that speaks OpenAI's embeddings, well or badly, as each test wants.

A text's vector has its length, the number of its letters "a" and 1 as its numbers, so that a test can tell whose it is.
Replies with a status or a body are used in turn, then vectors are sent.
"""

from __future__ import annotations

import asyncio
import base64
import struct
import threading
from collections.abc import Sequence
from typing import Any

from tests.support.openai_server import OpenAIServer, Reply, Request, _error, _send_body


class EmbeddingsServer(OpenAIServer):
    """See the module. `formats` are the values of encoding_format that it knows; with none it refuses the field."""

    def __init__(
        self,
        replies: Sequence[Reply] = (),
        *,
        formats: Sequence[str] = ("float", "base64"),
        width: int = 3,
        most: int = 1000,
        meet: int = 1,
        **settings: Any,
    ) -> None:
        super().__init__([*replies, Reply()], formats=formats, models=settings.pop("models", ("embed",)), **settings)
        self.width = width
        self.most = most
        """Texts that it takes in one request."""
        self.meet = meet
        """Requests that have to be there at one time before any is answered."""
        self.go = threading.Event()
        """Cleared by a test that wants none to be answered until it says so."""
        self.go.set()
        self.busy = self.busiest = 0
        """Requests that are being answered, now and at most."""

    def _is_call(self, request: Request) -> bool:
        return request.path.partition("?")[0] == "/v1/embeddings"

    def _refusal(self, request: Request) -> Reply | None:
        refusal = super()._refusal(request)
        if refusal is not None:
            return refusal
        if "encoding_format" in request.json and not self.formats:
            return Reply(status=400, body=_error("Unrecognized request argument supplied: encoding_format"))
        if len(request.json["input"]) > self.most:
            return Reply(status=413, body=_error(f"batch size {len(request.json['input'])} > maximum {self.most}"))
        if any(len(text) > 10_000 for text in request.json["input"]):
            return Reply(status=400, body=_error("this model's maximum context length is 8192 tokens"))
        return None

    async def _send(self, reply: Reply, request: Request, writer: asyncio.StreamWriter) -> bool:
        if reply.status != 200 or reply.body is not None or reply.hang or reply.close_after is not None:
            return await super()._send(reply, request, writer)
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        async with asyncio.timeout(60):
            while self.busiest < self.meet or not self.go.is_set():  # noqa: ASYNC110 - the test sets it in its thread
                await asyncio.sleep(0.005)
        self.busy -= 1
        width = request.json.get("dimensions", self.width)
        coded = request.json.get("encoding_format") == "base64"
        data = [
            {"index": at, "object": "embedding", "embedding": _vector(text, width, coded)}
            for at, text in enumerate(request.json["input"])
        ]
        await _send_body(writer, 200, reply.headers, {"object": "list", "data": data[::-1], "model": "embed"})
        return True


def _vector(text: str, width: int, coded: bool) -> Any:
    numbers = [float(len(text)), float(text.count("a")), 1.0, *[0.0] * width][:width]
    return base64.b64encode(struct.pack(f"<{width}f", *numbers)).decode() if coded else numbers
