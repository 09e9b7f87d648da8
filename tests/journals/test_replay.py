"""Replay: what a run gave and did, from its journal alone; and what does not fit in it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, JournalError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.journals.fork import fork, usable
from ragweave.orchestrator.journals.replay import replay
from ragweave.orchestrator.journals.timeline import timeline
from ragweave.orchestrator.running.events import JOURNALED, Event
from ragweave.orchestrator.values import Answer, Ask, Document, Failure
from tests.engine.steps import Calls, N, R, ask, build, idle, routes
from tests.engine.test_prefixes import rich, to_the_end
from tests.journals.support import Played, durable
from tests.reference.files import STAGE, probes


class Nobody:
    """A Stage on which nothing may be called."""

    async def call(self, name: str, seen: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError(f"{name} was called")


async def replayed(played: Played) -> None:
    result = await played.run()
    STAGE.set(Nobody())
    again = await played.graph.areplay(result.run_id)
    assert again.differences == ()
    assert (again.outputs, again.status) == (result.outputs, "done")
    assert {key: again.state[key] for key in result.outputs} == result.outputs
    assert [event.path for event in again if event.kind == "finished"] == [
        event.path for event in await played.graph.store.events(result.run_id) if event.kind == "finished"
    ]


def test_random_runs_in_a_file_replay_without_a_call_and_without_a_difference(tmp_path: Path) -> None:
    async def all_of_them() -> None:
        store = durable(tmp_path)
        for seed in range(60):
            await replayed(Played(Random(seed), store))
        await store.close()

    with probes():
        asyncio.run(all_of_them())


@pytest.mark.long
def test_a_thousand_runs_in_a_file_replay_without_a_call_and_without_a_difference(tmp_path: Path) -> None:
    async def all_of_them() -> None:
        store = durable(tmp_path)
        for seed in range(10_000, 11_000):
            await replayed(Played(Random(seed), store, 10))
        await store.close()

    with probes():
        asyncio.run(all_of_them())


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_run_replays_without_a_call_and_without_a_difference(random: Random) -> None:
    with probes():
        asyncio.run(replayed(Played(random, None)))


@pytest.mark.parametrize("in_a_file", [False, True])
async def test_a_run_with_everything_in_it_replays_as_its_stream_was(tmp_path: Path, in_a_file: bool) -> None:
    """Items, members, effects, Asks, nested graphs, loops, errors: events come back as the stream showed them."""
    calls = Calls()
    with registry.scope():
        graph = rich(tmp_path, calls)
        if in_a_file:
            graph._store = durable(tmp_path)
        streamed = [event async for event in graph.stream(n=0, items=[1, 2, 3]) if event.kind in JOURNALED]
        parked = streamed[-1].data["result"]
        half = await graph.areplay(parked.run_id)
        assert (half.status, half.differences, half.outputs) == ("parked", (), {})
        assert [kind_and_data(event) for event in half] == [kind_and_data(event) for event in streamed]
        assert half.state["n"] == 1
        result = await to_the_end(graph, parked)
        calls.clear()
        whole = await graph.areplay(result.run_id)
        assert (whole.outputs, whole.status, whole.differences, calls) == (result.outputs, "done", (), {})
        assert isinstance(whole.state["error"], Failure)
        assert list(whole)[: len(streamed)] == list(half)
        await graph.aclose()


def kind_and_data(event: Event) -> tuple[str, str, dict[str, Any]]:
    """An event without the result, id and time that only a stream has."""
    data = {key: value for key, value in event.data.items() if key not in ("result", "run_id")}
    return event.kind, event.path, data


async def test_values_come_back_with_their_types_and_usage_with_them(tmp_path: Path) -> None:
    graph = Graph.parse(
        """
