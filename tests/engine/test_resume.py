"""Runs that go on where they stopped: nothing that finished is called again (R18, R19)."""

from __future__ import annotations

import asyncio

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, JournalError, NodeError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.stores.memory import MemoryStore
from ragweave.orchestrator.values import Ask, Usage
from tests.engine.steps import Calls, Gate, M, N, R, ask, build, events, finished, idle, routes, status


async def test_a_failed_run_goes_on_at_the_node_that_failed() -> None:
    calls = Calls()
    broken = True

    async def flaky(n: int, ctx: Context) -> N:
        calls[ctx.path] += 1
        if broken:
            raise NodeError("broken")
        return {"n": n * 10}

    graph = build({"a": calls.node("a"), "b": flaky, "c": calls.node("c")}, "start -> a -> b -> c -> end")
    with pytest.raises(RunError, match="broken") as caught:
        await graph.arun(n=1)
    assert await status(graph) == "failed"
    broken = False
    result = await graph.aresume(caught.value.run_id)
    assert (result["n"], result.run_id) == (21, caught.value.run_id)
    assert calls == {"a#1": 1, "b#1": 2, "c#1": 1}
    assert await status(graph) == "done"


async def test_a_cancelled_run_goes_on_and_keeps_what_finished_beside() -> None:
    calls = Calls()
    gate = Gate()

    async def waits(m: int, ctx: Context) -> M:
        calls[ctx.path] += 1
        await gate.wait()
        return {"m": m + 1}

    graph = build(
        {"a": calls.node("a"), "b": waits, "j": idle},
        "start -> a, b -> j -> end",
        inputs={"n": "int", "m": "int"},
        outputs=["n", "m"],
    )
    task = asyncio.ensure_future(graph.arun(n=1, m=1))
    await gate.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await status(graph) == "cancelled"
    gate.open()
    result = await graph.aresume((await graph.runs())[0].run_id)
    assert result.outputs == {"n": 2, "m": 2}
    assert calls == {"a#1": 1, "b#1": 2}


async def test_visits_go_on_counting() -> None:
    seen: list[str] = []
    broken = True

    async def flaky(n: int, ctx: Context) -> N:
        seen.append(ctx.key)
        if ctx.visit == 2 and broken:
            raise NodeError("broken")
        return {"n": n + 1}

    graph = build({"a": flaky}, "start -> a", routes("a", ("n < 4", "a", 9), (None, "end")))
    with pytest.raises(RunError) as caught:
        await graph.arun(n=0)
    broken = False
    run_id = caught.value.run_id
    assert (await graph.aresume(run_id))["n"] == 4
    assert seen == [f"{run_id}:a#{visit}" for visit in (1, 2, 2, 3, 4)]


async def test_a_bound_that_was_used_stays_used() -> None:
    broken = True

    async def flaky(ctx: Context) -> None:
        if ctx.visit == 3 and broken:
            raise NodeError("broken")

    graph = build(
        {"a": flaky, "b": idle}, "start -> a -> b", routes("b", (None, "a", 3), (None, "end")), inputs={}, outputs=[]
    )
    with pytest.raises(RunError) as caught:
        await graph.arun()
    broken = False
    await graph.aresume(caught.value.run_id)
    assert (await finished(graph))[-2:] == ["a#4", "b#4"]


async def test_asks_in_parallel_branches_park_together_and_may_be_answered_one_by_one() -> None:
    calls = Calls()

    def asking(key: str) -> object:
        async def node(ctx: Context) -> R | Ask:
            calls[ctx.path] += 1
            return {"r": ctx.answers[0]} if ctx.answers else ask(f"{key}?")

        return node

    graph = build(
        {"a": {"type": asking("a"), "writes": {"r": "a"}}, "b": {"type": asking("b"), "writes": {"r": "b"}}, "c": idle},
        "start -> a, b, c -> end",
        inputs={},
        outputs=["a", "b"],
    )
    parked = await graph.arun()
    assert {path: one.question for path, one in parked.asks.items()} == {"a#1": "a?", "b#1": "b?"}
    assert await finished(graph) == ["c#1"]
    again = await graph.aresume(parked.run_id, answers={"b#1": "B"})
    assert (again.status, list(again.asks)) == ("parked", ["a#1"])
    assert calls == {"a#1": 1, "b#1": 2}
    result = await graph.aresume(parked.run_id, answers={"a#1": "A"})
    assert result.outputs == {"a": "A", "b": "B"}
    assert calls == {"a#1": 2, "b#1": 2}
    asked = [event.data["path"] for event in await events(graph) if event.kind == "asked"]
    assert asked == ["a#1", "b#1"]


