"""Many calls, so many at a time."""

from __future__ import annotations

import asyncio

import pytest

from ragweave.orchestrator.concurrency import call_each


async def test_what_each_gives_comes_in_order_and_so_many_at_a_time(leaping: None) -> None:
    now = most = 0

    async def call(item: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(10 - item)
        now -= 1
        return 2 * item

    assert await call_each(call, range(10), max_concurrency=3) == [2 * item for item in range(10)]
    assert most == 3
    assert await call_each(call, [], max_concurrency=3) == []


async def test_the_first_error_ends_the_others_and_is_raised_itself(leaping: None) -> None:
    ended: list[int] = []

    async def call(item: int) -> None:
        try:
            await asyncio.sleep(item)
            raise ValueError(f"item {item}")
        except asyncio.CancelledError:
            ended.append(item)
            raise

    with pytest.raises(ValueError, match="item 1"):
        await call_each(call, [3, 1, 2, 4], max_concurrency=3)
    assert sorted(ended) == [2, 3]
