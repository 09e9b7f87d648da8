"""Webhooks to a real server on loopback: signed, tried again, never sent twice under two names."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import GraphError, InputError, NodeError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.nodes.notify import LARGEST, Notify, signature_of
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.values import Answer

SECRET = "whsec_" + base64.b64encode(b"a key of some bytes").decode()

GRAPH = """
schema: ragweave/v1
inputs: {{answer: str}}
outputs: [delivery]
nodes:
  tell: {{type: notify, url: "{url}", secret: "${{env:HOOK_SECRET:-{secret}}}", send: [answer], max_retries: 1}}
edges: [start -> tell -> end]
"""


class Hook:
    """A server that takes webhooks; `replies` are used in turn, the last for ever."""

    def __init__(self, replies: Sequence[str | None]) -> None:
        self.replies = list(replies)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")[1:]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        self.got.append((headers, await reader.readexactly(int(headers["content-length"]))))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if reply is not None:
            writer.write(f"HTTP/1.1 {reply}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        else:
            await reader.read()
        writer.close()


@asynccontextmanager
async def hook(*replies: str | None) -> AsyncIterator[Hook]:
    made = Hook(replies or ["202 Accepted"])
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in?token=t0ken"
    async with server:
        yield made


def notify(url: str, **settings: Any) -> Notify:
    return Notify(**{"url": url, "send": ["answer"], "secret": SECRET, **settings})


async def sent(node: Notify, ctx: Context | None = None) -> Any:
    return (await node(ctx=ctx or Context(node="tell"), answer=Answer(text="Äpfel")))["delivery"]


async def test_a_message_is_signed_so_that_its_receiver_can_check_it() -> None:
    async with hook() as server:
        delivery = await sent(notify(server.url, event="order.done"))
    ((headers, body),) = server.got
    assert json.loads(body) == {
        "type": "order.done",
        "data": {"answer": {"text": "Äpfel", "citations": [], "confidence": 1.0}},
    }
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"a key of some bytes", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 60
    assert headers["content-type"] == "application/json"
    assert headers["idempotency-key"] == headers["webhook-id"] == delivery["id"]
    assert delivery == {"id": delivery["id"], "status": 202, "attempts": 1}


def test_the_signature_is_that_of_the_specification() -> None:
    """The message of the specification's reference libraries, with its published signature."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = signature_of(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_without_a_secret_nothing_is_signed_and_any_text_may_be_one() -> None:
    async with hook() as server:
        await sent(notify(server.url, secret=""))
        await sent(notify(server.url, secret="plain words"))
    first, second = (headers for headers, _ in server.got)
    assert "webhook-signature" not in first
    assert second["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize("status", ["500 Oops", "503 Busy", "429 Slow", "408 Late", "425 Early"])
async def test_what_may_pass_is_tried_again_under_the_same_id(status: str) -> None:
    async with hook(f"{status}\r\nRetry-After: 0", f"{status}\r\nRetry-After: 0", "200 OK") as server:
        assert (await sent(notify(server.url)))["attempts"] == 3
    assert len({headers["webhook-id"] for headers, _ in server.got}) == 1
    assert len({body for _, body in server.got}) == 1


async def test_a_silent_server_is_tried_again() -> None:
    async with hook(None, "200 OK") as server:
        assert (await sent(notify(server.url, read_timeout="100ms")))["attempts"] == 2


@pytest.mark.parametrize(
    ("reply", "message", "transient"),
    [
        ("400 Bad", r"refused the message \(400\)", False),
        ("410 Gone", r"refused the message \(410\)", False),
        ("302 Found\r\nLocation: http://127.0.0.1:1/x", r"redirects \(302\), which is not followed", False),
        ("500 Oops\r\nRetry-After: 0", r"refused the message \(500\)", True),
        ("503 Busy\r\nRetry-After: 3600", r"refused the message \(503\)", True),
    ],
)
async def test_what_does_not_pass_is_an_error_that_shows_no_token(reply: str, message: str, transient: bool) -> None:
    async with hook(reply) as server:
        with pytest.raises(NodeError, match=message) as caught:
            await sent(notify(server.url, max_retries=1))
    assert caught.value.transient is transient
    assert len(server.got) == (2 if reply.startswith("500") else 1)
    assert "t0ken" not in str(caught.value)


async def test_a_server_that_is_not_there_is_transient() -> None:
    with pytest.raises(NodeError, match=r"http://127\.0\.0\.1:9 cannot be reached") as caught:
        await sent(notify("http://127.0.0.1:9/", max_retries=0))
    assert caught.value.transient


async def test_a_message_that_is_too_large_is_not_sent() -> None:
    async with hook() as server:
        with pytest.raises(InputError, match=r"bytes; a webhook takes 1,048,576"):
            await notify(server.url)(ctx=Context(), answer="x" * LARGEST)
    assert server.got == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "http://example.com/x"}, r"http:// to 'example.com' is not encrypted; write https://"),
        ({"url": "ftp://example.com"}, "no address such as"),
        ({"url": "https://"}, "no address such as"),
        ({"url": "https://me:pw@example.com"}, "holds a password"),
        ({"url": "https://[::1"}, "no address"),
        ({"send": []}, "at least 1"),
        ({"send": ["a.b"]}, "no name of a state key"),
        ({"secret": "whsec_*"}, "is not base64"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        notify(**{"url": "https://example.com/hook", **settings})
    assert "whsec_*" not in str(caught.value)


def test_http_is_for_this_machine_unless_told() -> None:
    for url in ("http://localhost:1/x", "http://[::1]/x", "http://127.8.8.8/"):
        notify(url)
    notify("http://example.com/x", allow_http=True)


async def test_in_a_graph_the_secret_is_read_from_the_environment_and_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "s3cr3t")
    async with hook("400 No") as server, Graph.parse(GRAPH.format(url=server.url, secret=SECRET)) as graph:
        with pytest.raises(RunError) as caught:
            await graph.arun(answer="x")
        events = [str(event.data) for event in await graph.store.events(caught.value.run_id)]
        shown = [str(caught.value), repr(graph.plan.spec.nodes["tell"].node), *events]
    assert "webhook-signature" in server.got[0][0]
    assert not [text for text in shown if "s3cr3t" in text]


async def test_a_secret_that_is_damaged_is_said_without_it() -> None:
    with pytest.raises(GraphError) as caught:
        Graph.parse(GRAPH.format(url="https://example.com", secret="whsec_!!!"))
    assert "nodes.tell.secret" in str(caught.value)
    assert "whsec_!!!" not in str(caught.value)


async def test_a_run_that_was_killed_while_it_sent_sends_again_under_the_same_id() -> None:
    async with hook() as server, Graph.parse(GRAPH.format(url=server.url, secret=SECRET)) as graph:
        result = await graph.arun(answer="x")
        journal = list(await graph.store.events(result.run_id))
        for known in (["effect_started"], ["effect_started", "effect_finished"]):
            await graph.store.delete(run_id=result.run_id)
            await graph.store.begin(RunRecord(result.run_id, "", graph.name, "running"))
            write = graph.store.writer(result.run_id)
            for event in journal:
                if event.kind in ("run_started", *known):
                    write(event.record())
            assert (await graph.aresume(result.run_id))["delivery"]["id"] == result["delivery"]["id"]
        await graph.arun(answer="x")
    ids = [headers["webhook-id"] for headers, _ in server.got]
    assert len(ids) == 3  # the kill after the effect had finished sent nothing
    assert ids[0] == ids[1] != ids[2]
