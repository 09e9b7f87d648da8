"""A chat page by Gradio: tokens as they come, the sources below the answer, each open page a conversation.

uvicorn gradio_app:app
"""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI

from ragweave import Graph

graph = Graph.load(Path(__file__).with_name("help.yaml"), turns="interrupt")


@asynccontextmanager
async def life(app: FastAPI) -> AsyncIterator[None]:
    async with graph, graph.watch():
        await graph.awarm_up()
        yield


async def answer(question: str, history: list[Any], request: gr.Request) -> AsyncIterator[str]:
    text = ""
    async with aclosing(graph.chat(question=question, thread_id=request.session_hash)) as pieces:
        async for piece in pieces:
            text = text + piece.text if piece.kind == "token" else piece.text
            yield text + "".join(f"\n\n> [{one.number}] {one.title}: {one.quote}" for one in piece.sources)


async def leave(request: gr.Request) -> None:
    await graph.cancel(thread_id=request.session_hash)  # a page that is closed ends its run


with gr.ChatInterface(answer, title="Lamps", concurrency_limit=None, analytics_enabled=False) as page:
    page.unload(leave)

app = gr.mount_gradio_app(FastAPI(lifespan=life), page, path="/")
