"""Timelines and differences: when what happened, what the run waited for, and where two runs part."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import NodeError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.journals.clock import times_of
from ragweave.orchestrator.journals.diff import MISSING, diff
from ragweave.orchestrator.journals.timeline import timeline
from ragweave.orchestrator.node import node_type
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.values import Ask, Usage
from tests.engine.steps import Calls, M, N, R, ask, build, events, idle, routes
from tests.engine.test_prefixes import rich, to_the_end
from tests.journals.support import Played, durable
from tests.reference.files import probes


async def timed(graph: Graph, run_id: str, seconds: Sequence[float]) -> list[Event]:
    """The journal of a run as if its events had come so many seconds after its start."""
    journal = await events(graph, run_id)
    assert len(journal) == len(seconds), [(event.kind, event.path) for event in journal]
    for event, at in zip(journal, seconds, strict=True):
        event.at = 1000.0 + at
    return journal


async def left(n: int) -> M:
    return {"m": n * 10}


async def right(n: int) -> R:
    return {"r": str(n)}


async def both(m: int, r: str) -> N:
    return {"n": m + int(r)}


def diamond(**more: Any) -> Graph:
    return build({"a": Calls().node("a"), "b": left, "c": right, "j": both}, "start -> a -> b, c -> j -> end", **more)


async def test_calls_begin_when_they_are_due_and_the_run_waits_for_those_that_come_last() -> None:
    graph = diamond()
    result = await graph.arun(n=0)
    order = [event.path for event in await events(graph, result.run_id)]
    assert order == ["", "a#1", "b#1", "c#1", "j#1", ""]
    line = timeline(graph.plan, await timed(graph, result.run_id, [0, 1, 1.5, 4, 4.25, 4.25]))
    spans = {span.path: (span.start, span.end, span.because, span.critical) for span in line.spans}
    assert spans == {
        "a#1": (0, 1, "", True),
        "b#1": (1, 1.5, "a#1", False),
        "c#1": (1, 4, "a#1", True),
        "j#1": (4, 4.25, "c#1", True),
    }
    assert line.critical == ("a#1", "c#1", "j#1")
    assert (line.began, line.seconds, line.stopped, line.status) == (1000, 4.25, 0, "done")
    call = line["j#1"]
    assert (call.reads, call.writes, call.to, call.seconds) == ({"m": 10, "r": "1"}, {"n": 11}, ("end",), 0.25)
    assert (line.inputs, line.outputs) == ({"n": 0}, {"n": 11})
    assert line["b#1"] is line.spans[1]
    with pytest.raises(KeyError, match="b#2"):
        line["b#2"]


async def test_time_in_which_a_run_stands_still_is_no_time_of_its_calls() -> None:
    async def asks(n: int, ctx: Context) -> N | Ask:
        return {"n": n + ctx.answers[0]} if ctx.answers else ask("how many?", "integer")

    graph = build({"a": asks, "b": Calls().node("b")}, "start -> a -> b -> end")
    parked = await graph.arun(n=0)
    await graph.aresume(parked.run_id, answers={"a#1": 5}, by="bo")
    kinds = [event.kind for event in await events(graph, parked.run_id)]
    assert kinds == [
        "run_started", "asked", "run_parked", "run_resumed", "answered", "finished", "finished", "run_done",
    ]  # fmt: skip
    journal = await timed(graph, parked.run_id, [0, 1, 1, 3601, 3601, 3603, 3604, 3604])
    line = timeline(graph.plan, journal)
    assert (line.seconds, line.stopped) == (4, 3600)
    assert (line["a#1"].start, line["a#1"].end, line["b#1"].seconds) == (0, 3, 1)
    (question,) = line["a#1"].questions
    assert (question.path, question.question, question.asked, question.answered, question.answer, question.by) == (
        "a#1", "how many?", 1, 1, 5, "bo",
    )  # fmt: skip
    waits = timeline(graph.plan, journal[:3])
    assert (waits.status, waits["a#1"].status, waits["a#1"].end, waits.critical) == ("parked", "asks", None, ("a#1",))


def test_a_clock_that_is_set_back_stands_still() -> None:
    journal = [Event(kind, at=at) for kind, at in (("run_started", 50), ("used", 60), ("used", 20), ("run_done", 61))]
    assert times_of(journal) == (50, [0, 10, 10, 11], 11, 0)


async def test_inner_graphs_items_and_loops_have_their_own_critical_calls(tmp_path: Path) -> None:
    inner = build({"x": Calls().node("x"), "y": Calls().node("y")}, "start -> x -> y -> end")
    graph = build(
        {
            "m": {"type": inner, "map": {"over": "items", "as": "n", "max_concurrency": 1}, "writes": {"n": "ns"}},
            "a": {"type": Calls().node("a"), "reads": {"n": "start_at"}},
        },
        "start -> m, a -> end",
        inputs={"items": "list[int]", "start_at": "int"},
        outputs=["ns", "n"],
    )
    result = await graph.arun(items=[1, 2], start_at=0)
    assert result["ns"] == [3, 4]
    line = await graph.atimeline(result.run_id)
    assert line["m#1"].items == 2
    assert line.critical == ("m#1", "m#1[1]/x#1", "m#1[1]/y#1")
    assert [span.depth for span in line.spans if span.path in ("m#1", "m#1[0]/x#1")] == [0, 1]


async def test_failures_effects_attempts_and_tokens_are_told() -> None:
    tries = 0

    async def pay(n: int, ctx: Context) -> N:
        nonlocal tries
        tries += 1
        ctx.use(Usage(calls=1, input_tokens=10, output_tokens=2))
        if tries < 3:
            raise NodeError("busy", transient=True, retry_after=0)
        return {"n": n + 1}

    async def broken(n: int) -> M:
        raise ValueError("broken")

    graph = build(
        {
            "a": {"type": node_type(pay, effects="write", idempotent=True), "retry": 2},
            "b": {"type": broken, "on_error": "c"},
            "c": idle,
            "d": idle,
        },
        "start -> a -> b -> d -> end",
        "c -> end",
    )
    result = await graph.arun(n=0)
    line = await graph.atimeline(result.run_id)
    paid = line["a#1"]
    assert (paid.attempts, paid.usage.input_tokens, paid.effects) == (3, 30, ["a#1: done"])
    assert (line["b#1"].status, line["b#1"].error, line["b#1"].to) == ("failed", "ValueError: broken", ("c",))
    assert line.usage == result.usage
    assert [span.path for span in line.spans] == ["a#1", "b#1", "c#1"]


async def test_a_run_that_failed_waited_for_the_call_that_failed() -> None:
    async def broken(n: int) -> M:
        raise ValueError("broken")

    graph = build({"a": Calls().node("a"), "b": broken}, "start -> a -> b -> end")
    with pytest.raises(RunError) as caught:
        await graph.arun(n=0)
    line = await graph.atimeline(caught.value.run_id)
    assert (line["b#1"].status, line["b#1"].end, line.status) == ("failed", None, "failed")
    assert line.critical == ("a#1", "b#1")
    assert "broken" in line.error


async def test_what_a_fork_took_over_took_no_time() -> None:
    graph = diamond()
    result = await graph.arun(n=0)
    forked = await graph.afork(result.run_id, "c#1", {"n": 7})
    line = await graph.atimeline(forked.run_id)
    assert [span.path for span in line.spans if span.reused] == ["a#1", "b#1"]
    assert line.critical == ("c#1", "j#1")
    assert line.forks == {"c#1": {"n": 7}}
    assert line["a#1"].seconds == 0
    assert line["c#1"].reads == {"n": 7}


def test_timelines_of_random_runs_hold_together(tmp_path: Path) -> None:
    """Every call is in it once, begins at or after the end of what made it due, and critical calls touch each other."""

    async def all_of_them() -> None:
        for seed in range(80):
            played = Played(Random(seed), None)
            result = await played.run()
            line = await played.graph.atimeline(result.run_id)
            spans = {span.path: span for span in line.spans}
            assert set(spans) == set(played.seen)
            for span in line.spans:
                assert span.end is not None
                assert span.end >= span.start == (spans[span.because].end if span.because else 0)
                assert not span.critical or not span.because or spans[span.because].critical
            assert spans[line.critical[-1]].end is not None
            assert sum(spans[path].seconds for path in line.critical) <= line.seconds + 1e-6

    with probes():
        asyncio.run(all_of_them())


async def test_a_run_with_everything_in_it_has_one_timeline_in_memory_and_from_a_file(tmp_path: Path) -> None:
    calls = Calls()
    with registry.scope():
        graph = rich(tmp_path, calls)
        graph._store = durable(tmp_path)
        result = await to_the_end(graph, await graph.arun(n=0, items=[1, 2, 3]))
        line = await graph.atimeline(result.run_id)
        assert len(line.spans) == 30
        assert {one.path for span in line.spans for one in span.questions} == {"m#1[1]", "f#1/1"}
        assert line["gs#1"].items == 3
        assert (line["e#1"].status, line["j#1"].reads) == ("failed", {"paid": 2})
        await graph.aclose()


# --- differences ---


async def test_equal_runs_differ_in_nothing_but_time() -> None:
    graph = diamond()
    one, two = await graph.arun(n=0), await graph.arun(n=0)
    found = await graph.adiff(one.run_id, two.run_id)
    assert found.same
    assert (found.first, found.only_a, found.changed, found.outputs, found.a.calls) == (None, (), {}, {}, 4)


async def test_where_two_runs_part_and_what_follows_from_it() -> None:
    nodes = {"a": Calls().node("a"), "b": idle, "c": idle}
    graph = build(nodes, "start -> a", routes("a", ("n > 5", "b"), (None, "c")), "b, c -> end")
    one, two = await graph.arun(n=0), await graph.arun(n=7)
    found = await graph.adiff(one.run_id, two.run_id)
    assert found.first is not None
    assert (found.first.path, found.first.what, found.first.a, found.first.b) == ("", "inputs", {"n": 0}, {"n": 7})
    assert (found.only_a, found.only_b) == (("c#1",), ("b#1",))
    assert (found.changed, found.outputs) == ({"a#1": {"n": (1, 8)}}, {"n": (1, 8)})


async def test_a_fork_parts_from_its_parent_where_it_was_forked() -> None:
    graph = diamond()
    result = await graph.arun(n=0)
    forked = await graph.afork(result.run_id, "c#1", {"n": 7})
    found = await graph.adiff(result.run_id, forked.run_id)
    assert found.first is not None
    assert (found.first.path, found.first.what, found.first.a, found.first.b) == ("c#1", "set", {"n": 1}, {"n": 7})
    assert (found.a.calls, found.b.calls) == (4, 2)
    assert list(found.changed) == ["c#1", "j#1"]


@pytest.mark.parametrize(
    ("change", "what", "a", "b"),
    [
        ({"data": {"n": 5}}, "writes", {"n": 1}, {"n": 5}),
        ({"route": 0}, "route", "c", "b"),
        ({"origin": 0}, "origin", 1, 0),
    ],
)
async def test_the_first_divergence_is_in_writes_route_or_origin(
    change: dict[str, Any], what: str, a: Any, b: Any
) -> None:
    nodes = {"a": Calls().node("a"), "b": idle, "c": idle}
    graph = build(nodes, "start -> a", routes("a", ("n > 5", "b"), (None, "c")), "b, c -> end")
    result = await graph.arun(n=0)
    journal = (await events(graph, result.run_id))[:2]
    other = Event(*journal[1].record())
    for name, value in change.items():
        setattr(other, name, value)
    found = diff(timeline(graph.plan, journal), timeline(graph.plan, [journal[0], other]))
    assert found.first is not None
    assert (found.first.path, found.first.what, found.first.a, found.first.b) == ("a#1", what, a, b)


async def test_a_run_that_stopped_earlier_parts_where_the_other_went_on() -> None:
    graph = diamond()
    result = await graph.arun(n=0)
    journal = await events(graph, result.run_id)
    found = diff(timeline(graph.plan, journal[:2]), timeline(graph.plan, journal))
    assert found.first is not None
    assert (found.first.path, found.first.what, found.only_b) == ("b#1", "status", ("j#1",))
    assert found.outputs == {"n": (MISSING, 11)}
