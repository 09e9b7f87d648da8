"""Talks with a Chainlit server as its page does, in the environment that Chainlit is installed in.

Questions are lines of the input, of which `/stop` presses the button. As JSON lines come the text that the page shows,
again and again, the sources beside it, and at last `done`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from typing import Any

import socketio  # type: ignore[import-not-found]  # it comes with Chainlit, not with ragweave


class Page:
    """One open page: what its socket is told, shown as lines."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient()
        self.text = ""
        for event in ("stream_start", "stream_token", "new_message", "update_message", "element", "task_end"):
            self.client.on(event, getattr(self, event))

    async def open(self, address: str) -> None:
        """Begin a session, as the page does when it is loaded."""
        session = {"sessionId": str(uuid.uuid4()), "clientType": "webapp", "threadId": "", "userEnv": "{}"}
        await self.client.connect(address, socketio_path="/ws/socket.io", transports=["websocket"], auth=session)
        await self.client.emit("connection_successful")

    async def ask(self, question: str) -> None:
        """What Enter does, or the stop button."""
        if question == "/stop":
            await self.client.emit("stop")
            return
        message = {"id": str(uuid.uuid4()), "name": "user", "type": "user_message", "output": question}
        message["createdAt"] = "2026-01-01T00:00:00Z"
        await self.client.emit("client_message", {"message": message, "fileReferences": []})

    async def stream_start(self, message: dict[str, Any]) -> None:
        """An answer begins."""
        self._show(message["output"])

    async def stream_token(self, token: dict[str, Any]) -> None:
        """It goes on."""
        self._show(self.text + token["token"])

    async def new_message(self, message: dict[str, Any]) -> None:
        """A whole message, which may replace what was streamed; steps are shown as messages, too."""
        if message["type"] == "assistant_message":
            self._show(message["output"])

    update_message = new_message

    async def element(self, element: dict[str, Any]) -> None:
        """A source beside the answer."""
        self._tell(kind="source", name=element["name"])

    async def task_end(self, *_: Any) -> None:
        """The page may be typed into."""
        self._tell(kind="done")

    def _show(self, text: str) -> None:
        self.text = text
        self._tell(kind="text", text=text)

    def _tell(self, **data: Any) -> None:
        print(json.dumps(data), flush=True)


async def talk(address: str) -> None:
    """Answer after answer, as one open page."""
    page = Page()
    await page.open(address)
    while question := await asyncio.to_thread(sys.stdin.readline):
        await page.ask(question.strip())
    await page.client.disconnect()


if __name__ == "__main__":
    asyncio.run(talk(sys.argv[1]))
