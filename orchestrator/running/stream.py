"""The queue between a run and whoever listens: bounded, so that a slow reader slows the run and not the memory."""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Generator

from ragweave.orchestrator.running.events import Event

CAPACITY = 256


@types.coroutine
def _turn() -> Generator[None, None, None]:
    """One turn of the event loop: `asyncio.sleep(0)` without the coroutine around it."""
    yield


class Sink:
    """Events in order. `put` waits while the queue is full; `pop` takes one, `more` waits for one."""

    __slots__ = ("_closed", "_events", "_reader", "_writers", "held")

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._writers: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self.held = False
        """True while nothing is shown: what comes may still turn out not to count."""

    def hold(self) -> None:
        """Begin anew, and show nothing until `release`."""
        self._events.clear()
        self.held = True
        while self._writers:
            self._wake_one()

    def release(self) -> None:
        """Show what is there, and what comes."""
        self.held = False
        if self._events and self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def put(self, event: Event) -> None:
        """Add an event; while the reader is behind, wait for it."""
        while len(self._events) >= CAPACITY and not self._closed:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._writers.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                self._pass_on(waiter)
                raise
        if self._closed:
            await asyncio.sleep(0)  # nobody reads: let the cancel in that follows
        self.push(event)

    def push_if_room(self, event: Event) -> bool:
        """Add an event if there is room for it and somebody who reads; else False."""
        if self._closed or len(self._events) >= CAPACITY:
            return False
        self.push(event)
        return True

    def push(self, event: Event) -> None:
        """Add an event without waiting, for those that are few and must not be late."""
        if self._closed:
            return
        self._events.append(event)
        if self._reader is not None and not self._reader.done() and not self.held:
            self._reader.set_result(None)

    def pop(self) -> Event | None:
        """The next event, or None if there is none yet."""
        if not self._events or self.held:
            return None
        event = self._events.popleft()
        if self._writers and len(self._events) < CAPACITY:
            self._wake_one()
        return event

    async def more(self) -> bool:
        """Wait for an event; False once the stream has ended and everything was taken."""
        if not self._closed:
            # One turn of the event loop costs less than a future, and a run that streams has often made the next event.
            await _turn()
        while not self._events or self.held:
            if self._closed:
                return False
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return True

    def close(self) -> None:
        """No more events will come: what is there can still be taken, and nobody waits any longer."""
        self._closed, self.held = True, False
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
        while self._writers:
            waiter = self._writers.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _pass_on(self, waiter: asyncio.Future[None]) -> None:
        """A writer that was woken and cancelled at once hands its turn to the next."""
        if waiter.done() and not waiter.cancelled():
            self._wake_one()

    def _wake_one(self) -> None:
        """Give a free place to the writer that has waited longest; those that were cancelled do not wait any more."""
        while self._writers:
            waiter = self._writers.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
