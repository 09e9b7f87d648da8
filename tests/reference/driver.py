"""Runs the real engine and the reference interpreter side by side, call by call, in a given schedule."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from ragweave.orchestrator.errors import RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.running.fold import Snapshot, due, fold
from tests.reference.files import STAGE, file_of
from tests.reference.interpreter import Call, Outcome, Picker, Run, Script
from tests.reference.shapes import Facts
from tests.reference.sketch import END, Sketch

PATIENCE = 200
"""How many turns of the event loop the engine gets to start what is due."""


class Puppets:
    """A Stage on which every call waits until it is told how it ends."""

    def __init__(self, sketch: Sketch) -> None:
        self.sketch = sketch
        self.visits: dict[str, int] = {}
        self.waiting: dict[str, asyncio.Future[Call]] = {}
        self.seen: dict[tuple[str, int], dict[str, Any]] = {}
        self.cancelled: list[str] = []

    async def call(self, name: str, seen: dict[str, Any]) -> dict[str, Any]:
        """Wait for the word, then write what the call writes, or fail."""
        visit = self.visits[name] = self.visits.get(name, 0) + 1
        self.seen[name, visit] = seen
        assert name not in self.waiting, f"{name} is called twice at once"
        self.waiting[name] = asyncio.get_running_loop().create_future()
        try:
            call = await self.waiting[name]
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        finally:
            del self.waiting[name]
        if call.fails:
            raise RuntimeError("scripted")
        step = self.sketch.steps[name]
        keys = [*step.writes, *(key for key in step.maybe if key not in call.absent)]
        writes: dict[str, Any] = {key: [f"{name}#{visit}.{key}"] for key in keys}
        if len(step.ways) > 1:
            writes[f"hold_{name}"] = list(call.holds)
        return writes


class Mismatch(AssertionError):
    """Engine and reference disagree."""


async def side_by_side(sketch: Sketch, graph: Graph, script: Script, pick: Picker) -> Outcome:
    """Run both to the end. Raises Mismatch where they differ: in what runs, in what it sees, in what comes out."""
    puppets = Puppets(sketch)
    token = STAGE.set(puppets)
    try:
        inputs: dict[str, Any] = {key: [f"start.{key}"] for key in sketch.inputs}
        task = asyncio.ensure_future(graph.arun(**inputs))
    finally:
        STAGE.reset(token)
    reference = Run(sketch)
    try:
        while not reference.done:
            await _settle(puppets, reference, task)
            names = list(reference.running)
            name = names[pick(names)]
            call = script(name, reference.visits[name])
            reference.finish(name, call)
            puppets.waiting[name].set_result(call)
            await asyncio.sleep(0)
        await _compare_ends(puppets, reference, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    _compare_reads(puppets, reference)
    await _compare_journal(sketch, graph, script)
    return reference.outcome


async def _settle(puppets: Puppets, reference: Run, task: asyncio.Future[Any]) -> None:
    """Let the engine start what is due, and no more than that."""
    for _ in range(PATIENCE):
        if set(puppets.waiting) == set(reference.running) or task.done():
            break
        await asyncio.sleep(0)
    for _ in range(3):
        await asyncio.sleep(0)
    if set(puppets.waiting) != set(reference.running) or task.done():
        ended = f"; the engine ended: {task.exception() or task.result()}" if task.done() else ""
        raise Mismatch(f"running are {sorted(puppets.waiting)}, should be {sorted(reference.running)}{ended}")
    for name in reference.running:
        if puppets.visits[name] != reference.visits[name]:
            raise Mismatch(f"{name} is at visit {puppets.visits[name]}, should be at {reference.visits[name]}")


async def _compare_ends(puppets: Puppets, reference: Run, task: asyncio.Future[Any]) -> None:
    outcome = reference.outcome
    try:
        result = await asyncio.wait_for(asyncio.shield(task), 60)
    except RunError as error:
        if outcome.failed is None or error.path != outcome.failed:
            raise Mismatch(f"the engine failed at {error.path}: {error}") from error
        if set(puppets.cancelled) != set(reference.running):
            raise Mismatch(f"cancelled are {puppets.cancelled}, should be {sorted(reference.running)}") from error
        return
    if outcome.failed is not None or outcome.outputs is None:
        raise Mismatch(f"the engine ended well, should have failed at {outcome.failed}")
    got = {key: _tokens(value) for key, value in result.outputs.items()}
    want = {key: _shown(key, values) for key, values in outcome.outputs.items()}
    if got != want:
        raise Mismatch(f"outputs are {got}, should be {want}")


def _compare_reads(puppets: Puppets, reference: Run) -> None:
    outcome = reference.outcome
    calls = {call for call in outcome.seen if call[0] in reference.sketch.steps}
    if set(puppets.seen) != calls:
        raise Mismatch(f"calls are {sorted(puppets.seen)}, should be {sorted(calls)}")
    for (name, visit), seen in puppets.seen.items():
        step = reference.sketch.steps[name]
        state = outcome.seen[name, visit]
        want = {key: _shown(key, state[key]) for key in (*step.reads, *step.wants) if key in state}
        got = {key: _tokens(value) for key, value in seen.items()}
        if got != want:
            raise Mismatch(f"{name}#{visit} saw {got}, should have seen {want}")


async def _compare_journal(sketch: Sketch, graph: Graph, script: Script) -> None:
    """Fold the journal of the newest run: after every event the same calls are due as in the reference."""
    record = (await graph.store.runs())[-1]
    reference = Run(sketch)
    snapshot = Snapshot(graph.plan)
    for event in await graph.store.events(record.run_id):
        snapshot = fold(snapshot, event)
        if event.kind == "finished":
            reference.finish(event.node, script(event.node, event.visit))
        expected = sorted(f"{name}#{reference.visits[name]}" for name in reference.running)
        if event.kind in ("run_started", "finished") and due(snapshot) != expected:
            raise Mismatch(f"after {event!r} due are {due(snapshot)}, should be {expected}")


def _shown(key: str, values: tuple[str, ...]) -> tuple[str, ...]:
    return values[:1] if key == "error" else values


def _tokens(value: Any) -> tuple[str, ...]:
    """Failures as the reference names them, lists as they are."""
    return (f"{value.node}.error",) if hasattr(value, "node") else tuple(value)


def graph_of(sketch: Sketch) -> Graph:
    """The sketch as a real graph, checked. Raises GraphError."""
    return Graph.parse(file_of(sketch))


def reading_everything(sketch: Sketch) -> Sketch:
    """The same graph with all nodes reading all there is, and a merge for each key: nothing of a state stays unseen."""
    steps = {name: replace(step, reads=(), wants=sketch.keys) for name, step in sketch.steps.items()}
    definite = Facts(sketch).definite(END)
    return replace(sketch, steps=steps, merges=frozenset(sketch.keys) - sketch.logs, outputs=definite)
