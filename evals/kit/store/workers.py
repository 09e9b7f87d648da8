"""One worker at a time writes a run. Where the system can fork, those that stand still or are killed are real ones."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import pytest

from ragweave.evals.kit.store.harness import (
    LONG,
    MakeStore,
    Stores,
    as_written,
    begun,
    data_of,
    ended,
    eventually,
    ids,
    on_stores,
    step,
)
from ragweave.orchestrator.errors import JournalError, RunTaken
from ragweave.orchestrator.stores import RunRecord

BRIEF = 1.5
"""Seconds: the lease of a worker that will stand still."""
PATIENCE = 120.0

forks = pytest.mark.skipif(sys.platform == "win32", reason="this system cannot fork")


class Worker:
    """A process of its own, which works on a store of this place and talks over a pipe."""

    def __init__(self, make: MakeStore, work: Callable[[Stores, Talk], Awaitable[None]]) -> None:
        processes = multiprocessing.get_context("fork")
        ours, theirs = processes.Pipe()
        self._talk = Talk(ours)
        self.process = processes.Process(target=_work, args=(make, work, theirs), daemon=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # its threads are not ours
            self.process.start()
        theirs.close()

    def says(self) -> Any:
        """What it says next."""
        return self._talk.hear()

    def tell(self, what: Any) -> None:
        """Say something to it."""
        self._talk.say(what)

    def send(self, number: int) -> None:
        """A signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """No farewell, no flush."""
        self.process.kill()
        self.process.join()

    def ended(self) -> None:
        """Wait until it has done its work."""
        self.process.join(PATIENCE)
        assert self.process.exitcode == 0


class Talk:
    """One end of a pipe."""

    def __init__(self, end: Connection[Any, Any]) -> None:
        self._end = end

    def say(self, what: Any) -> None:
        """Send something."""
        self._end.send(what)

    def hear(self) -> Any:
        """What the other end says next."""
        if not self._end.poll(PATIENCE):
            raise TimeoutError("the other process says nothing")
        return self._end.recv()


def _work(make: MakeStore, work: Callable[[Stores, Talk], Awaitable[None]], end: Connection[Any, Any]) -> None:
    async def do() -> None:
        stores = Stores(make)
        try:
            await work(stores, Talk(end))
        finally:
            await stores.close()

    asyncio.run(do())


@contextlib.contextmanager
def at_work(make: MakeStore, work: Callable[[Stores, Talk], Awaitable[None]]) -> Iterator[Worker]:
    """A worker for the time of a test."""
    worker = Worker(make, work)
    try:
        yield worker
    finally:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()


def beside(make: MakeStore, check: Callable[[Stores], Awaitable[None]]) -> None:
    """Do something in this process, with stores of its own."""
    asyncio.run(_beside(make, check))


async def _beside(make: MakeStore, check: Callable[[Stores], Awaitable[None]]) -> None:
    stores = Stores(make)
    try:
        await check(stores)
    finally:
        await stores.close()


@on_stores
async def test_a_run_that_goes_on_is_not_taken(stores: Stores) -> None:
    one, other = stores(), stores()
    await begun(one, "run", step(a=1))
    for store in (one, other):
        with pytest.raises(RunTaken, match="run"):
            await store.take("run")
    await one.end("run", "parked")
    assert (await other.take("run")).status == "running"
    with pytest.raises(RunTaken):
        await one.take("run")
    with pytest.raises(RunTaken):
        one.writer("run")
    with pytest.raises(RunTaken):
        await one.end("run", "done")
    other.writer("run")(step(b=2))
    await other.end("run", "done")
    assert await data_of(one, "run") == [{"a": 1}, {"b": 2}]


@on_stores
async def test_one_of_many_takes_a_run(stores: Stores) -> None:
    await ended(stores(), "run", step(a=1), status="parked")
    workers = [stores() for _ in range(6)]
    tries = await asyncio.gather(*(worker.take("run") for worker in workers), return_exceptions=True)
    got = [worker for worker, found in zip(workers, tries, strict=True) if isinstance(found, RunRecord)]
    assert len(got) == 1
    assert sum(isinstance(found, RunTaken) for found in tries) == 5
    got[0].writer("run")(step(b=2))
    await got[0].end("run", "done")
    assert await data_of(stores(), "run") == [{"a": 1}, {"b": 2}]


