"""A chat over a plain WebSocket: questions come as text, pieces of answers go as JSON; a connection is a conversation.

python websocket.py [PORT]
"""

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from ragweave import Graph

graph = Graph.load(Path(__file__).with_name("help.yaml"), turns="interrupt")


async def answer(socket: ServerConnection, question: str) -> None:
    async with aclosing(graph.chat(question=question, thread_id=str(socket.id))) as pieces:
        async for piece in pieces:
            await socket.send(piece.json())


async def talk(socket: ServerConnection) -> None:
    try:
        async with asyncio.TaskGroup() as answers:
            while True:
                question = str(await socket.recv())
                answers.create_task(answer(socket, question))
    except* ConnectionClosed:  # a client that goes away ends its runs
        pass


async def main(port: int) -> None:
    async with graph, graph.watch(), serve(talk, "127.0.0.1", port) as server:
        await graph.awarm_up()
        print(f"listening on ws://127.0.0.1:{port}")
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765))
