"""A chat over a plain WebSocket: questions come as text, events go as JSON; each connection is a conversation.

python websocket.py [PORT]
"""

import asyncio
import json
import sys
from contextlib import aclosing
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from ragweave import Graph, RagweaveError

graph = Graph.load(Path(__file__).parent / "help.yaml", turns="interrupt")


async def answer(socket: ServerConnection, question: str) -> None:
    try:
        async with aclosing(graph.stream(question=question, thread_id=str(socket.id))) as events:
            async for event in events:
                if event.kind == "token":
                    await socket.send(json.dumps({"kind": "token", "text": event.text}))
                elif event.kind == "reset":  # what was streamed is tried again: clear it
                    await socket.send(json.dumps({"kind": "reset"}))
                elif event.kind == "run_done":
                    await socket.send(json.dumps({"kind": "answer", "text": str(event.data["result"]["answer"])}))
    except RagweaveError as error:  # also that a newer question took over
        await socket.send(json.dumps({"kind": "error", "message": str(error)}))


async def talk(socket: ServerConnection) -> None:
    turns: set[asyncio.Task[None]] = set()
    try:
        async for question in socket:
            turns.add(turn := asyncio.create_task(answer(socket, str(question))))
            turn.add_done_callback(turns.discard)
    except ConnectionClosed:
        pass  # without a goodbye
    finally:
        for turn in turns:  # a client that goes away ends its runs
            turn.cancel()


async def main(port: int) -> None:
    async with graph, graph.watch(), serve(talk, "127.0.0.1", port) as server:
        await graph.awarm_up()
        print(f"listening on ws://127.0.0.1:{port}")
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765))
