"""A run is its journal: folded, it says what is going on; resumed from any prefix, it comes to the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node, node_type
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.fold import due, fold_all, standing
from ragweave.orchestrator.running.state import Write
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.values import Ask
from tests.engine.steps import Calls, N, R, ask, build, idle, routes, writes
from tests.reference.driver import Puppets, graph_of, reading_everything
from tests.reference.files import STAGE, probes
from tests.reference.graphs import random_script, shape, with_writes
from tests.reference.interpreter import Call, Script
from tests.reference.sketch import Sketch

Finished = dict[str, tuple[Mapping[str, Any], int, int]]


class Actors:
    """A Stage whose calls end by themselves, each after a few turns of the event loop."""

    def __init__(self, sketch: Sketch, script: Script, random: Random, before: Finished) -> None:
        self.sketch, self.script, self.random = sketch, script, random
        self.visits: dict[str, int] = {}
        for path in before:
            name, visit = path.split("#")
            self.visits[name] = max(self.visits.get(name, 0), int(visit))
        self.seen: dict[str, dict[str, Any]] = {}

    async def call(self, name: str, seen: dict[str, Any]) -> dict[str, Any]:
        """What the script says."""
        visit = self.visits[name] = self.visits.get(name, 0) + 1
        self.seen[f"{name}#{visit}"] = {key: getattr(value, "node", None) or list(value) for key, value in seen.items()}
        for _ in range(self.random.randrange(3)):
            await asyncio.sleep(0)
        return played(self.sketch, name, visit, self.script(name, visit))


def played(sketch: Sketch, name: str, visit: int, call: Call) -> dict[str, Any]:
    """What a call writes; raises if it fails."""
    if call.fails:
        raise RuntimeError("scripted")
    step = sketch.steps[name]
    keys = [*step.writes, *(key for key in step.maybe if key not in call.absent)]
    writes: dict[str, Any] = {key: [f"{name}#{visit}.{key}"] for key in keys}
    if len(step.ways) > 1:
        writes[f"hold_{name}"] = list(call.holds)
    return writes


def inputs_of(sketch: Sketch) -> dict[str, Any]:
    return {key: [f"start.{key}"] for key in sketch.inputs}


def finished(journal: list[Event]) -> Finished:
    return {event.path: (event.data, event.route, event.origin) for event in journal if event.kind == "finished"}


async def put(graph: Graph, run_id: str, journal: list[Event]) -> None:
    """A run that was killed after these events."""
    await graph.store.begin(RunRecord(run_id, "", graph.name, "running"))
    for event in journal:
        graph.store.writer(run_id)(event.record())


async def every_prefix(random: Random) -> None:
    """One graph, one script: the whole run, and the run resumed after each of its events."""
    sketch = reading_everything(with_writes(random, shape(random, 7)))
    script = random_script(random.randrange(10**6), sketch)
    graph = graph_of(sketch)
    whole = Actors(sketch, script, random, {})
    STAGE.set(whole)
    result = await graph.arun(**inputs_of(sketch))
    journal = list(await graph.store.events(result.run_id))
    for count in range(1, len(journal)):
        before = finished(journal[:count])
        await put(graph, f"prefix {count}", journal[:count])
        actors = Actors(sketch, script, random, before)
        STAGE.set(actors)
        again = await graph.aresume(f"prefix {count}")
        assert not set(actors.seen) & set(before), "what finished ran again"
        assert actors.seen == {path: seen for path, seen in whole.seen.items() if path not in before}
        assert finished(list(await graph.store.events(again.run_id))) == finished(journal)
        assert again.outputs == result.outputs


def many(count: int, start: int = 0) -> None:
    async def all_of_them() -> None:
        for seed in range(start, start + count):
            try:
                await every_prefix(Random(seed))
            except Exception as error:
                error.add_note(f"seed {seed}")
                raise

    with probes():
        asyncio.run(all_of_them())


def test_a_run_killed_after_any_event_comes_to_the_same_and_repeats_nothing() -> None:
    many(300)


@pytest.mark.long
def test_a_run_killed_after_any_event_comes_to_the_same_and_repeats_nothing_at_length() -> None:
    many(5000, 10_000)


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_run_killed_after_any_event_of_any_graph(random: Random) -> None:
    with probes():
        asyncio.run(every_prefix(random))


async def live_against_fold(random: Random) -> None:
    """A run call by call: whenever it rests, its journal says which calls are going on."""
    sketch = reading_everything(with_writes(random, shape(random, 7)))
    script = random_script(random.randrange(10**6), sketch)
    graph = graph_of(sketch)
    puppets = Puppets(sketch)
    STAGE.set(puppets)
    task = asyncio.ensure_future(graph.arun(**inputs_of(sketch)))
    while True:
        for _ in range(30):
            await asyncio.sleep(0)
        run_id = (await graph.runs())[-1].run_id
        snapshot = fold_all(graph.plan, await graph.store.events(run_id))
        assert due(snapshot) == sorted(f"{name}#{puppets.visits[name]}" for name in puppets.waiting)
        if not puppets.waiting:
            break
        assert snapshot.status == "running"
        name = random.choice(sorted(puppets.waiting))
        puppets.waiting[name].set_result(script(name, puppets.visits[name]))
    await task
    assert snapshot.status == "done"
    assert snapshot.frames[""].final is not None


def test_the_journal_says_at_any_time_what_is_going_on() -> None:
    async def all_of_them() -> None:
        for seed in range(150):
            await live_against_fold(Random(seed))

    with probes():
        asyncio.run(all_of_them())


def test_going_on_from_a_snapshot_leaves_the_snapshot_as_it_is() -> None:
    """States that wait at a join belong to the snapshot; whoever goes on with them writes into copies."""
    graph = build(
        {"a": writes("a"), "b": writes("b"), "c": idle, "j": writes("j")},
        "start -> a, b",
        "a -> j",
        routes("b", ("size(k) > 5", "j"), (None, "c")),
        "j, c -> end",
        inputs={},
        outputs=[],
    )
    journal = [Event("run_started", data={"inputs": {}}), Event("finished", "", "a", 1, {"k": ["a"]}, None, 0, 0)]
    snapshot = fold_all(graph.plan, journal)
    steps = {step.name: step for step in graph.plan.steps}
    for _ in range(2):
        ledger, ready = standing(snapshot)[""]
        ((_, state),) = ready
        due_now = dict(ledger.finish(steps["b"], steps["b"].ways[1], state))
        carried = due_now[steps["j"].index]
        assert carried["k"].value == ["a"]  # type: ignore[union-attr]
        carried["k"] = Write(["overwritten"], 0)


INNER = """
schema: ragweave/v1
inputs: {n: int}
outputs: [n]
nodes:
  first: {type: t_count}
  ship: {type: t_effect}
  third: {type: t_count}
