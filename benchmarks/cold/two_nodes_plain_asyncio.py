"""Two awaits in a fresh process."""

import asyncio


async def inc(n: int) -> int:
    """Add one."""
    return n + 1


async def main() -> int:
    """Two nodes."""
    return await inc(await inc(0))


print(asyncio.run(main()))