async def test_a_call_that_asks_and_has_no_answer_is_not_made_again_in_whatever_way_it_is_made() -> None:
    calls = Calls()

    async def direct() -> R | Ask:
        calls["direct"] += 1
        return ask("never answered")

    async def item(item: str, ctx: Context) -> R | Ask:
        calls[ctx.path] += 1
        return {"r": ctx.answers[0]} if ctx.answers else ask(item)

    graph = build(
        {"d": direct, "m": {"type": item, "map": {"over": "items", "as": "item"}, "writes": {"r": "rs"}}},
        "start -> d, m -> end",
        inputs={"items": "list[str]"},
        outputs=["r", "rs"],
    )
    parked = await graph.arun(items=["a", "b"])
    parked = await graph.aresume(parked.run_id, answers={"m#1[1]": "B"})
    assert sorted(parked.asks) == ["d#1", "m#1[0]"]
    assert calls == {"direct": 1, "m#1[0]": 1, "m#1[1]": 2}
    asked = [event.data["path"] for event in await events(graph) if event.kind == "asked"]
    assert sorted(asked) == ["d#1", "m#1[0]", "m#1[1]"]


async def test_a_call_may_ask_again() -> None:
    async def twice(ctx: Context) -> R | Ask:
        return {"r": "".join(ctx.answers)} if len(ctx.answers) == 2 else ask(f"number {len(ctx.answers)}")

    graph = build({"a": twice}, "start -> a -> end", inputs={}, outputs=["r"])
    parked = await graph.arun()
    parked = await graph.aresume(parked.run_id, answers={"a#1": "x"})
    assert parked.asks["a#1"].question == "number 1"
    assert (await graph.aresume(parked.run_id, answers={"a#1": "y"}))["r"] == "xy"


async def test_a_run_that_failed_while_another_branch_asked_still_knows_what_it_asked() -> None:
    broken = True
    calls = Calls()
    asked = asyncio.Event()

    async def asks(ctx: Context) -> R | Ask:
        calls[ctx.path] += 1
        asked.set()
        return {"r": ctx.answers[0]} if ctx.answers else ask("r?")

    async def flaky() -> None:
        await asked.wait()
        await asyncio.sleep(0)
        if broken:
            raise NodeError("broken")

    graph = build({"a": asks, "b": flaky}, "start -> a, b -> end", inputs={}, outputs=["r"])
    with pytest.raises(RunError) as caught:
        await graph.arun()
    broken = False
    parked = await graph.aresume(caught.value.run_id)
    assert (parked.status, list(parked.asks), calls) == ("parked", ["a#1"], {"a#1": 1})
    assert (await graph.aresume(parked.run_id, answers={"a#1": "R"}))["r"] == "R"


async def test_answers_are_checked_before_anything_goes_on() -> None:
    async def asks(ctx: Context) -> N | Ask:
        return {"n": ctx.answers[0]} if ctx.answers else ask("n?", "integer")

    graph = build({"a": asks}, "start -> a -> end", inputs={})
    parked = await graph.arun()
    journal = await events(graph)
    with pytest.raises(InputError, match=r"nobody asks at 'a#2'; did you mean 'a#1'\?"):
        await graph.aresume(parked.run_id, answers={"a#2": 1})
    for wrong in ("1", True, 1.5, None):
        with pytest.raises(InputError, match=f"a#1: {wrong!r} is not of type integer"):
            await graph.aresume(parked.run_id, answers={"a#1": wrong})
    assert await events(graph) == journal
    assert (await graph.aresume(parked.run_id, answers={"a#1": 1}))["n"] == 1


