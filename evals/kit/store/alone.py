"""What holds for every store, even one that lives and dies with its process."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from ragweave.evals.kit.store.harness import LONG, Stores, as_written, begun, data_of, ended, ids, on_stores, step
from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.running.events import JOURNALED, Record
from ragweave.orchestrator.stores import RunRecord, Status


@on_stores
async def test_events_come_back_all_and_in_order(stores: Stores) -> None:
    store = stores()
    written = [step(number, said=f"{number}") for number in range(200)]
    await begun(store, "run", *written)
    assert as_written(await store.events("run"), written)


@on_stores
async def test_every_field_of_an_event_comes_back(stores: Stores) -> None:
    store = stores()
    written: list[Record] = [
        (kind, "outer#2/", "node", 3, {"key": number}, None if number % 2 else number, number % 3, number - 1, 1 << 70,
         1.7e9 + number / 7)
        for number, kind in enumerate(sorted(JOURNALED))
    ]  # fmt: skip
    await ended(store, "run", *written)
    assert as_written(await store.events("run"), written)


@on_stores
async def test_what_is_written_after_a_flush_is_added(stores: Stores) -> None:
    store = await begun(stores(), "run", step(1, a=1))
    write = store.writer("run")
    write(step(2, b=LONG))
    write(step(3, b=LONG))
    await store.end("run", "parked")
    assert await data_of(store, "run") == [{"a": 1}, {"b": LONG}, {"b": LONG}]


@on_stores
async def test_reading_sees_what_was_written_just_before(stores: Stores) -> None:
    store = await begun(stores(), "run")
    write = store.writer("run")
    for number in range(20):
        write(step(number, n=number))
        assert len(await store.events("run")) == number + 1


@on_stores
async def test_events_of_an_unknown_run_are_none(stores: Stores) -> None:
    store = stores()
    assert list(await store.events("nothing")) == []
    assert await store.record("nothing") is None
    await ended(store, "run", step())
    assert list(await store.events("nothing")) == []
    assert await store.record("nothing") is None


@on_stores
async def test_a_run_without_events_is_known(stores: Stores) -> None:
    store = await ended(stores(), "run", thread_id="t")
    assert list(await store.events("run")) == []
    assert ids(await store.runs()) == ["run"]


@on_stores
async def test_a_record_says_what_it_was_begun_with(stores: Stores) -> None:
    store = stores()
    before = time.time()
    known = {"thread_id": "thread", "graph": "cookbook", "user": "ann", "tenant": "acme", "version": "abc",
             "parent": "other@node#1"}  # fmt: skip
    await begun(store, "run", **known)
    record = await store.record("run")
    assert record is not None
    assert record.run_id == "run"
    assert {name: getattr(record, name) for name in known} == known
    assert before - 5 < record.begun <= record.changed < time.time() + 5


@pytest.mark.parametrize("status", ["done", "parked", "failed", "cancelled"])
@on_stores
async def test_a_run_has_the_status_with_which_it_ended(stores: Stores, status: Status) -> None:
    store = await begun(stores(), "run", step())
    record = await store.record("run")
    assert record is not None
    assert record.status == "running"
    begin = record.changed
    await asyncio.sleep(0.01)
    await store.end("run", status)
    record = await store.record("run")
    assert record is not None
    assert record.status == status
    assert record.changed > begin


@on_stores
async def test_a_run_that_ended_is_taken_and_goes_on(stores: Stores) -> None:
    store = await ended(stores(), "run", step(1, a=1), status="parked", thread_id="t")
    record = await store.take("run")
    assert (record.run_id, record.thread_id, record.status) == ("run", "t", "running")
    store.writer("run")(step(2, b=LONG))
    await store.flush("run", safe=True)
    await store.end("run", "done")
    assert await data_of(store, "run") == [{"a": 1}, {"b": LONG}]
    assert [one.status for one in await store.runs()] == ["done"]


@on_stores
async def test_only_a_known_run_is_taken(stores: Stores) -> None:
    store = stores()
    with pytest.raises(JournalError, match="nothing"):
        await store.take("nothing")
    await ended(store, "run")
    with pytest.raises(JournalError, match="nothing"):
        await store.take("nothing")


@on_stores
async def test_runs_are_found_by_what_they_are(stores: Stores) -> None:
    store = stores()
    statuses: list[Status] = ["done", "parked", "failed", "cancelled"]
    wanted: list[dict[str, Any]] = []
    for number in range(16):
        known = {"thread_id": f"t{number % 2}", "tenant": f"x{number // 2 % 2}", "graph": f"g{number // 4 % 2}"}
        status = statuses[number % 4]
        await ended(store, f"run {number}", status=status, **known)
        wanted.append({"run_id": f"run {number}", "status": status, **known})
    choices: list[dict[str, Any]] = [
        {}, {"thread_id": "t1"}, {"status": "parked"}, {"tenant": "x0"}, {"graph": "g1"},
        {"tenant": "x1", "graph": "g0"}, {"thread_id": "t0", "status": "done", "tenant": "x0", "graph": "g0"},
        {"thread_id": "nowhere"}, {"tenant": ""}, {"status": "running"},
    ]  # fmt: skip
    for choice in choices:
        fit = [one["run_id"] for one in wanted if all(one[name] == value for name, value in choice.items())]
        assert ids(await store.runs(**choice)) == fit, choice
        for limit in (0, 1, 3, 100):
            assert ids(await store.runs(**choice, limit=limit)) == fit[len(fit) - min(limit, len(fit)) :], choice


@on_stores
async def test_names_are_only_names(stores: Stores) -> None:
    store = stores()
    names = ["it's; DROP TABLE runs; --", "%", "_", "?", "$1", "ünï 日本 🍜", "a\nb", " ", "ß" * 500]
    for name in names:
        await ended(store, name, step(n=name), thread_id=name, tenant=name, graph=name, user=name, version=name)
    assert ids(await store.runs()) == names
    for name in names:
        assert ids(await store.runs(thread_id=name, tenant=name, graph=name)) == [name]
        assert await data_of(store, name) == [{"n": name}]
    for name in names:
        assert (await store.delete(thread_id=name, tenant=name)).runs == 1
    assert ids(await store.runs()) == []


@on_stores
async def test_many_runs_at_once_keep_apart(stores: Stores) -> None:
    store = stores()

    async def go_on(run: str) -> list[Record]:
        await store.begin(RunRecord(run, thread_id=run))
        write = store.writer(run)
        mine = []
        for number in range(8):
            mine.append(step(number, own=f"{run} {LONG}", common=[LONG, number]))
            write(mine[-1])
            if number % 3 == 0:
                await store.flush(run)
            else:
                await asyncio.sleep(0)
        await store.end(run, "done")
        return mine

    runs = [f"run {number}" for number in range(40)]
    written = await asyncio.gather(*map(go_on, runs))
    for run, mine in zip(runs, written, strict=True):
        assert as_written(await store.events(run), mine)
    assert sorted(ids(await store.runs(status="done"))) == sorted(runs)


@on_stores
async def test_a_result_is_cached_for_its_time(stores: Stores) -> None:
    store = await begun(stores(), "run")
    assert await store.cached("key") is None
    await store.cache("key", {"answer": LONG, "n": 1}, 100, run_id="run")
    await store.cache("soon over", {"answer": LONG}, 0.1, run_id="run")
    assert dict(await store.cached("key") or {}) == {"answer": LONG, "n": 1}
    await asyncio.sleep(0.15)
    assert await store.cached("soon over") is None
    assert dict(await store.cached("key") or {}) == {"answer": LONG, "n": 1}
    await store.end("run", "done")


@on_stores
async def test_a_newer_result_replaces_an_older_one(stores: Stores) -> None:
    store = await begun(stores(), "run")
    for answer in (LONG, f"{LONG}!", LONG, "short"):
        await store.cache("key", {"answer": answer}, 100, run_id="run")
        assert dict(await store.cached("key") or {}) == {"answer": answer}
    await store.end("run", "done")


@on_stores
async def test_no_tenant_sees_results_of_another(stores: Stores) -> None:
    store = await begun(stores(), "run", tenant="one")
    await store.cache("key", {"answer": "one's"}, 100, run_id="run", tenant="one")
    assert await store.cached("key", "two") is None
    assert await store.cached("key") is None
    await store.cache("key", {"answer": "two's"}, 100, run_id="run", tenant="two")
    assert dict(await store.cached("key", "one") or {}) == {"answer": "one's"}
    assert dict(await store.cached("key", "two") or {}) == {"answer": "two's"}
    await store.end("run", "done")


@on_stores
async def test_a_deleted_run_is_gone_and_no_other(stores: Stores) -> None:
    store = stores()
    for run in ("one", "two"):
        await ended(store, run, step(own=f"{run} {LONG}", common=LONG), thread_id="t")
        await store.cache(run, {"answer": LONG}, 100, run_id=run)
    removed = await store.delete(run_id="one")
    assert (removed.runs, removed.cached) == (1, 1)
    assert await store.record("one") is None
    assert list(await store.events("one")) == []
    assert await store.cached("one") is None
    assert ids(await store.runs()) == ["two"]
    assert await data_of(store, "two") == [{"own": f"two {LONG}", "common": LONG}]
    assert dict(await store.cached("two") or {}) == {"answer": LONG}
    again = await store.delete(run_id="one")
    assert (again.runs, again.values, again.cached) == (0, 0, 0)


@on_stores
async def test_a_deleted_thread_is_that_of_one_tenant(stores: Stores) -> None:
    store = stores()
    for tenant in ("", "acme", "other"):
        for thread in ("t", "u"):
            for number in range(2):
                run = f"{tenant} {thread} {number}"
                await ended(store, run, step(said=LONG), thread_id=thread, tenant=tenant)
    assert (await store.delete(thread_id="t", tenant="acme")).runs == 2
    assert (await store.delete(thread_id="u")).runs == 2
    assert (await store.delete(thread_id="t", tenant="nobody")).runs == 0
    left = [" t 0", " t 1", "acme u 0", "acme u 1", "other t 0", "other t 1", "other u 0", "other u 1"]
    assert ids(await store.runs()) == left
    for run in left:
        assert await data_of(store, run) == [{"said": LONG}]


@on_stores
async def test_of_a_deleted_tenant_nothing_is_found(stores: Stores) -> None:
    store = stores()
    for tenant in ("acme", "other"):
        for number in range(3):
            run = f"{tenant} {number}"
            await ended(store, run, step(said=LONG, own=f"{run} {LONG}"), thread_id="t", tenant=tenant)
            await store.cache(run, {"answer": LONG}, 100, run_id=run, tenant=tenant)
    removed = await store.delete(tenant="acme")
    assert (removed.runs, removed.cached) == (3, 3)
    assert ids(await store.runs(tenant="acme")) == []
    assert await store.cached("acme 1", "acme") is None
    assert ids(await store.runs()) == ["other 0", "other 1", "other 2"]
    assert await data_of(store, "other 1") == [{"said": LONG, "own": f"other 1 {LONG}"}]
    assert dict(await store.cached("other 1", "other") or {}) == {"answer": LONG}


@on_stores
async def test_what_is_to_be_deleted_is_said(stores: Stores) -> None:
    store = await ended(stores(), "run", step())
    with pytest.raises(JournalError, match="a run, a thread or a tenant"):
        await store.delete()
    assert ids(await store.runs()) == ["run"]


@on_stores
async def test_a_deleted_run_may_be_begun_again(stores: Stores) -> None:
    store = stores()
    for turn in range(3):
        await ended(store, "run", step(turn=turn, said=LONG), tenant="acme")
        assert await data_of(store, "run") == [{"turn": turn, "said": LONG}]
        assert (await store.delete(run_id="run")).runs == 1
    assert ids(await store.runs()) == []


@on_stores
async def test_gc_removes_results_that_are_over(stores: Stores) -> None:
    store = await begun(stores(), "run")
    await store.cache("over", {"answer": LONG}, 0.05, run_id="run")
    await store.cache("fresh", {"answer": LONG}, 100, run_id="run")
    await asyncio.sleep(0.1)
    assert (await store.gc()).cached == 1
    assert dict(await store.cached("fresh") or {}) == {"answer": LONG}
    assert ids(await store.runs()) == ["run"]
    await store.end("run", "done")


@on_stores
async def test_a_run_may_be_given_another_version(stores: Stores) -> None:
    store = await ended(stores(), "run", step(said=LONG), status="parked", version="one")
    await store.adopt("run", "two", "")
    record = await store.record("run")
    assert record is not None
    assert (record.version, record.status) == ("two", "parked")
    assert await data_of(store, "run") == [{"said": LONG}]


@on_stores
async def test_nobody_has_crashed_while_all_are_at_work(stores: Stores) -> None:
    store = await begun(stores(), "one", step())
    await ended(store, "two", step())
    assert ids(await store.crashed()) == []
    await store.end("one", "done")


@on_stores
async def test_a_store_may_be_closed_before_it_is_used_and_twice(stores: Stores) -> None:
    store = stores()
    await store.close()
    await store.close()
