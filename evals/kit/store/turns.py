"""Runs of one thread go one after the other, whichever workers they run in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from ragweave.evals.kit.store.harness import MakeStore, Stores, begun, data_of, ended, eventually, ids, on_stores, step
from ragweave.evals.kit.store.workers import BRIEF, Talk, at_work, beside, forks
from ragweave.orchestrator.errors import RunTaken, ThreadTaken
from ragweave.orchestrator.stores import Durability, RunRecord, Store

THREAD: dict[str, Any] = {"thread_id": "t", "graph": "g", "user": "ann", "tenant": "acme"}


async def try_turn(store: Store, run_id: str, known: Mapping[str, Any]) -> bool:
    """A run, if its thread is free; True if it was."""
    try:
        await store.begin(RunRecord(run_id, **known), in_turn=True)
    except ThreadTaken:
        return False
    store.writer(run_id)(step(said=run_id))
    await store.begun(run_id)
    await store.end(run_id, "done")
    return True


@on_stores
async def test_a_run_that_goes_on_has_its_thread_alone(stores: Stores) -> None:
    one, other = stores(), stores()
    await begun(one, "holds", step(a=1), **THREAD)
    for store in (one, other):
        with pytest.raises(ThreadTaken, match="holds"):
            await store.begin(RunRecord("waits", **THREAD), in_turn=True)
    for what in THREAD:  # only what is equal in all of them is one thread
        assert await try_turn(other, f"another {what}", {**THREAD, what: "x"})
    await begun(other, "of no turn", step(a=1), **THREAD)
    await other.end("of no turn", "failed")
    for status in ("parked", "done", "failed", "cancelled"):
        await one.end("holds", status)
        assert await try_turn(other, f"after {status}", THREAD)
        await one.take("holds", in_turn=True)
    assert not await try_turn(other, "after all", THREAD)
    await one.end("holds", "done")
    assert len(ids(await stores().runs(thread_id="t"))) == 9


@on_stores
async def test_a_parked_run_goes_on_when_its_thread_is_free(stores: Stores) -> None:
    one, other = stores(), stores()
    await ended(one, "parked", step(a=1), status="parked", **THREAD)
    await begun(other, "holds", step(a=1), **THREAD)
    for store in (one, other):
        with pytest.raises(ThreadTaken, match="holds"):
            await store.take("parked", in_turn=True)
    record = await other.record("parked")
    assert record is not None
    assert record.status == "parked"
    assert (await one.take("parked")).status == "running"  # who does not ask for the turn gets the run
    await one.end("parked", "parked")
    await other.end("holds", "parked")
    assert (await one.take("parked", in_turn=True)).status == "running"
    with pytest.raises(ThreadTaken, match="parked"):
        await other.take("holds", in_turn=True)
    await one.end("parked", "done")


@pytest.mark.parametrize("durability", ["async", "exit"])
@on_stores
async def test_of_two_that_begin_at_once_one_is_refused_and_leaves_nothing(
    stores: Stores, durability: Durability
) -> None:
    workers = {name: stores() for name in ("one", "other")}
    for name, store in workers.items():
        await store.begin(RunRecord(name, **THREAD), "files " * 100, durability, in_turn=True)
    told: dict[str, list[str]] = {name: [] for name in workers}
    for name, store in workers.items():
        store.watch(name, told[name].append)
        store.writer(name)(step(said=f"{name} said " * 100))
    found = await asyncio.gather(*(store.begun(name) for name, store in workers.items()), return_exceptions=True)
    refused = [name for name, error in zip(workers, found, strict=True) if error is not None]
    assert [type(error) for error in found if error is not None] == [ThreadTaken]
    (loser,) = refused
    (winner,) = workers.keys() - refused
    assert [bool(told[winner]), bool(told[loser])] == [False, True]
    store = workers[loser]
    for what in (store.flush(loser), store.end(loser, "done")):
        with pytest.raises(RunTaken):
            await what
    assert ids(await store.runs()) == [winner]
    assert not await try_turn_of(store, loser)
    await workers[winner].end(winner, "done")
    assert await try_turn_of(store, loser)
    assert await data_of(stores(), loser) == [{"said": f"{loser} said " * 100}]
    assert await data_of(stores(), winner) == [{"said": f"{winner} said " * 100}]


async def try_turn_of(store: Store, name: str) -> bool:
    """Begin a run that was refused again."""
    try:
        await store.begin(RunRecord(name, **THREAD), "files " * 100, in_turn=True)
    except ThreadTaken:
        return False
    store.writer(name)(step(said=f"{name} said " * 100))
    await store.end(name, "done")
    return True


@on_stores
async def test_a_whole_run_between_looking_and_writing_refuses_the_other(stores: Stores) -> None:
    one, other = stores(), stores()
    await one.begin(RunRecord("slow", **THREAD), "", "exit", in_turn=True)
    one.writer("slow")(step(a=1))
    assert await try_turn(other, "quick", THREAD)
    with pytest.raises(ThreadTaken, match="quick"):
        await one.end("slow", "done")
    assert ids(await one.runs()) == ["quick"]


@forks
def test_the_thread_of_a_killed_worker_is_free_again(make_store: MakeStore) -> None:
    async def work(stores: Stores, talk: Talk) -> None:
        await begun(stores(lease=BRIEF), "holds", step(a=1), **THREAD)
        talk.say("written")
        talk.hear()

    async def follow(stores: Stores) -> None:
        store = stores()
        assert not await try_turn(store, "early", THREAD)
        worker.kill()

        async def free() -> bool:
            return await try_turn(store, "next", THREAD)

        assert await eventually(free)
        assert ids(await store.crashed()) == ["holds"]

    with at_work(make_store, work) as worker:
        assert worker.says() == "written"
        beside(make_store, follow)
