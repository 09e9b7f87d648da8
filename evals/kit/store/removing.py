"""What is removed is gone, with every trace; what others use stays."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ragweave.evals.kit.store.harness import LONG, Stores, begun, data_of, ended, ids, on_stores, step
from ragweave.orchestrator.errors import RunTaken
from ragweave.orchestrator.stores import Status

SHORTLY = 1e-6
"""Days: a tenth of a second."""


def values_of(run: str) -> dict[str, Any]:
    """What a run writes that is its own, in every form in which a store may keep it."""
    return {
        "text": f"{run} {LONG}",
        "texts": [f"{run} {number} {LONG}" for number in range(100)],
        "map": {"in": {"deep": [f"{run} {LONG}", {"list": [f"{run} {number}" for number in range(200)]}]}},
    }


@on_stores
async def test_values_go_with_the_last_run_that_uses_them(stores: Stores) -> None:
    store = stores()
    for run in ("one", "two", "three"):
        await ended(store, run, step(shared=values_of("all")), step(again=values_of("all")), bundle=f"files {LONG}")
    await ended(store, "other", step(**values_of("other")))
    for run, left in (("two", ["one", "three"]), ("one", ["three"])):
        removed = await store.delete(run_id=run)
        assert (removed.runs, removed.values) == (1, 0)
        for other in left:
            assert await data_of(store, other) == [{"shared": values_of("all")}, {"again": values_of("all")}]
            assert await store.bundle(other) == f"files {LONG}"
    removed = await store.delete(run_id="three")
    assert removed.runs == 1
    assert removed.values > 100
    store = await stores.reopened()
    assert await data_of(store, "other") == [values_of("other")]


@on_stores
async def test_what_was_removed_may_come_back(stores: Stores) -> None:
    store = stores()
    for _ in range(3):
        await ended(store, "one", step(**values_of("x")), step(**values_of("y")))
        await store.delete(run_id="one")
        await ended(store, "two", step(**values_of("x")))
        assert await data_of(store, "two") == [values_of("x")]
        await store.delete(run_id="two")


@on_stores
async def test_a_cached_result_holds_its_values(stores: Stores) -> None:
    store = await begun(stores(), "one", step(**values_of("x")))
    await begun(store, "two")
    await store.cache("key", values_of("x"), 100, run_id="two")
    await store.end("one", "done")
    await store.end("two", "done")
    removed = await store.delete(run_id="one")
    assert (removed.runs, removed.values, removed.cached) == (1, 0, 0)
    assert dict(await store.cached("key") or {}) == values_of("x")
    removed = await store.delete(run_id="two")
    assert (removed.runs, removed.cached) == (1, 1)
    assert removed.values > 100
    assert await store.cached("key") is None


@on_stores
async def test_of_a_removed_tenant_nothing_is_left(stores: Stores) -> None:
    store = stores()
    for tenant in ("acme-corp", "other-org"):
        for number in range(3):
            run = f"{tenant}/{number}"
            await ended(
                store, run, step(secret=f"{tenant} pin {number}"), step(**values_of(tenant)),
                thread_id=f"{tenant} thread", user=f"{tenant} user", tenant=tenant, graph=f"{tenant} graph",
            )  # fmt: skip
            await store.cache(f"{tenant} key", {"answer": f"{tenant} answer"}, 1000, run_id=run, tenant=tenant)
    store = await stores.reopened()
    before = stores.stored_bytes()
    removed = await store.delete(tenant="acme-corp")
    assert (removed.runs, removed.cached) == (3, 1)
    assert removed.values > 100
    after = stores.stored_bytes()
    if before is not None and after is not None:
        for mark in (b"pin 1", b"thread", b"user", b"graph", b"key", b"answer", b""):
            assert b"acme-corp " + mark in before
        assert b"acme-corp" not in after
        assert len(after) < len(before)
    again = await store.delete(tenant="acme-corp")
    assert (again.runs, again.values, again.cached) == (0, 0, 0)
    store = await stores.reopened()
    assert ids(await store.runs()) == [f"other-org/{number}" for number in range(3)]
    assert await data_of(store, "other-org/2") == [{"secret": "other-org pin 2"}, values_of("other-org")]
    assert dict(await store.cached("other-org key", "other-org") or {}) == {"answer": "other-org answer"}


@on_stores
async def test_tenants_share_no_values(stores: Stores) -> None:
    store = stores()
    for tenant in ("one", "two"):
        await ended(store, tenant, step(**values_of("equal")), tenant=tenant)
    first = await store.delete(tenant="one")
    assert await data_of(store, "two") == [values_of("equal")]
    second = await store.delete(tenant="two")
    assert first.values == second.values > 100


@on_stores
async def test_what_goes_on_is_not_removed(stores: Stores) -> None:
    store = await begun(stores(), "at work", step(said=LONG), thread_id="t", tenant="acme")
    await ended(store, "done", step(said=LONG), thread_id="t", tenant="acme")
    await store.cache("key", {"answer": LONG}, 100, run_id="done", tenant="acme")
    for one in (store, stores()):
        for which in ({"run_id": "at work"}, {"thread_id": "t", "tenant": "acme"}, {"tenant": "acme"}):
            with pytest.raises(RunTaken, match="at work"):
                await one.delete(**which)
    assert ids(await store.runs()) == ["at work", "done"]
    assert await store.cached("key", "acme") is not None
    await store.end("at work", "parked")
    assert (await stores().delete(tenant="acme")).runs == 2


@on_stores
async def test_gc_removes_runs_that_ended_long_ago(stores: Stores) -> None:
    store = stores(keep_days=SHORTLY)
    statuses: list[Status] = ["done", "failed", "cancelled", "parked"]
    for status in statuses:
        await ended(store, f"old {status}", step(**values_of(status)), step(shared=values_of("all")), status=status)
    await begun(store, "at work", step(shared=values_of("all")))
    await asyncio.sleep(0.2)
    assert (await stores(keep_days=1.0).gc()).runs == 0
    assert (await stores(keep_days=0.0).gc()).runs == 0  # nothing is too old
    removed = await store.gc()
    assert removed.runs == 3
    assert removed.values > 300
    await ended(store, "new", step(a=1))
    assert ids(await store.runs()) == ["old parked", "at work", "new"]
    await store.end("at work", "done")
    assert await data_of(store, "at work") == [{"shared": values_of("all")}]
    assert await data_of(store, "old parked") == [values_of("parked"), {"shared": values_of("all")}]


@on_stores
async def test_removing_tells_what_it_freed(stores: Stores) -> None:
    store = stores()
    before = stores.stored_bytes()
    await ended(
        store, "run", *(step(texts=[f"{number} {other} {LONG}" for other in range(50)]) for number in range(40))
    )
    full = stores.stored_bytes()
    removed = await store.delete(run_id="run")
    assert (removed.runs, removed.values) == (1, 40 * 50 + 40 * 2)
    assert removed.bytes >= 0
    left = stores.stored_bytes()
    if before is not None and full is not None and left is not None:
        assert len(left) - len(before) < (len(full) - len(before)) / 2
