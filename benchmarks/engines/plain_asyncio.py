"""The lower limit: the same work in plain asyncio, with no engine at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from protocol import MESSAGE, SKEWED_MS, TOKEN, Call, Stream

IMPORT = "import asyncio"
PACKAGES: tuple[str, ...] = ()
UNSUPPORTED = {"load1000": "nothing to load"}


async def _inc(n: int) -> int:
    return n + 1


def chain(length: int) -> Call:
    """One await per node."""

    async def call() -> int:
        n = 0
        for _ in range(length):
            n = await _inc(n)
        return n

    return call


def fanout(width: int) -> Call:
    """One task per branch, joined by `gather`."""

    async def call() -> int:
        return sum(await asyncio.gather(*(_inc(0) for _ in range(width))))

    return call


def loop(times: int) -> Call:
    """A `while` around one await."""

    async def call() -> int:
        n = 0
        while n < times:
            n = await _inc(n)
        return n

    return call


def skewed() -> Call:
    """One task per branch."""

    async def branch(steps: tuple[int, ...]) -> int:
        for step in steps:
            await asyncio.sleep(step / 1000)
        return len(steps)

    async def call() -> int:
        return sum(await asyncio.gather(*(branch(steps) for steps in SKEWED_MS)))

    return call


def messages(already: int, nodes: int) -> Call:
    """Appends to one list, which is cut back for the next request."""
    chat = [{"role": "user", "content": MESSAGE} for _ in range(already)]

    async def append(chat: list[dict[str, str]]) -> None:
        chat.append({"role": "user", "content": f"{len(chat)}{MESSAGE}"})

    async def call() -> int:
        del chat[already:]
        for _ in range(nodes):
            await append(chat)
        return len(chat)

    return call


def stream(apart: bool) -> Stream:
    """A producer task and a queue: what an engine that streams cannot do without."""

    async def tokens(count: int) -> AsyncIterator[str]:
        queue: asyncio.Queue[str | None] = asyncio.Queue()

        async def produce() -> None:
            for _ in range(count):
                if apart:
                    await asyncio.sleep(0)
                queue.put_nowait(TOKEN)
            queue.put_nowait(None)

        producer = asyncio.create_task(produce())
        while (token := await queue.get()) is not None:
            yield token
        await producer

    return tokens
