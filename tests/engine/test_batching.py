"""The adaptive batcher: who is computed with whom, and that nobody is forgotten, mixed up or held up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator import batching
from ragweave.orchestrator.batching import Batcher, Worker
from ragweave.orchestrator.errors import ModelError, NodeError, RagweaveError
from tests.support.doubling import Doubling, begun


async def until(true: Callable[[], bool]) -> None:
    """Let other tasks go on until something holds."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what is waited for happens in a thread
            await asyncio.sleep(0)


async def test_an_idle_model_begins_at_once_and_the_next_batch_fills_meanwhile() -> None:
    model = Doubling(held=True)
    batcher = Batcher(model)
    first = asyncio.ensure_future(batcher.call(0))
    await begun(model)
    assert model.batches == [[0]]
    others = [asyncio.ensure_future(batcher.call(number)) for number in range(1, 6)]
    await asyncio.sleep(0.01)
    model.go.set()
    assert await asyncio.gather(first, *others) == [0, 2, 4, 6, 8, 10]
    assert model.batches == [[0], [1, 2, 3, 4, 5]]
    await batcher.close()


async def test_results_of_many_items_come_in_their_order() -> None:
    model = Doubling()
    batcher = Batcher(model, max_batch=7)
    assert await batcher.map(range(50)) == [2 * number for number in range(50)]
    assert await batcher.map([]) == []
    assert max(map(len, model.batches)) == 7
    await batcher.close()


async def test_one_batch_holds_items_of_one_group_only() -> None:
    model = Doubling()
    batcher = Batcher(model, group=lambda number: number % 3)
    assert await batcher.map(range(12)) == [2 * number for number in range(12)]
    assert model.batches == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    await batcher.close()


async def test_items_of_about_equal_length_are_computed_together() -> None:
    model = Doubling()
    batcher = Batcher(model, max_batch=3, size=lambda number: number, max_size=300)
    assert await batcher.map([10, 99, 11, 100, 12, 98]) == [20, 198, 22, 200, 24, 196]
    assert [sorted(batch) for batch in model.batches] == [[10, 11, 12], [98, 99, 100]]
    await batcher.close()


async def test_an_item_that_is_longer_than_a_batch_is_computed_alone() -> None:
    model = Doubling()
    batcher = Batcher(model, size=lambda number: number, max_size=20)
    assert await batcher.map([5, 50, 6]) == [10, 100, 12]
    assert sorted(map(sorted, model.batches)) == [[5, 6], [50]]
    await batcher.close()


