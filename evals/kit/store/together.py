"""Several stores of one place that write and remove at once: no value that is referred to is ever lost."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from ragweave.evals.kit.store.harness import LONG, MakeStore, Stores, data_of, ended, ids, on_stores, step
from ragweave.orchestrator.errors import RunTaken
from ragweave.orchestrator.stores import RunRecord, Status, Store

TEXTS = [f"{name} {LONG}" for name in ("one", "two", "three")]
POOL: list[Any] = [
    *TEXTS,
    TEXTS,
    [TEXTS[0]] * 40,
    {"a": TEXTS[0], "b": {"c": TEXTS[1:]}},
    {"a": [TEXTS[2]] * 70},
    "short",
]
"""Values that have parts in common."""
TENANTS = ["", "acme"]
THREADS = ["t", "u"]

_stores = st.integers(0, 1)
_tenants = st.sampled_from(TENANTS)
_values = st.sampled_from(range(len(POOL)))
_texts = st.sampled_from([None, *range(len(TEXTS))])


@dataclass
class Run:
    """What a run has to be found as."""

    tenant: str
    thread: str
    bundle: str
    status: Status = "running"
    worker: int | None = None
    data: list[dict[str, Any]] = field(default_factory=list)


class TwoStores(RuleBasedStateMachine):
    """Everything that two stores of one place may be told, in any order, beside a plain model of what they keep."""

    def __init__(self, make: MakeStore) -> None:
        super().__init__()
        self._make = make
        self._runner = asyncio.Runner()
        self._stores: list[Store] = [make(), make()]
        self._runs: dict[str, Run] = {}
        self._cached: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
        self._begun = 0

    def _do(self, work: Any) -> Any:
        return self._runner.run(work)

    def _some(self, data: st.DataObject, *, going: bool) -> str:
        return data.draw(
            st.sampled_from([name for name, run in self._runs.items() if (run.worker is not None) == going])
        )

    def _going(self) -> bool:
        return any(run.worker is not None for run in self._runs.values())

    def _stopped(self) -> bool:
        return any(run.worker is None for run in self._runs.values())

    @initialize()
    def nothing_is_there(self) -> None:
        assert list(self._do(self._stores[0].runs())) == []

    @rule(worker=_stores, tenant=_tenants, thread=st.sampled_from(THREADS), bundle=_texts)
    def begin(self, worker: int, tenant: str, thread: str, bundle: int | None) -> None:
        self._begun += 1
        files = "" if bundle is None else TEXTS[bundle]
        name = f"run {self._begun}"
        self._do(self._stores[worker].begin(RunRecord(name, tenant=tenant, thread_id=thread), files))
        self._runs[name] = Run(tenant, thread, files, worker=worker)
        self._do(self._stores[worker].flush(name))

    @precondition(_going)
    @rule(data=st.data(), values=st.lists(_values, min_size=1, max_size=3), flush=st.booleans())
    def write(self, data: st.DataObject, values: list[int], flush: bool) -> None:
        name = self._some(data, going=True)
        run = self._runs[name]
        assert run.worker is not None
        store = self._stores[run.worker]
        for value in values:
            store.writer(name)(step(value=POOL[value]))
            run.data.append({"value": POOL[value]})
        if flush:
            self._do(store.flush(name))

    @precondition(_going)
    @rule(data=st.data(), status=st.sampled_from(["done", "parked", "failed"]))
    def end(self, data: st.DataObject, status: Status) -> None:
        name = self._some(data, going=True)
        run = self._runs[name]
        assert run.worker is not None
        self._do(self._stores[run.worker].end(name, status))
        run.worker, run.status = None, status

    @precondition(_stopped)
    @rule(data=st.data(), worker=_stores)
    def take(self, data: st.DataObject, worker: int) -> None:
        name = self._some(data, going=False)
        self._do(self._stores[worker].take(name))
        self._runs[name].worker, self._runs[name].status = worker, "running"

    @precondition(_stopped)
    @rule(data=st.data(), worker=_stores, value=_values, key=st.sampled_from("kl"))
    def cache(self, data: st.DataObject, worker: int, value: int, key: str) -> None:
        name = self._some(data, going=False)
        tenant, store = self._runs[name].tenant, self._stores[worker]
        result = {"value": POOL[value]}
        self._do(store.cache(key, result, 1000, run_id=name, tenant=tenant))
        assert self._do(store.cached(key, tenant)) == result
        self._cached[tenant, key] = result, name

    @precondition(_stopped)
    @rule(data=st.data(), worker=_stores, bundle=_texts)
    def adopt(self, data: st.DataObject, worker: int, bundle: int | None) -> None:
        name = self._some(data, going=False)
        files = "" if bundle is None else TEXTS[bundle]
        self._do(self._stores[worker].adopt(name, "new", files))
        self._runs[name].bundle = files

    @precondition(_stopped)
    @rule(data=st.data(), worker=_stores)
    def delete_run(self, data: st.DataObject, worker: int) -> None:
        name = self._some(data, going=False)
        assert self._do(self._stores[worker].delete(run_id=name)).runs == 1
        self._forget([name])

    @rule(worker=_stores, tenant=_tenants, thread=st.sampled_from([None, *THREADS]))
    def delete_some(self, worker: int, tenant: str, thread: str | None) -> None:
        fit = [name for name, run in self._runs.items() if run.tenant == tenant and thread in (None, run.thread)]
        deleting = self._stores[worker].delete(thread_id=thread, tenant=tenant)
        if any(self._runs[name].worker is not None for name in fit):
            with pytest.raises(RunTaken):
                self._do(deleting)
            return
        assert self._do(deleting).runs == len(fit)
        self._forget(fit)

    def _forget(self, names: list[str]) -> None:
        for name in names:
            del self._runs[name]
        for place in [place for place, (_, name) in self._cached.items() if name in names]:
            del self._cached[place]

    @rule(worker=_stores)
    def gc(self, worker: int) -> None:
        removed = self._do(self._stores[worker].gc())
        assert (removed.runs, removed.cached) == (0, 0)

    @rule(worker=_stores)
    def reopen(self, worker: int) -> None:
        if not any(run.worker == worker for run in self._runs.values()):
            self._do(self._stores[worker].close())
            self._stores[worker] = self._make()

    @rule(worker=_stores)
    def look(self, worker: int) -> None:
        store = self._stores[worker]
        for run in self._runs.values():  # what the other one has not yet committed is not there to be seen
            if run.worker is not None and run.worker != worker:
                name = next(name for name, one in self._runs.items() if one is run)
                self._do(self._stores[run.worker].flush(name))
        records = self._do(store.runs())
        assert {record.run_id: record.status for record in records} == {
            name: run.status for name, run in self._runs.items()
        }
        for name, run in self._runs.items():
            assert self._do(data_of(store, name)) == run.data
            assert self._do(store.bundle(name)) == run.bundle
        for tenant in TENANTS:
            for key in "kl":
                wanted = self._cached.get((tenant, key), (None, ""))[0]
                assert self._do(store.cached(key, tenant)) == wanted

    def teardown(self) -> None:
        try:
            for name, run in self._runs.items():
                if run.worker is not None:
                    self._do(self._stores[run.worker].end(name, "done"))
                    run.worker, run.status = None, "done"
            self.look(0)
            for tenant in TENANTS:
                self._do(self._stores[1].delete(tenant=tenant))
            assert self._do(self._stores[0].gc())[:3] == (0, 0, 0)
        finally:
            for store in self._stores:
                self._do(store.close())
            self._runner.close()


def test_two_stores_lose_and_mix_up_nothing(make_store: MakeStore) -> None:
    run_state_machine_as_test(
        lambda: TwoStores(make_store),  # type: ignore[arg-type]
        settings=settings(
            max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


async def turmoil(stores: Stores, seed: int, turns: int = 10) -> dict[str, list[dict[str, Any]]]:
    """Runs are written by two stores and removed by them and by a third, all at once; those that are left."""
    chance = random.Random(seed)
    one, other, third = stores(), stores(), stores()
    left: dict[str, list[dict[str, Any]]] = {}
    writing = 6

    async def write(store: Store, name: str) -> None:
        nonlocal writing
        for turn in range(turns):
            run, tenant = f"{name} {turn}", chance.choice(TENANTS)
            data = [
                {"value": f"{chance.randrange(20)} {LONG}", "own": f"{run} {LONG}"}
                for _ in range(chance.randrange(1, 5))
            ]
            await store.begin(RunRecord(run, tenant=tenant), chance.choice(["", *TEXTS]))
            append = store.writer(run)
            for one in data:
                append(step(**one))
                if chance.random() < 0.3:
                    await store.flush(run, safe=chance.random() < 0.5)
                await asyncio.sleep(0)
            await store.cache(chance.choice("kl"), chance.choice(data), 1000, run_id=run, tenant=tenant)
            await store.end(run, "done")
            left[run] = data
        writing -= 1

    async def remove(store: Store) -> None:
        while writing:
            await asyncio.sleep(0)
            if len(left) > 2:  # most of them, so that values go, and come again
                run = chance.choice(list(left))
                del left[run]
                assert (await store.delete(run_id=run)).runs == 1
            elif chance.random() < 0.1:
                await store.gc()

    async with asyncio.TaskGroup() as tasks:
        for number, store in enumerate([one, other] * 3):
            tasks.create_task(write(store, f"{number}"))
        for store in (one, third):
            tasks.create_task(remove(store))
    return left


@on_stores
async def test_what_one_removes_another_writes_again(stores: Stores) -> None:
    one, other = stores(), stores()
    for turn in range(2):
        for tenant in TENANTS:
            await ended(one, f"{tenant} {turn}", *(step(value=value) for value in POOL), tenant=tenant, bundle=LONG)
    for tenant in TENANTS:
        assert (await other.delete(tenant=tenant)).runs == 2
    for tenant in TENANTS:  # the first of them is a sign for the second, too
        await ended(one, f"{tenant} again", *(step(value=value) for value in POOL), tenant=tenant, bundle=LONG)
    for tenant in TENANTS:
        assert await data_of(other, f"{tenant} again") == [{"value": value} for value in POOL]
        assert await other.bundle(f"{tenant} again") == LONG


@on_stores
async def test_removing_beside_writing_loses_nothing(stores: Stores) -> None:
    left = await turmoil(stores, 5)
    store = await stores.reopened()
    assert sorted(ids(await store.runs())) == sorted(left)
    for run, data in left.items():
        assert await data_of(store, run) == data
    for tenant in TENANTS:
        for key in "kl":
            await store.cached(key, tenant)  # raises if a value is not there
