"""The same at length: `make test-long`."""

from __future__ import annotations

from random import Random

import pytest

from tests.checker.kinds import kinds
from tests.checker.mutation import random_graphs, table_of
from tests.checker.test_mutation import check_rows
from tests.reference.driver import reading_everything
from tests.reference.graphs import shape, with_writes
from tests.reference.test_engine import compare
from tests.reference.test_soundness import check_one

pytestmark = pytest.mark.long


def test_no_run_contradicts_the_checker() -> None:
    for seed in range(10_000, 30_000):
        check_one(Random(seed))


async def test_the_engine_does_what_the_reference_does() -> None:
    for seed in range(10_000, 20_000):
        random = Random(seed)
        await compare(random, reading_everything(with_writes(random, shape(random, 10))))


def test_mutants_of_two_hundred_random_graphs() -> None:
    with kinds():
        check_rows(table_of(random_graphs(200)))
