"""A bot for Slack: answers mentions and direct messages, each Slack thread a conversation.

SLACK_SIGNING_SECRET=… SLACK_BOT_TOKEN=xoxb-… uvicorn slack_bot:app
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from slack_bolt.adapter.fastapi.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp, AsyncSay

from ragweave import Graph

graph = Graph.load(Path(__file__).with_name("help.yaml"))
slack = AsyncApp()  # takes secret and token from the environment, and refuses what Slack has not signed
seen: deque[str] = deque(maxlen=1000)  # ids of the last events: Slack sends one again if our reply to it was lost


@asynccontextmanager
async def life(app: FastAPI) -> AsyncIterator[None]:
    async with graph:
        await graph.awarm_up()
        yield


app = FastAPI(lifespan=life)


@slack.event("app_mention")
@slack.event("message")
async def answer(body: dict[str, Any], event: dict[str, Any], say: AsyncSay) -> None:
    if body["event_id"] not in seen and not {"bot_id", "subtype"} & event.keys():
        seen.append(body["event_id"])
        thread = event.get("thread_ts", event["ts"])
        question = event["text"].split("> ", 1)[-1]  # without the mention in front
        *_, last = [piece async for piece in graph.chat(question=question, thread_id=f"{event['channel']}:{thread}")]
        await say(last.text, thread_ts=thread)


@app.post("/slack/events")
async def events(request: Request) -> Response:
    return await AsyncSlackRequestHandler(slack).handle(request)