async def test_only_what_has_stopped_can_be_resumed() -> None:
    gate = Gate()

    async def waits(n: int) -> N:
        await gate.wait()
        return {"n": n}

    graph = build({"a": waits}, "start -> a -> end")
    with pytest.raises(JournalError, match="no run 'nothing'"):
        await graph.aresume("nothing")
    task = asyncio.ensure_future(graph.arun(n=1))
    await gate.started.wait()
    run_id = (await graph.runs())[0].run_id
    with pytest.raises(InputError, match="is going on in this process"):
        await graph.aresume(run_id)
    gate.open()
    await task
    with pytest.raises(InputError, match="is done"):
        await graph.aresume(run_id)


async def test_a_run_that_was_killed_is_resumed() -> None:
    calls = Calls()
    graph = build({"a": calls.node("a"), "b": calls.node("b")}, "start -> a -> b -> end")
    await graph.arun(n=1)
    first = (await events(graph))[:2]
    await graph.store.begin(RunRecord("killed", "", graph.name, "running"))
    for event in first:
        graph.store.writer("killed")(event.record())
    assert (await graph.aresume("killed"))["n"] == 3
    assert calls == {"a#1": 1, "b#1": 2}


async def test_two_resumes_of_one_run_do_not_both_go_on() -> None:
    calls = Calls()

    async def asks(ctx: Context) -> N | Ask:
        if not ctx.answers:
            return ask("n?", "integer")
        calls[ctx.path] += 1
        await asyncio.sleep(0)
        return {"n": ctx.answers[0]}

    graph = build({"a": asks}, "start -> a -> end", inputs={})
    parked = await graph.arun()
    both = await asyncio.gather(
        *(graph.aresume(parked.run_id, answers={"a#1": n}) for n in (1, 2)), return_exceptions=True
    )
    assert calls == {"a#1": 1}
    assert sum(isinstance(one, InputError) for one in both) == 1


async def test_usage_survives_a_resume_and_a_kill() -> None:
    broken = True

    async def spends(n: int, ctx: Context) -> N:
        ctx.use(Usage(calls=1, input_tokens=10, output_tokens=5))
        return {"n": n + 1}

    async def flaky(n: int, ctx: Context) -> N:
        ctx.use(Usage(calls=1, input_tokens=1))
        if broken:
            raise NodeError("broken")
        return {"n": n}

    graph = build({"a": spends, "b": {"type": flaky, "timeout": 5}}, "start -> a -> b -> end")
    with pytest.raises(RunError) as caught:
        await graph.arun(n=1)
    broken = False
    result = await graph.aresume(caught.value.run_id)
    assert result.usage == Usage(calls=3, input_tokens=12, output_tokens=5)
    journal = [event for event in await events(graph) if event.kind != "run_done"]
    await graph.store.begin(RunRecord("killed", "", graph.name, "running"))
    for event in journal:
        graph.store.writer("killed")(event.record())
    assert (await graph.aresume("killed")).usage == result.usage


async def test_a_run_is_resumed_by_another_graph_object_of_the_same_file_and_store() -> None:
    store = MemoryStore()

    async def asks(ctx: Context) -> N | Ask:
        return {"n": ctx.answers[0]} if ctx.answers else ask("n?", "integer")

    def again() -> Graph:
        return build({"a": asks}, "start -> a -> end", inputs={}, store=store)

    parked = await again().arun(thread_id="t")
    result = await again().aresume(parked.run_id, answers={"a#1": 3})
    assert (result["n"], result.thread_id) == (3, "t")


async def test_a_journal_that_does_not_fit_the_graph_is_refused() -> None:
    store = MemoryStore()

    async def broken() -> None:
        raise NodeError("broken")

    one = build({"a": idle, "b": broken}, "start -> a -> b -> end", store=store, inputs={}, outputs=[])
    other = build({"c": idle, "b": broken}, "start -> c -> b -> end", store=store, inputs={}, outputs=[])
    with pytest.raises(RunError) as caught:
        await one.arun()
    with pytest.raises(JournalError, match="names the node 'a', which"):
        await other.aresume(caught.value.run_id)
    await store.begin(RunRecord("empty", "", "graph", "running"))
    with pytest.raises(JournalError, match="does not say how it started"):
        await one.aresume("empty")
