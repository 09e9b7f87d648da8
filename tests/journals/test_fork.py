"""Forks: everything that does not depend on a call is reused, what follows is called, and sees what was set."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, JournalError, NodeError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.journals.fork import fork, repeated, usable
from ragweave.orchestrator.node import node_type
from ragweave.orchestrator.values import Ask, Document
from tests.engine.steps import Calls, K, M, N, R, ask, build, events, idle, routes, writes
from tests.engine.test_prefixes import rich, to_the_end
from tests.journals.support import Played, durable
from tests.reference.files import probes


async def forked_everywhere(played: Played, most: int = 100) -> None:
    """A fork at each call: the same comes out, and only what follows from the call is called, and sees the same."""
    result = await played.run()
    graph = played.graph
    run = await graph.recorded(result.run_id)
    paths = usable(run.plan, run.events, live=run.live)
    assert set(paths) == set(played.seen)
    for at in played.random.sample(paths, min(most, len(paths))):
        again, seen = await played.fork(result.run_id, at)
        assert again.outputs == result.outputs
        assert seen == {path: saw for path, saw in played.seen.items() if path not in played.reused(at)}
        replayed = await graph.areplay(again.run_id)
        assert (replayed.outputs, replayed.differences) == (result.outputs, ())


def test_a_fork_of_a_random_run_calls_what_follows_and_nothing_else(tmp_path: Path) -> None:
    async def all_of_them() -> None:
        store = durable(tmp_path)
        for seed in range(40):
            await forked_everywhere(Played(Random(seed), store), 3)
        await store.close()

    with probes():
        asyncio.run(all_of_them())


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_fork_of_any_run_at_any_call(random: Random) -> None:
    with probes():
        asyncio.run(forked_everywhere(Played(random, None)))


@pytest.mark.long
def test_a_fork_of_any_run_at_any_call_at_length() -> None:
    async def all_of_them() -> None:
        for seed in range(20_000, 21_000):
            await forked_everywhere(Played(Random(seed), None, 12))

    with probes():
        asyncio.run(all_of_them())


async def set_and_folded(random: Random) -> None:
    """A fork with a value set: its journal is consistent, and what was set is what the call saw."""
    played = Played(random, None)
    result = await played.run()
    run = await played.graph.recorded(result.run_id)
    at = random.choice(usable(run.plan, run.events))
    keys = [key for key in played.seen[at] if key != "error"]
    if keys:
        key = random.choice(keys)
        again, seen = await played.fork(result.run_id, at, {key: ["set"]})
        assert seen[at] == {**played.seen[at], key: ["set"]}
        assert (await played.graph.areplay(again.run_id)).differences == ()


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_what_is_set_is_what_the_call_sees(random: Random) -> None:
    with probes():
        asyncio.run(set_and_folded(random))


@pytest.mark.parametrize("in_a_file", [False, True])
async def test_a_run_with_everything_in_it_is_forked_at_every_call_and_item(tmp_path: Path, in_a_file: bool) -> None:
    """In items of maps, in graphs inside items, at members that asked, at effects."""
    calls = Calls()
    with registry.scope():
        graph = rich(tmp_path, calls)
        if in_a_file:
            graph._store = durable(tmp_path)
        result = await to_the_end(graph, await graph.arun(n=0, items=[1, 2, 3]))
        run = await graph.recorded(result.run_id)
        paths = usable(run.plan, run.events, live=run.live)
        assert {"a#1", "m#1", "m#1[1]", "gs#1[2]/third#1", "g#1/ship#2", "f#1", "pay#1", "e#1", "h#1"} <= set(paths)
        for at in paths:
            calls.clear()
            again = await to_the_end(graph, await graph.afork(result.run_id, at))
            assert again.outputs == result.outputs
            assert at == "a#1" or not {"a#1", "pay#1", "m#1[0]", "g#1/first#1"} - within(at) & set(calls), at
            assert any(path.startswith(at) for path in calls), at
            assert (await graph.areplay(again.run_id)).differences == ()
        await graph.aclose()


def within(at: str) -> set[str]:
    """Of the calls that the test looks at, those that a fork at this path makes again."""
    return {path for path in ("a#1", "pay#1", "m#1[0]", "g#1/first#1") if path.startswith(at)}


async def test_a_fork_is_a_run_of_its_own_that_names_its_parent(tmp_path: Path) -> None:
    calls = Calls()
    graph = build({"a": calls.node("a"), "b": calls.node("b")}, "start -> a -> b -> end", store=durable(tmp_path))
    async with graph:
        result = await graph.arun(n=1, thread_id="t", user="ada", tenant="acme")
        again = await graph.afork(result.run_id, "b", {"n": 10})
        assert (again["n"], calls) == (11, {"a#1": 1, "b#1": 2})
        record = await graph.store.record(again.run_id)
        assert record is not None
        assert (record.parent, record.status) == (f"{result.run_id}@b#1", "done")
        assert (record.thread_id, record.user, record.tenant) == ("", "ada", "acme")
        assert [(event.kind, dict(event.data)) for event in await events(graph, again.run_id)][2] == (
            "forked",
            {"path": "b#1", "set": {"n": 10}},
        )
        with pytest.raises(InputError, match="there is nothing to resume"):
            await graph.aresume(again.run_id)


async def test_what_is_set_reaches_everything_behind_the_call_and_nothing_beside_it() -> None:
    """`n` comes from the start, along two branches that meet: behind the fork its new value is the one that counts."""

    async def left(n: int) -> M:
        return {"m": n * 10}

    async def right(n: int, ctx: Context) -> R:
        return {"r": f"{n}"}

    async def meet(n: int, m: int, r: str) -> K:
        return {"k": [f"{n} {m} {r}"]}

    graph = build({"a": left, "b": right, "j": meet}, "start -> a, b -> j -> end", outputs=["k", "n"])
    result = await graph.arun(n=1)
    assert result["k"] == ["1 10 1"]
    again = await graph.afork(result.run_id, "a#1", {"n": 2})
    assert (again["k"], again["n"]) == (["2 20 1"], 2)
    once_more = await graph.afork(again.run_id, "b#1", {"n": 3})
    assert (once_more["k"], once_more["n"]) == (["3 20 3"], 3)


async def test_a_later_write_still_replaces_what_was_set() -> None:
    """k is written by s and by x beside h; x counts at j, whatever h was told (case C8)."""
    graph = build(
        {"s": writes("s"), "h": idle, "x": writes("x"), "j": {"type": same_k, "writes": {"k": "last"}}},
        "start -> s -> h, x -> j -> end",
        inputs={},
        outputs=["last"],
    )
    result = await graph.arun()
    assert result["last"] == ["x"]
    again = await graph.afork(result.run_id, "h#1", {"k": ["told"]})
    assert again["last"] == ["x"]
    assert (await graph.afork(result.run_id, "x#1", {"k": ["told"]}))["last"] == ["x"]
    assert (await graph.afork(result.run_id, "j#1", {"k": ["told"]}))["last"] == ["told"]


async def same_k(k: list[str]) -> K:
    return {"k": k}


async def test_several_parallel_writes_are_replaced_by_what_is_set() -> None:
    graph = build(
        {"a": writes("a"), "b": writes("b"), "c": idle, "j": idle, "e": {"type": same_k, "writes": {"k": "all"}}},
        "start -> a, b -> j, c -> e -> end",
        inputs={},
        outputs=["all"],
        state={"k": {"merge": "extend"}},
    )
    result = await graph.arun()
    assert result["all"] == ["a", "b"]
    assert (await graph.afork(result.run_id, "j#1", {"k": ["set"]}))["all"] == ["set"]


async def test_items_of_a_list_that_accumulates_are_replaced(tmp_path: Path) -> None:
    async def say(ctx: Context) -> K:
        return {"k": [f"turn {ctx.visit}"]}

    graph = build(
        {"a": say},
        "start -> a",
        routes("a", (None, "a", 2), (None, "end")),
        inputs={},
        outputs=["k"],
        state={"k": {"accumulate": True}},
        store=durable(tmp_path),
    )
    async with graph:
        result = await graph.arun()
        assert result["k"] == ["turn 1", "turn 2", "turn 3"]
        again = await graph.afork(result.run_id, "a#2", {"k": ["what was said"]})
        assert again["k"] == ["what was said", "turn 2", "turn 3"]


async def test_bounds_and_visits_are_those_of_the_call() -> None:
    calls = Calls()
    graph = build({"a": calls.node("a")}, "start -> a", routes("a", ("n < 9", "a", 2), (None, "end")))
    result = await graph.arun(n=0)
    assert (result["n"], list(calls)) == (3, ["a#1", "a#2", "a#3"])
    calls.clear()
    again = await graph.afork(result.run_id, "a#2", {"n": 7})
    assert (again["n"], calls) == (9, {"a#2": 1, "a#3": 1})
    assert (await graph.afork(result.run_id, "a#2", {"n": 8}))["n"] == 9
    assert (await graph.afork(result.run_id, "a#2", {"n": 0}))["n"] == 2  # a#1 has used one of two


async def test_values_that_are_set_have_the_declared_types_after_a_restart(tmp_path: Path) -> None:
    repaired = tmp_path / "repaired"

    async def read(documents: list[Document]) -> R:
        if documents[0].text == "new" and not repaired.exists():
            raise NodeError("broken")
        return {"r": documents[0].text}

    given: dict[str, Any] = {"inputs": {"documents": "list[Document]"}, "outputs": ["r"]}
    graph = build({"a": idle, "b": read}, "start -> a -> b -> end", store=durable(tmp_path), **given)
    result = await graph.arun(documents=[{"id": "d", "text": "old"}])
    with pytest.raises(RunError) as caught:
        await graph.afork(result.run_id, "b#1", {"documents": [{"id": "e", "text": "new"}]})
    await graph.aclose()
    repaired.touch()
    later = build({"a": idle, "b": read}, "start -> a -> b -> end", store=durable(tmp_path), **given)
    async with later:
        again = await later.aresume(caught.value.run_id)
        assert again["r"] == "new"
        kept = (await later.areplay(caught.value.run_id)).state["documents"]
        assert kept == [Document(id="e", text="new")]


async def test_a_failed_run_goes_on_as_a_fork_with_another_value() -> None:
    calls = Calls()

    async def half(n: int, ctx: Context) -> N:
        calls[ctx.path] += 1
        if n % 2:
            raise NodeError("odd")
        return {"n": n // 2}

    graph = build({"a": calls.node("a"), "b": half}, "start -> a -> b -> end")
    with pytest.raises(RunError) as caught:
        await graph.arun(n=2)
    again = await graph.afork(caught.value.run_id, "b#1", {"n": 8})
    assert (again["n"], calls) == (4, {"a#1": 1, "b#1": 2})


async def test_effects_before_the_call_are_not_repeated_and_those_behind_it_have_keys_of_their_own() -> None:
    keys: list[str] = []

    async def pay(n: int, ctx: Context) -> N:
        keys.append(ctx.key)
        return {"n": n + 1}

    effect = node_type(pay, effects="write")
    graph = build({"a": effect, "b": effect, "c": effect}, "start -> a -> b -> c -> end")
    result = await graph.arun(n=0)
    journal = await events(graph, result.run_id)
    assert repeated(journal, fork(graph.plan, journal, "b#1")) == ["b#1", "c#1"]
    again = await graph.afork(result.run_id, "b#1")
    assert keys[3:] == [f"{again.run_id}:b#1", f"{again.run_id}:c#1"]
    assert {key.partition(":")[0] for key in keys[:3]} == {result.run_id}


async def test_a_question_at_the_call_is_asked_again_and_others_keep_their_answers() -> None:
    async def asks(n: int, ctx: Context) -> N | Ask:
        return {"n": n + ctx.answers[-1]} if ctx.answers else ask(f"{ctx.node}?", "integer")

    graph = build({"a": asks, "b": asks}, "start -> a -> b -> end")
    parked = await graph.arun(n=0)
    parked = await graph.aresume(parked.run_id, answers={"a#1": 1})
    result = await graph.aresume(parked.run_id, answers={"b#1": 1})
    again = await graph.afork(result.run_id, "b#1", {"n": 10})
    assert (again.status, list(again.asks)) == ("parked", ["b#1"])
    assert (await graph.aresume(again.run_id, answers={"b#1": 5}))["n"] == 15


async def test_without_a_call_it_is_run_anew_with_other_inputs() -> None:
    calls = Calls()
    graph = build({"a": calls.node("a")}, "start -> a -> end", inputs={"n": "int", "m": "int"}, outputs=["n", "m"])
    result = await graph.arun(n=1, m=5)
    again = await graph.afork(result.run_id, set={"n": 10})
    assert (again.outputs, calls) == ({"n": 11, "m": 5}, {"a#1": 2})
    record = await graph.store.record(again.run_id)
    assert record is not None
    assert record.parent == f"{result.run_id}@"
    with pytest.raises(InputError, match="has no input 'k'"):
        await graph.afork(result.run_id, set={"k": 1})


async def test_a_fork_of_a_fork_keeps_what_was_set_before_its_call() -> None:
    calls = Calls()
    names = ("a", "b", "c")
    graph = build({name: calls.node(name) for name in names}, "start -> a -> b -> c -> end")
    result = await graph.arun(n=0)
    once = await graph.afork(result.run_id, "b#1", {"n": 100})
    assert (await graph.afork(once.run_id, "c#1"))["n"] == 102
    assert (await graph.afork(once.run_id, "b#1"))["n"] == 102
    assert (await graph.afork(once.run_id, "a#1"))["n"] == 3


async def test_a_fork_streams_and_has_a_deadline_and_overrides_of_its_own_kind(tmp_path: Path) -> None:
    graph = build({"a": Calls().node("a"), "b": Calls().node("b")}, "start -> a -> b -> end")
    result = await graph.arun(n=0, deadline=5)
    seen = [event async for event in graph.stream_fork(result.run_id, "b#1", {"n": 5}, deadline="7s")]
    assert [event.kind for event in seen] == ["run_started", "started", "finished", "run_done"]
    assert seen[0].data["parent"] == f"{result.run_id}@b#1"
    assert seen[-1].data["result"]["n"] == 6
    begun, *_ = await events(graph, seen[-1].data["result"].run_id)
    assert begun.data["deadline"] == 7
    assert "deadline" not in (await events(graph, (await graph.afork(result.run_id, "b#1")).run_id))[0].data


@pytest.mark.parametrize(
    ("at", "given", "said"),
    [
        ("b#1", {"m": 1}, "the state at b#1 has no key 'm'; there is: n"),
        ("b#1", {"nn": 1}, "has no key 'nn'; did you mean 'n'?"),
        ("b#1", {"n": "many"}, "'n' must be int, not 'many'"),
        ("bb#1", {}, "the run has no call 'bb#1'; did you mean 'b#1'?"),
        ("b#2", {}, "the run has no call 'b#2'; did you mean 'b#1'?"),
        ("a", {}, "'a' was called 2 times; say which: a#1, a#2"),
        ("b#1/1", {}, "'b#1/1' is one of several that stand for b#1; fork at b#1"),
    ],
)
async def test_what_cannot_be_forked_is_told_with_what_can(at: str, given: dict[str, Any], said: str) -> None:
    nodes = {"a": Calls().node("a"), "b": Calls().node("b")}
    graph = build(nodes, "start -> a", routes("a", ("n < 2", "a", 1), (None, "b")), "b -> end")
    result = await graph.arun(n=0)
    with pytest.raises(InputError) as caught:
        await graph.afork(result.run_id, at, given)
    assert said in str(caught.value)
    assert len(await graph.runs()) == 1


async def test_the_state_of_one_item_cannot_be_set_and_a_given_up_attempt_cannot_be_gone_on_from() -> None:
    async def item(item: int) -> R:
        return {"r": str(item)}

    graph = build(
        {"m": {"type": item, "map": {"over": "items", "as": "item"}}},
        "start -> m -> end",
        inputs={"items": "list[int]"},
        outputs=["r"],
    )
    result = await graph.arun(items=[1, 2])
    with pytest.raises(InputError, match=r"m#1\[1\] is one item of a list.*fork at m#1 and set the list"):
        await graph.afork(result.run_id, "m#1[1]", {"items": [3]})
    assert (await graph.afork(result.run_id, "m#1", {"items": [3]}))["r"] == ["3"]
    with pytest.raises(JournalError, match="there is no run 'nobody'"):
        await graph.afork("nobody", "m#1")


async def test_what_reused_calls_have_used_counts_and_what_is_called_again_counts_once(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text(PROMPT)
    (tmp_path / "graph.yaml").write_text(TWICE)
    async with Graph.load(tmp_path / "graph.yaml") as graph:
        result = await graph.arun(question="What?")
        again = await graph.afork(result.run_id, "second#1")
        assert again.usage == result.usage
        assert (again.usage.calls, again.usage.input_tokens) == (2, 14)


PROMPT = """\
---
name: p
version: 1
description: Asks.
variables:
  question: {type: str, description: What is asked.}
---
## user
{{ question }}
"""
TWICE = """\
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
models:
  chat: {type: scripted, repeat: true, replies: [{text: Tea., usage: {calls: 1, input_tokens: 7, output_tokens: 2}}]}
prompts: {p: {type: template, file: p.md}}
nodes:
  first: {type: generator, model: chat, prompt: p, writes: {answer: draft}}
  second: {type: generator, model: chat, prompt: p}
edges: [start -> first -> second -> end]
"""
