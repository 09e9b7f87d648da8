"""A bot for Slack: answers mentions and direct messages, each Slack thread a conversation.

SLACK_SIGNING_SECRET=… SLACK_BOT_TOKEN=xoxb-… uvicorn slack_bot:app
"""

import hashlib
import hmac
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request

from ragweave import Graph, RagweaveError

graph = Graph.load(Path(__file__).parent / "help.yaml")
slack = httpx.AsyncClient(
    base_url=os.environ.get("SLACK_API", "https://slack.com/api"),
    headers={"Authorization": f"Bearer {os.environ.get('SLACK_BOT_TOKEN', '')}"},
)
seen: dict[str, None] = {}  # ids of the last events: Slack sends one again if the first answer was lost


@asynccontextmanager
async def life(app: FastAPI) -> AsyncIterator[None]:
    async with graph, slack:
        await graph.awarm_up()
        yield


app = FastAPI(lifespan=life)


def signed(body: bytes, stamp: str, signature: str) -> bool:
    """True if Slack has signed this, within the last five minutes."""
    secret = os.environ["SLACK_SIGNING_SECRET"].encode()
    wanted = "v0=" + hmac.new(secret, b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    fresh = stamp.isdecimal() and abs(time.time() - int(stamp)) < 300
    return fresh and hmac.compare_digest(wanted.encode(), signature.encode())


async def answer(event: dict[str, Any]) -> None:
    thread = event.get("thread_ts", event["ts"])
    question = event["text"].split("> ", 1)[-1]  # without the mention in front
    try:
        text = str((await graph.arun(question=question, thread_id=f"{event['channel']}:{thread}"))["answer"])
    except RagweaveError as error:
        text = f"That went wrong: {error}"
    await slack.post("/chat.postMessage", json={"channel": event["channel"], "thread_ts": thread, "text": text})


@app.post("/slack/events")
async def events(request: Request, tasks: BackgroundTasks) -> dict[str, str]:
    body, headers = await request.body(), request.headers
    if not signed(body, headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")):
        raise HTTPException(401, "not signed by Slack")
    call = await request.json()
    if call["type"] == "url_verification":
        return {"challenge": call["challenge"]}
    event = call["event"]
    mine = "bot_id" in event or "subtype" in event or event["type"] not in ("app_mention", "message")
    if not mine and call["event_id"] not in seen:
        seen[call["event_id"]] = None
        if len(seen) > 1000:
            del seen[next(iter(seen))]
        tasks.add_task(answer, event)  # Slack waits three seconds, an answer may take longer
    return {}
