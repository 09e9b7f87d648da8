"""A chat over HTTP. POST /chat answers with server-sent events: token, reset, answer, error.

uvicorn fastapi_sse:app
"""

import gc
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from ragweave import Graph

graph = Graph.load(Path(__file__).with_name("help.yaml"), turns="interrupt")


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
    async with aclosing(graph.chat(**turn.model_dump())) as pieces:  # a client that goes away ends its run
        async for piece in pieces:
            yield piece.sse()


@app.post("/chat")
async def chat(turn: Turn) -> StreamingResponse:
    return StreamingResponse(answered(turn), media_type="text/event-stream")
