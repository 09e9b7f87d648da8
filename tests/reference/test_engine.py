"""The engine against the reference: walker, ledger and fold on random graphs, scripts and schedules."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.errors import GraphError
from tests.reference import cases
from tests.reference.driver import graph_of, reading_everything, side_by_side
from tests.reference.graphs import random_pick, random_script, shape, with_writes
from tests.reference.interpreter import Call, Script, last_running, scripted
from tests.reference.sketch import Sketch
from tests.reference.test_conformance import passing_at
from tests.reference.test_soundness import wired


async def compare(random: Random, sketch: Sketch, runs: int = 3, failing: float = 0.3) -> None:
    """A few runs of one graph, each in a schedule of its own."""
    graph = graph_of(sketch)
    for _ in range(runs):
        script = random_script(random.randrange(10**6), sketch, failing)
        await side_by_side(sketch, graph, script, random_pick(random.randrange(10**6)))


async def test_the_engine_does_what_the_reference_does() -> None:
    for seed in range(300):
        random = Random(seed)
        await compare(random, reading_everything(with_writes(random, shape(random, 8))))


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
async def test_the_engine_does_what_the_reference_does_on_any_graph(random: Random) -> None:
    await compare(random, reading_everything(with_writes(random, shape(random, 8))), runs=2)


async def test_nodes_that_read_little_run_the_same_by_the_short_way() -> None:
    ran = 0
    for seed in range(300):
        random = Random(seed)
        sketch = wired(random)
        try:
            await compare(random, sketch, runs=2)
            ran += 1
        except GraphError:
            continue
    assert ran > 80


async def test_a_failure_without_on_error_ends_both() -> None:
    for seed in range(150):
        random = Random(seed)
        sketch = reading_everything(with_writes(random, shape(random, 8)))
        victim = random.choice(list(sketch.steps))
        calm = random_script(seed, sketch, 0.0)
        calm_sketch = replace(sketch, steps={**sketch.steps, victim: replace(sketch.steps[victim], on_error=None)})
        if calm_sketch.faults():
            continue

        def script(name: str, visit: int, victim: str = victim, calm: Script = calm) -> Call:
            return replace(calm(name, visit), fails=name == victim)

        await side_by_side(calm_sketch, graph_of(calm_sketch), script, random_pick(seed))


@pytest.mark.parametrize(
    ("sketch", "script"),
    [
        (cases.COOKBOOK, passing_at(2)),
        (cases.COOKBOOK, passing_at(99)),
        (cases.COOKBOOK, scripted({})),
        (cases.C2, scripted({}, Call(holds=(cases.YES,) * 3))),
        (cases.C3, scripted(cases.C3_CALLS)),
        (cases.C5_EITHER, scripted({}, Call(holds=(cases.NO,)))),
        (cases.C6, scripted({})),
        (cases.c7(frozenset({"k"})), scripted({})),
        (cases.c8(header_writes=False), scripted({}, Call(holds=(cases.YES,)))),
        (cases.c8(header_writes=True, merges=frozenset({"k"})), scripted({}, Call(holds=(cases.YES,)))),
        (cases.C9, scripted({})),
        (cases.C11, scripted({("a", 1): Call(fails=True)})),
    ],
)
async def test_conformance_cases_in_the_engine(sketch: Sketch, script: Script) -> None:
    await side_by_side(sketch, graph_of(sketch), script, last_running)