schema: ragweave/v1
inputs: {question: str, documents: "list[Document]"}
outputs: [answer, documents]
models: {chat: {type: scripted, replies: [{text: "Tea [1].", usage: {calls: 1, input_tokens: 7, output_tokens: 2}}]}}
nodes: {answer: {type: generator, model: chat, prompt: answer_with_citations}}
edges: [start -> answer -> end]
""",
        store=durable(tmp_path),
    )
    async with graph:
        documents = [Document(id="d", text="Tea it is.", source="tea.md")]
        result = await graph.arun(question="What?", documents=documents)
        again = await graph.areplay(result.run_id)
        assert again.outputs == result.outputs
        assert isinstance(again.outputs["answer"], Answer)
        assert again.outputs["documents"] == documents
        assert again.usage == result.usage
        assert again.differences == ()


async def test_runs_that_failed_or_were_broken_off_replay_as_far_as_they_came(tmp_path: Path) -> None:
    async def broken(n: int) -> N:
        raise ValueError("broken")

    graph = build({"a": Calls().node("a"), "b": broken}, "start -> a -> b -> end", store=durable(tmp_path))
    with pytest.raises(RunError) as caught:
        await graph.arun(n=1)
    again = await graph.areplay(caught.value.run_id)
    assert (again.status, again.outputs, again.state, again.differences) == ("failed", {}, {"n": 2}, ())
    crashed = replay(graph.plan, again.events[:2])
    assert (crashed.status, crashed.outputs, crashed.state) == ("running", {}, {"n": 2})
    await graph.aclose()


async def test_what_a_person_changed_on_the_way_is_no_difference(tmp_path: Path) -> None:
    inner = build({"a": Calls().node("a")}, "start -> a -> end")
    graph = build(
        {"in": {"type": inner, "interrupt": {"question": "Go?", "edit": ["n"]}}, "b": Calls().node("b")},
        "start -> in -> b -> end",
        store=durable(tmp_path),
    )
    parked = await graph.arun(n=1)
    result = await graph.aresume(parked.run_id, answers={"in#1": {"approved": True, "values": {"n": 10}}})
    assert result["n"] == 12
    again = await graph.areplay(result.run_id)
    assert (again.outputs, again.differences) == ({"n": 12}, ())
    await graph.aclose()


def changed(journal: list[Event], kind: str, **fields: Any) -> list[Event]:
    """The journal with the last event of this kind changed."""
    copies = [Event(*event.record()) for event in journal]
    target = next(event for event in reversed(copies) if event.kind == kind)
    for name, value in fields.items():
        setattr(target, name, value)
    return copies


@pytest.mark.parametrize(
    ("kind", "fields", "path", "what"),
    [
        ("run_done", {"data": {"outputs": {"n": 99}}}, "", "outputs"),
        ("finished", {"origin": 0}, "b#1", "origin"),
        ("finished", {"visit": 2}, "b#2", "visit"),
        ("finished", {"data": {"n": 7}}, "", "outputs"),
    ],
)
async def test_a_journal_that_contradicts_itself_is_told(
    kind: str, fields: Mapping[str, Any], path: str, what: str
) -> None:
    graph = build({"a": Calls().node("a"), "b": Calls().node("b")}, "start -> a -> b -> end")
    result = await graph.arun(n=1)
    journal = list(await graph.store.events(result.run_id))
    assert replay(graph.plan, journal).differences == ()
    (difference,) = replay(graph.plan, changed(journal, kind, **fields)).differences
    assert (difference.path, difference.what) == (path, what)


async def test_routes_that_cannot_have_been_taken_are_told() -> None:
    graph = build(
        {"a": Calls().node("a"), "b": idle, "c": idle},
        "start -> a",
        routes("a", ("n < 5", "a", 1), ("n > 90", "b"), (None, "c")),
        "b, c -> end",
    )
    result = await graph.arun(n=0)
    journal = list(await graph.store.events(result.run_id))
    ended = next(event for event in journal if event.path == "a#2")
    again = Event("finished", "", "a", 2, ended.data, None, 0, 0, ended.origin)
    (difference,) = replay(graph.plan, [*journal[:2], again]).differences
    assert (difference.path, difference.what, difference.said) == ("a#2", "route", 0)
    other = Event("finished", "", "a", 2, ended.data, None, 0, 9, ended.origin)
    with pytest.raises(JournalError, match="route 9"):
        replay(graph.plan, [*journal[:2], other])


async def test_items_and_inner_graphs_are_held_against_what_their_node_wrote(tmp_path: Path) -> None:
    async def item(item: int) -> R:
        return {"r": str(item)}

    inner = build({"a": Calls().node("a")}, "start -> a -> end")
    graph = build(
        {"m": {"type": item, "map": {"over": "items", "as": "item"}}, "g": {"type": inner}},
        "start -> m -> g -> end",
        inputs={"n": "int", "items": "list[int]"},
        outputs=["r", "n"],
    )
    result = await graph.arun(n=1, items=[1, 2])
    journal = list(await graph.store.events(result.run_id))

    def told(kind: str, **fields: Any) -> set[tuple[str, str]]:
        return {(one.path, one.what) for one in replay(graph.plan, changed(journal, kind, **fields)).differences}

    assert told("item", data={"r": "x"}) == {("m#1", "writes")}
    assert told("entered", data={"inputs": {"n": 5}, "origins": {"n": 1}}) == {("g#1", "inputs")}
    assert told("finished", data={"n": 5}) == {("g#1", "writes"), ("", "outputs")}


async def test_a_parked_run_in_which_somebody_does_not_ask_is_told() -> None:
    async def asks(n: int, ctx: Context) -> N | Ask:
        return {"n": n} if ctx.answers else ask("go?")

    graph = build({"a": asks}, "start -> a -> end")
    parked = await graph.arun(n=1)
    journal = list(await graph.store.events(parked.run_id))
    assert replay(graph.plan, journal).differences == ()
    (difference,) = replay(graph.plan, [event for event in journal if event.kind != "asked"]).differences
    assert (difference.path, difference.what) == ("", "asks")


async def test_journals_that_are_not_of_this_graph_or_that_are_unknown_raise() -> None:
    graph = build({"a": Calls().node("a")}, "start -> a -> end")
    other = build({"b": Calls().node("b")}, "start -> b -> end")
    result = await graph.arun(n=1)
    with pytest.raises(JournalError, match="names the node 'a'"):
        replay(other.plan, await graph.store.events(result.run_id))
    with pytest.raises(JournalError, match="there is no run 'nobody'"):
        await graph.areplay("nobody")
    with pytest.raises(JournalError, match="does not say how it started"):
        replay(graph.plan, [])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_forged_journals_replay_or_raise_journal_errors_and_nothing_else(data: st.DataObject) -> None:
    """Events left out, moved, doubled, of another kind, with other numbers and other data."""
    with probes():
        asyncio.run(forged(data))


async def forged(data: st.DataObject) -> None:
    played = Played(Random(data.draw(st.integers(0, 30))), None)
    result = await played.run()
    plan, journal = (
        played.graph.plan,
        [Event(*event.record()) for event in await played.graph.store.events(result.run_id)],
    )
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(journal) - 1))
        change = data.draw(st.sampled_from(["drop", "double", "move", "kind", "number", "name", "data"]))
        event = Event(*journal[at].record())
        if change == "drop" and len(journal) > 1:
            del journal[at]
        elif change == "double":
            journal.insert(data.draw(st.integers(0, len(journal))), event)
        elif change == "move":
            journal.insert(data.draw(st.integers(0, len(journal) - 1)), journal.pop(at))
        else:
            journal[at] = event
            if change == "kind":
                event.kind = data.draw(st.sampled_from(sorted(JOURNALED)))
            elif change == "number":
                setattr(
                    event,
                    data.draw(st.sampled_from(["visit", "route", "member", "item", "origin"])),
                    data.draw(NUMBERS),
                )
            elif change == "name":
                setattr(
                    event,
                    data.draw(st.sampled_from(["node", "frame"])),
                    data.draw(st.sampled_from(["", "n0", "n1", "n0#1/"])),
                )
            else:
                event.data = data.draw(
                    st.dictionaries(st.sampled_from(["inputs", "n", "a", "path", "set"]), ODD, max_size=3)
                )
    for read in (replay, timeline, usable):
        with contextlib.suppress(JournalError):
            read(plan, journal)
    with contextlib.suppress(JournalError, InputError):
        fork(plan, journal, f"{journal[-1].node or 'n0'}#1")


NUMBERS = st.sampled_from([-1, 0, 1, 2, 99])
ODD = st.sampled_from([None, 0, "x", [], ["x"], {}, {"n": 1}, {"path": "n0#1"}])