@on_stores
async def test_a_worker_that_lives_keeps_its_runs(stores: Stores) -> None:
    one, other = stores(lease=3.0), stores()
    await begun(one, "run", step(a=1))
    told: list[str] = []
    one.watch("run", told.append)
    for _ in range(7):  # longer than the lease
        await asyncio.sleep(0.5)
        assert ids(await other.crashed()) == []
        with pytest.raises(RunTaken):
            await other.take("run")
    one.writer("run")(step(b=2))
    await one.end("run", "done")
    assert told == []
    assert await data_of(other, "run") == [{"a": 1}, {"b": 2}]


@forks
def test_a_killed_worker_has_crashed_and_its_runs_are_taken(make_store: MakeStore) -> None:
    written = [step(number, said=f"{number} {LONG}") for number in range(5)]

    async def work(stores: Stores, talk: Talk) -> None:
        store = await begun(stores(lease=BRIEF), "run", *written, bundle=LONG, thread_id="t")
        await ended(store, "other")
        talk.say("written")
        talk.hear()

    async def take_over(stores: Stores) -> None:
        store = stores()

        async def crashed() -> bool:
            return ids(await store.crashed()) == ["run"]

        assert await eventually(crashed)
        record = await store.take("run")
        assert (record.thread_id, record.status) == ("t", "running")
        assert ids(await store.crashed()) == []
        assert as_written(await store.events("run"), written)
        assert await store.bundle("run") == LONG
        store.writer("run")(step(said=LONG))
        await store.end("run", "done")
        assert len(await stores().events("run")) == 6

    with at_work(make_store, work) as worker:
        assert worker.says() == "written"
        worker.kill()
        beside(make_store, take_over)


async def _stand_still(stores: Stores, talk: Talk) -> None:
    """Write two runs, stand still, and go on with both, although one of them is lost."""
    store = await begun(stores(lease=BRIEF), "mate", step(said="first"), tenant="acme")
    await begun(store, "run", step(said="first"), tenant="acme")
    told: list[str] = []
    store.watch("run", told.append)
    write = store.writer("run")
    await asyncio.sleep(0.2)  # a sign of life has just been given: none will be in the middle
    talk.say("written")
    wait = talk.hear()

    async def noticed() -> bool:
        return bool(told)

    if wait:
        assert await eventually(noticed)
    # A run that it has not lost says the same as the one that it has: what the one has brought is not counted on.
    write(step(said=f"too late {LONG}"))
    store.writer("mate")(step(said=f"too late {LONG}"))
    await store.end("mate", "done")
    tries = []
    for what in (store.flush("run"), store.flush("run", safe=True), store.end("run", "failed")):
        try:
            await what
            tries.append("done")
        except JournalError as error:
            tries.append(type(error).__name__)
    await ended(store, "next", step(said=f"too late {LONG}"), tenant="acme")
    talk.say((told, tries))


@forks
@pytest.mark.parametrize("meanwhile", ["taken", "taken while it says nothing", "deleted"])
def test_a_worker_that_stood_still_is_told_and_writes_nothing_more(make_store: MakeStore, meanwhile: str) -> None:
    async def go_on(stores: Stores) -> None:
        store = stores()

        async def crashed() -> bool:
            return ids(await store.crashed()) == ["mate", "run"]

        assert await eventually(crashed), "the lease of a worker that stands still is never over"
        if meanwhile == "deleted":
            assert (await store.delete(run_id="run")).runs == 1
            await begun(store, "another", step(said="second"), tenant="acme")
        else:
            await store.take("run")
            store.writer("run")(step(said="second"))
            await store.flush("run")
        worker.tell(meanwhile == "taken while it says nothing")
        worker.send(signal.SIGCONT)
        told, tries = worker.says()
        assert len(told) == 1
        assert "run" in told[0]
        assert tries == ["RunTaken"] * 3
        worker.ended()
        mine, left = ("another", []) if meanwhile == "deleted" else ("run", [{"said": "first"}])
        store.writer(mine)(step(said="third"))
        await store.end(mine, "done")
        assert await data_of(store, mine) == [*left, {"said": "second"}, {"said": "third"}]
        assert (await store.record("run") is None) == (meanwhile == "deleted")
        assert await data_of(store, "mate") == [{"said": "first"}, {"said": f"too late {LONG}"}]
        assert await data_of(store, "next") == [{"said": f"too late {LONG}"}]

    with at_work(make_store, _stand_still) as worker:
        assert worker.says() == "written"
        worker.send(signal.SIGSTOP)
        beside(make_store, go_on)
