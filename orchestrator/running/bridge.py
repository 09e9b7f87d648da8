"""The one way from sync code into async code: a thread with an event loop, started at its first use."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

from ragweave.orchestrator.errors import RagweaveError
from ragweave.orchestrator.running.pool import pool

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None


def wait_for(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the bridge's event loop and wait for it. Ctrl-C cancels it and waits until it has ended; a
    second one does not wait. Raises RagweaveError where waiting would wait for itself."""
    loop = _running_loop()
    if threading.current_thread() is _thread:
        coroutine.close()
        raise RagweaveError(
            "a sync call was made on the event loop that is to do its work",
            hint="within an async node, await arun, aresume, abatch or stream",
        )
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    with pool().lent():
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                concurrent.futures.wait([future])
            raise


async def elsewhere(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the bridge's event loop and wait for it from another; a caller that goes away cancels it."""
    loop = _running_loop()
    if asyncio.get_running_loop() is loop:
        return await coroutine
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))


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
        if close is not None and threading.current_thread() is not _thread:
            wait_for(_closed(close))
        elif close is not None and _loop is not None:  # collected as garbage while that loop was at work
            _loop.create_task(_closed(close))


async def _following(events: AsyncIterator[T]) -> T:
    return await anext(events)


async def _closed(close: Any) -> None:
    await close()


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop, _thread
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_run, args=(_loop,), name="ragweave", daemon=True)
            _thread.start()
        return _loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run for ever: a KeyboardInterrupt that some call raises here ends its run, not those of all others."""
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            loop.run_forever()


def _forget() -> None:
    """A forked child has the loop but not its thread: it makes its own."""
    global _loop, _thread, _lock
    _loop, _thread, _lock = None, None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
