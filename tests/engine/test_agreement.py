"""The engine against the reference interpreter, at length. `tests/reference` does the same for a few seconds."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.reference.driver import reading_everything
from tests.reference.files import probes
from tests.reference.graphs import shape, with_writes
from tests.reference.test_engine import compare


async def agree(seeds: range, size: int) -> None:
    """Random graphs, each in a few schedules. An error tells its seed."""
    for seed in seeds:
        random = Random(seed)
        try:
            await compare(random, reading_everything(with_writes(random, shape(random, size))), runs=4)
        except Exception as error:
            error.add_note(f"seed {seed}, size {size}")
            raise


@pytest.mark.parametrize("size", [4, 14])
def test_engine_and_reference_agree_on_small_and_on_large_graphs(size: int) -> None:
    with probes():
        asyncio.run(agree(range(100_000, 100_060), size))


@pytest.mark.long
@pytest.mark.parametrize("size", [5, 8, 12, 20])
def test_engine_and_reference_agree_on_thousands_of_graphs(size: int) -> None:
    with probes():
        asyncio.run(agree(range(200_000, 202_500), size))
