"""Runs of one conversation go one after the other (R23), whichever event loop they run in."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ThreadQueues:
    """First come, first served, for each thread id. Waiting costs nothing but a future."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]]] = {}

    @asynccontextmanager
    async def turn(self, thread_id: str) -> AsyncIterator[None]:
        """Inside, no other run of this thread goes on. An empty id is no thread: nothing waits."""
        if not thread_id:
            yield
            return
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[None] | None = None
        with self._lock:
            queue = self._waiting.get(thread_id)
            if queue is None:
                self._waiting[thread_id] = deque()
            else:
                mine = loop.create_future()
                queue.append((loop, mine))
        if mine is not None:
            try:
                await mine
            except asyncio.CancelledError:
                self._give_up(thread_id, mine)
                raise
        try:
            yield
        finally:
            self._next(thread_id)

    def _give_up(self, thread_id: str, mine: asyncio.Future[None]) -> None:
        """A waiting turn was cancelled: leave the queue, or hand on the turn that came at the same moment."""
        with self._lock:
            queue = self._waiting.get(thread_id, deque())
            left = [entry for entry in queue if entry[1] is not mine]
            waiting = len(left) < len(queue)
            queue.clear()
            queue.extend(left)
        if not waiting:
            self._next(thread_id)

    def _next(self, thread_id: str) -> None:
        while True:
            with self._lock:
                queue = self._waiting[thread_id]
                if not queue:
                    del self._waiting[thread_id]
                    return
                loop, future = queue.popleft()
            try:
                loop.call_soon_threadsafe(_wake, future)
            except RuntimeError:  # that event loop is closed: its turn is nobody's
                continue
            return


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
