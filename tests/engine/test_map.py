"""`map`: one call per item, results in the order of the items (R15)."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import NodeError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.values import Ask
from tests.engine.steps import K, R, ask, build, events, finished


class Total(TypedDict):
    total: int


def over(function: Callable[..., Any], *, outputs: str = "r", **policy: Any) -> Graph:
    """A graph that maps a function over `items: list[str]`."""
    return build(
        {"m": {"type": function, "map": {"over": "items", "as": "item", **policy}}},
        "start -> m -> end",
        inputs={"items": "list[str]"},
        outputs=[outputs],
    )


async def test_results_stand_in_the_order_of_the_items_whatever_ends_first() -> None:
    ends: list[str] = []
    turn = {"a": asyncio.Event(), "b": asyncio.Event(), "c": asyncio.Event()}
    turn["c"].set()

    async def work(item: str) -> R:
        await turn[item].wait()
        ends.append(item)
        if item != "a":
            turn[chr(ord(item) - 1)].set()
        return {"r": item.upper()}

    result = await over(work).arun(items=["a", "b", "c"])
    assert ends == ["c", "b", "a"]
    assert result["r"] == ["A", "B", "C"]


@pytest.mark.parametrize("most", [1, 3, 50])
async def test_at_most_so_many_items_are_worked_on_at_a_time(most: int) -> None:
    now, peak = 0, 0

    async def work(item: str) -> R:
        nonlocal now, peak
        now += 1
        peak = max(peak, now)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        now -= 1
        return {"r": item}

    await over(work, max_concurrency=most).arun(items=[str(at) for at in range(20)])
    assert peak == min(most, 20)


async def test_an_empty_list_makes_no_call() -> None:
    async def work(item: str) -> R:
        raise AssertionError("it was called")

    assert (await over(work).arun(items=[]))["r"] == []


async def test_an_empty_list_with_a_merge_is_the_merge_of_nothing() -> None:
    async def work(item: str) -> Total:
        raise AssertionError("it was called")

    async def texts(item: str) -> K:
        raise AssertionError("it was called")

    assert (await over(work, outputs="total", merge="sum").arun(items=[]))["total"] == 0
    assert (await over(texts, outputs="k", merge="extend").arun(items=[]))["k"] == []
    with pytest.raises(RunError, match="the merge of 0 values of 'total' failed"):
        await over(work, outputs="total", merge="min").arun(items=[])


async def test_a_merge_makes_one_value_of_all_items() -> None:
    async def work(item: str) -> Total:
        return {"total": int(item)}

    assert (await over(work, outputs="total", merge="sum").arun(items=["1", "20", "300"]))["total"] == 321


async def test_one_failed_item_fails_the_node_and_cancels_the_others() -> None:
    cancelled = asyncio.Event()
    started = asyncio.Event()

    async def work(item: str) -> R:
        if item == "bad":
            await started.wait()
            raise NodeError("bad item")
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return {"r": item}

    with pytest.raises(RunError, match="bad item") as caught:
        await over(work).arun(items=["good", "bad"])
    assert caught.value.path == "m#1[1]"
    assert cancelled.is_set()


async def test_when_several_items_fail_at_once_none_is_complained_of_later() -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told["message"]))

    async def work(item: str) -> R:
        await asyncio.sleep(0)
        raise NodeError(item)

    with pytest.raises(RunError, match="bad 1"):
        await over(work).arun(items=["bad 1", "bad 2", "bad 3"])
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_skip_failed_leaves_failed_items_out() -> None:
    async def work(item: str) -> R:
        if "bad" in item:
            raise NodeError(item)
        return {"r": item}

    assert (await over(work, skip_failed=True).arun(items=["a", "bad", "c"]))["r"] == ["a", "c"]
    with pytest.raises(RunError, match="bad 1"):
        await over(work, skip_failed=True).arun(items=["bad 1", "bad 2"])
    assert (await over(work, skip_failed=True).arun(items=[]))["r"] == []


async def test_policies_act_on_each_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragweave.orchestrator.running.wrappers.FIRST_PAUSE", 0.0)
    calls: list[str] = []

    async def work(item: str, ctx: Context) -> R:
        calls.append(f"{item}{ctx.attempt}")
        if item == "b" and ctx.attempt < 3:
            raise NodeError("busy", transient=True)
        return {"r": ctx.path}

    graph = build(
        {"m": {"type": work, "retry": 2, "map": {"over": "items", "as": "item"}}},
        "start -> m -> end",
        inputs={"items": "list[str]"},
        outputs=["r"],
    )
    assert (await graph.arun(items=["a", "b"]))["r"] == ["m#1[0]", "m#1[1]"]
    assert sorted(calls) == ["a1", "b1", "b2", "b3"]


async def test_each_item_is_journaled_once_as_it_ends() -> None:
    async def work(item: str) -> R:
        return {"r": item}

    graph = over(work)
    await graph.arun(items=["a", "b", "c"])
    journal = [(event.kind, event.path) for event in await events(graph)]
    assert journal == [
        ("run_started", ""),
        ("item", "m#1[0]"),
        ("item", "m#1[1]"),
        ("item", "m#1[2]"),
        ("finished", "m#1"),
        ("run_done", ""),
    ]


async def test_items_that_finished_are_not_called_again_after_a_failure() -> None:
    broken = True
    calls: list[str] = []

    async def work(item: str) -> R:
        calls.append(item)
        if item == "c" and broken:
            raise NodeError("c is broken")
        return {"r": item}

    graph = over(work, max_concurrency=1)
    with pytest.raises(RunError) as caught:
        await graph.arun(items=["a", "b", "c", "d"])
    assert calls == ["a", "b", "c"]
    broken = False
    result = await graph.aresume(caught.value.run_id)
    assert calls == ["a", "b", "c", "c", "d"]
    assert result["r"] == ["a", "b", "c", "d"]


async def test_an_item_that_failed_and_was_left_out_stays_out_when_the_run_goes_on() -> None:
    calls: list[str] = []

    async def work(item: str, ctx: Context) -> R | Ask:
        calls.append(item)
        if item == "bad":
            raise NodeError("bad")
        if item == "ask" and not ctx.answers:
            return ask("And?")
        return {"r": item + "".join(ctx.answers)}

    graph = over(work, skip_failed=True)
    parked = await graph.arun(items=["good", "bad", "ask"])
    assert parked.status == "parked"
    result = await graph.aresume(parked.run_id, answers={"m#1[2]": "!"})
    assert calls == ["good", "bad", "ask", "ask"]
    assert result["r"] == ["good", "ask!"]


async def test_a_node_all_of_whose_items_failed_is_called_again_as_a_whole() -> None:
    broken = True

    async def work(item: str) -> R:
        if broken:
            raise NodeError(item)
        return {"r": item}

    graph = over(work, skip_failed=True)
    with pytest.raises(RunError, match="a") as caught:
        await graph.arun(items=["a", "b"])
    broken = False
    assert (await graph.aresume(caught.value.run_id))["r"] == ["a", "b"]


async def test_a_map_in_a_loop_forgets_the_items_of_the_visit_before() -> None:
    class Items(TypedDict):
        items: list[str]

    async def work(item: str, ctx: Context) -> R:
        return {"r": f"{item}{ctx.visit}"}

    async def more(r: list[str]) -> Items:
        return {"items": [*r, "x"]}

    graph = build(
        {"m": {"type": work, "map": {"over": "items", "as": "item"}}, "more": more},
        "start -> m -> more",
        {"from": "more", "routes": [{"when": "size(items) < 4", "to": "m", "max_iterations": 5}, {"to": "end"}]},
        inputs={"items": "list[str]"},
        outputs=["r"],
    )
    assert (await graph.arun(items=["a"]))["r"] == ["a123", "x23", "x3"]
    assert await finished(graph) == [f"{node}#{visit}" for visit in (1, 2, 3) for node in ("m", "more")]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), max_size=8), st.integers(1, 9), st.randoms(use_true_random=False))
def test_any_list_any_failures_any_schedule(fine: list[bool], most: int, random: Any) -> None:
    delays = [random.randrange(4) for _ in fine]

    async def work(item: str) -> R:
        for _ in range(delays[int(item)]):
            await asyncio.sleep(0)
        if not fine[int(item)]:
            raise NodeError(item)
        return {"r": item}

    graph = over(work, skip_failed=True, max_concurrency=most)
    items = [str(at) for at in range(len(fine))]
    if fine and not any(fine):
        with pytest.raises(RunError, match=r"m#1\[0\]: 0"):
            asyncio.run(graph.arun(items=items))
    else:
        kept = [item for item in items if fine[int(item)]]
        assert asyncio.run(graph.arun(items=items)).outputs == {"r": kept}
