"""Many calls, so many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ragweave.orchestrator.errors import InputError

T = TypeVar("T")
R = TypeVar("R")


def refuse_none_at_once(max_concurrency: int) -> None:
    """Raise InputError if nothing would ever be called."""
    if max_concurrency < 1:
        raise InputError(f"max_concurrency is {max_concurrency}; it takes 1 at least")


async def call_each(call: Callable[[T], Awaitable[R]], items: Sequence[T], *, max_concurrency: int) -> list[R]:
    """What `call` gives for each item, in the order of the items. The first error ends the others, and is raised."""
    results: dict[int, R] = {}
    waiting = iter(enumerate(items))

    async def work() -> None:
        for at, item in waiting:
            results[at] = await call(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(max_concurrency, len(items))):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [results[at] for at in range(len(items))]
