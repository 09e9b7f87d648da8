"""A chat page by Chainlit: tokens as they come, sources beside the answer, each chat a conversation.

chainlit run chainlit_app.py
"""

from contextlib import aclosing
from pathlib import Path

import chainlit as cl

from ragweave import Graph

graph = Graph.load(Path(__file__).with_name("help.yaml"), turns="interrupt")


@cl.on_app_startup
async def warm_up() -> None:
    await graph.awarm_up()


@cl.on_app_shutdown
async def close() -> None:
    await graph.aclose()


@cl.on_message
async def answer(question: cl.Message) -> None:
    shown = cl.Message("")
    async with aclosing(graph.chat(question=question.content, thread_id=cl.context.session.thread_id)) as pieces:
        async for piece in pieces:
            if piece.kind == "token":
                await shown.stream_token(piece.text)
            else:  # in place of what was streamed
                shown.content = piece.text
                shown.elements = [
                    cl.Text(name=f"[{one.number}] {one.title}", content=one.quote, display="inline")
                    for one in piece.sources
                ]
                await shown.send()


@cl.on_chat_end
async def leave() -> None:
    await graph.cancel(thread_id=cl.context.session.thread_id)  # a page that is closed ends its run
