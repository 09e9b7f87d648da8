"""The one way from sync code into async code: a thread with an event loop, started at its first use."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def wait_for(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the bridge's event loop and wait for it. Ctrl-C cancels it and waits until it has ended."""
    future = asyncio.run_coroutine_threadsafe(coroutine, _running_loop())
    try:
        return future.result()
    except BaseException:
        if not future.done():
            future.cancel()
            concurrent.futures.wait([future], timeout=10.0)
        raise


def iterate(events: AsyncIterator[T]) -> Iterator[T]:
    """An async iterator, read from sync code; closed when the reader stops."""
    try:
        while True:
            try:
                yield wait_for(_following(events))
            except StopAsyncIteration:
                return
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            wait_for(_closed(close))


async def _following(events: AsyncIterator[T]) -> T:
    return await anext(events)


async def _closed(close: Any) -> None:
    await close()


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="ragweave", daemon=True).start()
        return _loop


def _forget() -> None:
    """A forked child has the loop but not its thread: it makes its own."""
    global _loop, _lock
    _loop, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
