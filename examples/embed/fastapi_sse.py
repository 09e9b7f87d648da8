"""A chat over HTTP. POST /chat answers with server-sent events: token, reset, answer, error.

uvicorn fastapi_sse:app
"""

import gc
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from ragweave import Graph, RagweaveError

graph = Graph.load(Path(__file__).parent / "help.yaml", turns="interrupt")


@asynccontextmanager
async def life(app: FastAPI) -> AsyncIterator[None]:
    async with graph, graph.watch():
        await graph.awarm_up()
        gc.freeze()  # what is loaded now stays: no need to look through it for garbage while people wait
        yield


app = FastAPI(lifespan=life)


class Turn(BaseModel):
    question: str
    thread_id: str = ""
    overrides: dict[str, Any] = {}


async def answered(turn: Turn) -> AsyncIterator[str]:
    try:
        events = graph.stream(question=turn.question, thread_id=turn.thread_id, overrides=turn.overrides)
        async with aclosing(events):  # a client that goes away ends its run
            async for event in events:
                if event.kind == "token":
                    yield told("token", text=event.text)
                elif event.kind == "reset":  # what was streamed is tried again: clear it
                    yield told("reset")
                elif event.kind == "run_done":
                    answer = event.data["result"]["answer"]
                    yield told("answer", text=str(answer), sources=[one.source for one in answer.citations])
    except RagweaveError as error:
        yield told("error", message=str(error))


def told(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"


@app.post("/chat")
async def chat(turn: Turn) -> StreamingResponse:
    return StreamingResponse(answered(turn), media_type="text/event-stream")
