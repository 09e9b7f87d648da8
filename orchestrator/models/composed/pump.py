"""A model's reply that arrives by itself, for any number of readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from ragweave.orchestrator.contracts import ChatChunk
from ragweave.orchestrator.errors import ModelError


class Pump:
    """Runs a stream in a task of its own and keeps what comes. Whoever makes one has to `stop` it."""

    def __init__(self, stream: AsyncGenerator[ChatChunk, None]) -> None:
        self.kept: list[ChatChunk] = []
        """What came so far."""
        self.whole = False
        """True once the reply has ended as it should."""
        self.error: Exception | None = None
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when something came, or when nothing will."""
        self.readers = 0
        """How many read it now; kept by them."""
        self._ended = False
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run(stream))

    async def read(self) -> AsyncGenerator[ChatChunk, None]:
        """The reply from its start, as it comes. Raises what the stream raised."""
        at = 0
        while True:
            while at < len(self.kept):
                yield self.kept[at]
                at += 1
            if self.error is not None:
                raise self.error
            if self.whole:
                return
            if self._ended:
                raise ModelError("the call was cancelled in mid-reply", transient=True)
            await self._news.wait()

    async def stop(self) -> None:
        """End the call if it has not ended; returns when nothing of it is left."""
        if not self._task.done():
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self, stream: AsyncGenerator[ChatChunk, None]) -> None:
        try:
            async with aclosing(stream) as chunks:
                async for chunk in chunks:
                    self.kept.append(chunk)
                    self._tell()
            self.whole = True
        except Exception as error:
            self.error = error
        finally:
            self._ended = True
            self._tell()

    def _tell(self) -> None:
        if not self.begun.done():
            self.begun.set_result(None)
        news, self._news = self._news, asyncio.Event()
        news.set()