async def test_a_call_that_is_cancelled_leaves_the_others_alone() -> None:
    model = Doubling(held=True)
    batcher = Batcher(model)
    computed = asyncio.ensure_future(batcher.call(1))
    await begun(model)
    waiting = [asyncio.ensure_future(batcher.call(number)) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    computed.cancel()
    waiting[1].cancel()
    await asyncio.sleep(0)
    model.go.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert (outcomes[0], outcomes[2]) == (4, 8)
    assert computed.cancelled()
    assert waiting[1].cancelled()
    assert model.batches == [[1], [2, 4]], "what nobody waits for is not computed"
    await batcher.close()


async def test_an_error_goes_to_every_call_of_its_batch_and_to_no_other() -> None:
    model = Doubling(bad=[3])
    batcher = Batcher(model, max_batch=4)
    outcomes = await asyncio.gather(*(batcher.call(number) for number in range(8)), return_exceptions=True)
    together = next(batch for batch in model.batches if 3 in batch)
    for number, outcome in enumerate(outcomes):
        if number in together:
            assert isinstance(outcome, ModelError)
            assert str(outcome) == "cannot double [3]; leave it out"
        else:
            assert outcome == 2 * number
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert len(set(map(id, errors))) == len(errors), "a traceback belongs to one caller"
    assert await batcher.call(9) == 18, "the batcher goes on"
    await batcher.close()


async def test_where_one_item_may_be_at_fault_only_that_one_fails() -> None:
    model = Doubling(held=True, bad=[3, 5])
    batcher = Batcher(model, separable=lambda error: isinstance(error, ModelError))
    first = asyncio.ensure_future(batcher.call(0))
    await begun(model)
    rest = asyncio.ensure_future(
        asyncio.gather(*(batcher.call(number) for number in range(1, 7)), return_exceptions=True)
    )
    await asyncio.sleep(0.01)
    model.go.set()
    assert await first == 0
    outcomes = await rest
    assert [isinstance(outcome, ModelError) for outcome in outcomes] == [False, False, True, False, True, False]
    assert str(outcomes[2]) == "cannot double [3]; leave it out"
    assert model.batches == [[0], [1, 2, 3, 4, 5, 6], [1], [2], [3], [4], [5], [6]]
    await batcher.close()


async def test_a_model_that_loses_results_is_found_out() -> None:
    batcher: Batcher[int, int] = Batcher(lambda items: items[:-1], name="shrinker")
    with pytest.raises(NodeError, match="shrinker: 0 results for 1 items"):
        await batcher.call(1)
    await batcher.close()


async def test_a_model_that_ends_the_program_ends_its_call_only() -> None:
    def leave(items: list[int]) -> list[int]:
        raise SystemExit(3)

    batcher = Batcher(leave, name="leaver")
    with pytest.raises(NodeError, match="leaver raised SystemExit: 3"):
        await batcher.call(1)
    with pytest.raises(NodeError, match="leaver raised SystemExit: 3"):
        await batcher.call(2)
    await batcher.close()


async def test_close_waits_for_calls_that_were_made_and_refuses_others() -> None:
    model = Doubling(held=True)
    batcher = Batcher(model)
    calls = [asyncio.ensure_future(batcher.call(1))]
    await begun(model)
    calls.append(asyncio.ensure_future(batcher.call(2)))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(batcher.close())
    await until(lambda: batcher.worker._closed)
    assert not closing.done()
    model.go.set()
    async with asyncio.timeout(60):
        await closing
    assert await asyncio.gather(*calls) == [2, 4]
    assert batcher.worker.thread is None
    with pytest.raises(RagweaveError, match="model is closed"):
        await batcher.call(3)
    await batcher.close()


async def test_close_of_a_batcher_that_was_never_used() -> None:
    await Batcher(Doubling()).close()


def test_worker_threads_and_event_loops_share_batches() -> None:
    model = Doubling(held=True)
    batcher = Batcher(model, max_batch=1000)
    results: dict[int, Any] = {}

    async def ask(numbers: Sequence[int]) -> None:
        results.update(zip(numbers, await asyncio.gather(*map(batcher.call, numbers)), strict=True))

    def block(number: int) -> None:
        results[number] = batcher.wait(number)

    threads = [threading.Thread(target=lambda at=at: asyncio.run(ask(range(at, at + 20)))) for at in (0, 20, 40)]
    threads += [threading.Thread(target=block, args=(number,)) for number in range(60, 70)]
    for thread in threads:
        thread.start()
    while sum(map(len, model.batches)) + len(batcher._waiting) < 70:
        time.sleep(0.001)
    model.go.set()
    for thread in threads:
        thread.join(60)
    assert results == {number: 2 * number for number in range(70)}
    assert len(model.batches) == 2, "one for whoever came first, one for all others"
    asyncio.run(batcher.close())


def test_a_caller_whose_event_loop_is_gone_holds_nobody_up() -> None:
    model = Doubling(held=True)
    batcher = Batcher(model)

    async def leave() -> None:
        asyncio.ensure_future(batcher.call(1)).add_done_callback(lambda task: task.cancelled())
        await begun(model)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    model.go.set()
    assert batcher.wait(2) == 4
    asyncio.run(batcher.close())


async def test_an_idle_thread_ends_and_the_next_call_starts_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "IDLE", 0.01)
    batcher = Batcher(Doubling())
    assert await batcher.call(1) == 2
    thread = batcher.worker.thread
    if thread is not None:
        await asyncio.to_thread(thread.join, 60)
    assert batcher.worker.thread is None
    assert await batcher.call(2) == 4
    await batcher.close()


def test_at_the_end_of_the_program_the_batch_that_is_computed_is_waited_for() -> None:
    done: list[str] = []

    def serve() -> bool:
        time.sleep(0.05)
        done.append("step")
        return True  # there is always more to do

    worker = Worker(serve, "endless")
    worker.give(lambda: None)
    while not done:
        time.sleep(0.001)
    worker.end(60)
    assert worker.thread is None


@pytest.mark.parametrize("bounds", [{"max_batch": 0}, {"max_batch": 1, "max_size": 0}])
def test_a_batch_holds_at_least_one(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a batch holds at least 1"):
        Batcher(Doubling(), **bounds)


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 2)), min_size=1, max_size=60),
    max_batch=st.integers(1, 12),
    max_size=st.none() | st.integers(1, 120),
    cancelled=st.sets(st.integers(0, 59)),
    bad=st.sets(st.integers(1, 40), max_size=3),
)
async def test_every_call_is_answered_once_within_the_bounds(
    items: list[tuple[int, int]], max_batch: int, max_size: int | None, cancelled: set[int], bad: set[int]
) -> None:
    batches: list[list[tuple[int, int]]] = []

    def compute(batch: list[tuple[int, int]]) -> list[tuple[str, tuple[int, int]]]:
        batches.append(batch)
        if any(size in bad for size, _ in batch):
            raise ModelError("bad")
        return [("done", item) for item in batch]

    batcher = Batcher(
        compute,
        max_batch=max_batch,
        size=lambda item: item[0],
        max_size=max_size,
        group=lambda item: item[1],
        separable=lambda error: True,
    )
    calls = [asyncio.ensure_future(batcher.call(item)) for item in items]
    await asyncio.sleep(0)
    for place in cancelled:
        if place < len(calls):
            calls[place].cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    await batcher.close()
    for item, call, outcome in zip(items, calls, outcomes, strict=True):
        if not call.cancelled():
            assert isinstance(outcome, ModelError) if item[0] in bad else outcome == ("done", item)
    for batch in batches:
        assert 1 <= len(batch) <= max_batch
        assert len({group for _, group in batch}) == 1
        assert max_size is None or len(batch) == 1 or len(batch) * max(size for size, _ in batch) <= max_size
    retried = [batch for batch in batches if len(batch) > 1 and any(size in bad for size, _ in batch)]
    computed = sum(map(len, batches)) - sum(map(len, retried))
    assert len(items) - len(cancelled) <= computed <= len(items)