edges:
  - start -> first -> ship -> third
  - {from: third, routes: [{when: n < 6, to: first, max_iterations: 2}, {to: end}]}
"""


class Sum(TypedDict):
    total: int


def rich(folder: Path, calls: Calls) -> Graph:
    """A graph with all that a journal knows of: items, members, effects, Asks, nested graphs, loops, errors."""

    async def count(n: int, ctx: Context) -> N:
        calls[ctx.path] += 1
        await asyncio.sleep(0)
        return {"n": n + 1}

    async def item(item: int, ctx: Context) -> R | Ask:
        calls[ctx.path] += 1
        await asyncio.sleep(0)
        if item == 2 and not ctx.answers:
            return ask("two?")
        return {"r": f"{item}{''.join(ctx.answers)}"}

    async def broken(n: int, ctx: Context) -> Sum:
        calls[ctx.path] += 1
        raise ValueError("broken")

    async def spare(n: int, ctx: Context) -> Sum | Ask:
        calls[ctx.path] += 1
        return {"total": n + len(ctx.answers)} if ctx.answers else ask("spare?")

    (folder / "inner.yaml").write_text(INNER)
    node(name="t_count")(count)
    node(name="t_effect", effects="external")(count)
    inner = {"type": "graph", "path": str(folder / "inner.yaml")}
    return build(
        {
            "a": count,
            "m": {"type": item, "map": {"over": "items", "as": "item", "max_concurrency": 2}},
            "g": {**inner, "reads": {"n": "n"}, "writes": {"n": "g"}},
            "gs": {**inner, "map": {"over": "items", "as": "n"}, "writes": {"n": "gs"}},
            "f": {"type": broken, "fallback": [{"type": spare}]},
            "pay": {"type": node_type(count, effects="external"), "writes": {"n": "paid"}},
            "e": {"type": broken, "on_error": "h", "writes": {"total": "never"}},
            "h": {"type": count, "writes": {"n": "h"}},
            "j": {"type": count, "reads": {"n": "paid"}, "writes": {"n": "j"}},
        },
        "start -> a -> m, g, gs, f, pay, e",
        "e -> j",
        "m, g, gs, f, pay, h -> j",
        "j -> end",
        inputs={"n": "int", "items": "list[int]"},
        outputs=["r", "g", "gs", "total", "paid", "j"],
    )


async def to_the_end(graph: Graph, result: Any) -> Any:
    while result.status == "parked":
        answers = {path: "repeat" if path.endswith("!") else "ok" for path in result.asks}
        result = await graph.aresume(result.run_id, answers=answers)
    return result


async def test_a_run_with_everything_in_it_goes_on_from_any_event(tmp_path: Path) -> None:
    calls = Calls()
    with registry.scope():
        graph = rich(tmp_path, calls)
        whole = await to_the_end(graph, await graph.arun(n=0, items=[1, 2, 3]))
        assert whole["r"] == ["1", "2ok", "3"]
        journal = list(await graph.store.events(whole.run_id))
        assert {"item", "asked", "answered", "entered", "effect_started", "effect_finished"} <= {
            e.kind for e in journal
        }
        once = {path for path, number in calls.items() if number == 1}
        assert {"g#1/first#1", "g#1/ship#2", "gs#1[2]/third#1", "m#1[0]", "pay#1", "h#1"} <= once
        for count in range(1, len(journal)):
            await put(graph, f"prefix {count}", journal[:count])
            calls.clear()
            again = await to_the_end(graph, await graph.aresume(f"prefix {count}"))
            assert again.outputs == whole.outputs
            before = journal[:count]
            done = set(finished(before)) | {event.path for event in before if event.kind in ("item", "effect_finished")}
            assert not done & set(calls), f"after {journal[count - 1]!r}"
