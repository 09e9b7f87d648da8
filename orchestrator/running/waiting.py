"""Waiting that a cancel cannot break off: what was started is ended before anybody goes on (R18)."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import NodeError
from ragweave.orchestrator.running import run as running
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.pool import pool

T = TypeVar("T")


async def uninterrupted(work: Awaitable[T]) -> T:
    """Wait for something to its end; a cancel that comes meanwhile is raised after it."""
    task = asyncio.ensure_future(work)
    cancelled = await _ended({task}, None)
    if cancelled is not None:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()


async def stop(tasks: Sequence[asyncio.Future[Any]], ctx: Context) -> None:
    """Cancel calls and wait until they have ended; one that ignores it is abandoned after the grace and reported."""
    for task in tasks:
        task.cancel()
    pending = {task for task in tasks if not task.done()}
    clock = asyncio.get_running_loop().time
    since, cancelled = clock(), None
    while pending:
        # An effect among these calls may extend the grace while we wait.
        grace = ctx.run.patience(ctx.frame, call=True) if ctx.run is not None else running.GRACE
        left = since + grace - clock()
        if left <= 0:
            break
        cancelled = await _ended(pending, left) or cancelled
        pending = {task for task in pending if not task.done()}
    for task in tasks:
        task.add_done_callback(_look_at)
    if pending and ctx.run is not None:
        data = {"calls": len(pending)}
        ctx.run.journal(Event("abandoned", ctx.frame, ctx.node, ctx.visit, data, ctx.item, ctx.member))
        if ctx.run.budgets is not None:
            ctx.run.budgets.abandoned(ctx.path)
    if cancelled is not None:
        raise cancelled


async def in_thread(function: Callable[..., Any], keywords: Mapping[str, Any]) -> Any:
    """A blocking call in a worker thread. It cannot be cancelled: a cancel waits for it, and what it gives counts."""
    claim = threading.Lock()  # whoever gets it first: the thread, to run, or a cancel, to let it not begin
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def work() -> None:
        result: Any = None
        failure: BaseException | None = None
        if claim.acquire(blocking=False):
            try:
                result = context.run(function, **keywords)
            except StopIteration as error:  # no future can carry it
                failure = NodeError("it raised StopIteration")
                failure.__cause__ = error
            except BaseException as error:
                failure = error
        with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody waits
            loop.call_soon_threadsafe(_deliver, future, result, failure)

    pool().submit(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if claim.acquire(blocking=False):
            raise
        await asyncio.wait({future})
        return future.result()


def _deliver(future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)


def cancelled_from_outside() -> bool:
    """True if the task that asks was cancelled: then nothing may start any more, whatever a call made of its cancel."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def failure_of(shown: str, error: BaseException) -> Exception:
    """What a call raised, as the failure of its node. Raises it again if it means more: a cancel, Ctrl-C."""
    if isinstance(error, Exception):
        return error
    if isinstance(error, asyncio.CancelledError) and not cancelled_from_outside():
        return NodeError(f"{shown} was cancelled, but not by its run")
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)):
        raise error
    return NodeError(f"{shown} raised {type(error).__name__}: {error}")


async def _ended(tasks: Iterable[asyncio.Future[Any]], seconds: float | None) -> asyncio.CancelledError | None:
    """Wait until all are done or the time is up. Gives the cancel that came meanwhile instead of raising it."""
    clock = asyncio.get_running_loop().time
    until = clock() + seconds if seconds is not None else None
    cancelled = None
    pending = {task for task in tasks if not task.done()}
    while pending:
        left = until - clock() if until is not None else None
        if left is not None and left <= 0:
            break
        try:
            _, pending = await asyncio.wait(pending, timeout=left)
        except asyncio.CancelledError as error:
            cancelled = error
            pending = {task for task in pending if not task.done()}
    return cancelled


def _look_at(task: asyncio.Future[Any]) -> None:
    """An error that nobody waits for any longer is no error of the program."""
    if not task.cancelled():
        task.exception()
