"""The example bot for Slack, started in an environment of its own and sent events as Slack sends them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.examples.environments import environment
from tests.examples.servers import FOUR, WARRANTY, indexed, served

pytestmark = pytest.mark.long

PACKAGES = ["slack-bolt==1.*", "aiohttp", "fastapi", "uvicorn"]
LOCAL = """
import os
from slack_bot import app, slack

slack.client.base_url = os.environ["SLACK_API"]
"""


@asynccontextmanager
async def slack() -> AsyncIterator[tuple[str, asyncio.Queue[dict[str, Any]]]]:
    """A server that takes messages as Slack does."""
    posted: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        if "/chat.postMessage" in head:
            posted.put_nowait({"head": head, **json.loads(body)})
        reply = json.dumps({"ok": True, "team_id": "T1", "user_id": "U1", "bot_id": "B1"}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(reply), reply))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", posted


async def test_slack_events_are_verified_answered_in_their_thread_and_answered_once(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    python = await asyncio.to_thread(environment, pytestconfig, "slack", PACKAGES)
    folder = await asyncio.to_thread(indexed, tmp_path)
    (folder / "local.py").write_text(LOCAL, encoding="utf-8")
    secret = "8f742231b10e"
    mention = {"type": "app_mention", "text": f"<@U1> {WARRANTY}", "channel": "C1", "ts": "17.01"}

    async with slack() as (api, posted):
        keys = {"SLACK_SIGNING_SECRET": secret, "SLACK_BOT_TOKEN": "xoxb-1", "SLACK_API": f"{api}/"}
        with served(folder, "local", python=python, **keys) as address:
            async with httpx.AsyncClient(base_url=address, timeout=120) as client:

                async def send(call: Any, *, stamp: float | None = None, key: str = secret) -> httpx.Response:
                    body = json.dumps(call).encode()
                    at = str(int(time.time() if stamp is None else stamp))
                    made = hmac.new(key.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
                    headers = {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={made}"}
                    return await client.post("/slack/events", content=body, headers=headers)

                greeted = await send({"type": "url_verification", "challenge": "3eZb"})
                assert greeted.json() == {"challenge": "3eZb"}
                call = {"type": "event_callback", "event_id": "Ev1", "event": mention}
                assert (await send(call, key="another")).status_code == 401
                assert (await send(call, stamp=time.time() - 600)).status_code == 401
                assert (await client.post("/slack/events", json=call)).status_code == 401
                assert [(await send(call)).status_code for _ in range(3)] == [200] * 3  # the same event, sent again
                own = {**mention, "type": "message", "bot_id": "B1"}
                assert (await send({**call, "event_id": "Ev2", "event": own})).status_code == 200
                reply = await asyncio.wait_for(posted.get(), 120)
                assert (reply["channel"], reply["thread_ts"]) == ("C1", "17.01")
                assert FOUR in reply["text"]
                assert "authorization: bearer xoxb-1" in reply["head"].lower()
                later = {**mention, "ts": "17.05", "thread_ts": "17.01", "text": "<@U1> What does delivery cost?"}
                await send({**call, "event_id": "Ev3", "event": later})
                reply = await asyncio.wait_for(posted.get(), 120)
                assert (reply["thread_ts"], "4.90" in reply["text"]) == ("17.01", True)
                assert posted.empty()
