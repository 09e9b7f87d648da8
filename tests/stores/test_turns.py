"""Runs of one thread go one after the other, also in processes that share a store."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ragweave.orchestrator.errors import JournalError, RunError, ThreadBusy
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.stores.database import Cursor
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from tests.stores.support import Said, echo, store_of


def started(folder: Path, name: str, count: int, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.stores.taking_turns", str(folder), name, str(count), how]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said


def log_of(folder: Path) -> list[str]:
    file = folder / "log"
    return file.read_text().splitlines() if file.exists() else []


async def test_two_processes_take_turns(tmp_path: Path) -> None:
    processes = [started(tmp_path, name, 6, how) for name, how in (("a", "run"), ("b", "stream"))]
    for process in processes:
        ended(process)
    # A call may have been made twice, if its run was refused at its first commit; but only one of them was kept.
    assert set(log_of(tmp_path)) == {
        f"{what} {n}{number}" for what in ("enter", "leave") for n in "ab" for number in range(6)
    }
    store = store_of(tmp_path / "runs.sqlite")
    times = []
    for record in await store.runs():
        events = await store.events(record.run_id)
        times.append((events[0].at, events[-1].at))
    await store.close()
    assert len(times) == 12
    assert [moment for span in sorted(times) for moment in span] == sorted(moment for span in times for moment in span)


def test_a_thread_whose_process_was_killed_is_free(tmp_path: Path) -> None:
    holder = started(tmp_path, "held", 1, "hold")
    until = time.monotonic() + 120
    while not log_of(tmp_path) and time.monotonic() < until:
        time.sleep(0.02)
    follower = started(tmp_path, "next", 1, "run")
    time.sleep(1.0)
    assert log_of(tmp_path) == ["enter held0"]
    holder.kill()
    holder.communicate()
    ended(follower)
    assert log_of(tmp_path) == ["enter held0", "enter next0", "leave next0"]


def pair(folder: Path, **settings: Any) -> tuple[Graph, Graph, asyncio.Event, asyncio.Event]:
    """Two graphs on one file, as in two processes; the first one stays in its node until it is told to go on."""
    inside, go_on = asyncio.Event(), asyncio.Event()

    @node(name="held_in_stores")
    async def say(text: str) -> Said:
        inside.set()
        await go_on.wait()
        return {"said": text}

    def made() -> Graph:
        return Graph(
            name="echo", inputs={"text": "str"}, outputs=["said"], nodes={"say": say}, edges=["start -> say -> end"],
            store=DurableStore(SqliteDatabase(folder / "runs.sqlite")), **settings,
        )  # fmt: skip

    return made(), made(), inside, go_on


async def holding(graph: Graph, inside: asyncio.Event) -> str:
    """The run of this graph that goes on, once others can see it."""
    await inside.wait()
    return (await graph.runs(status="running"))[0].run_id


async def test_who_refuses_is_told_which_run_goes_on_elsewhere(tmp_path: Path) -> None:
    one, other, inside, go_on = pair(tmp_path, turns="reject")
    async with one, other:
        going = asyncio.ensure_future(one.arun(text="a", thread_id="t"))
        first = await holding(one, inside)
        with pytest.raises(ThreadBusy, match=f"run {first} goes on"):
            await other.arun(text="b", thread_id="t")
        go_on.set()
        assert (await going)["said"] == "a"
        assert (await other.arun(text="b", thread_id="t"))["said"] == "b"


async def test_a_run_that_waits_for_another_process_can_be_cancelled(tmp_path: Path) -> None:
    one, other, inside, go_on = pair(tmp_path)
    async with one, other:
        going = asyncio.ensure_future(one.arun(text="a", thread_id="t"))
        first = await holding(one, inside)
        for end in ("task", "thread"):
            waiting = asyncio.ensure_future(other.arun(text="b", thread_id="t"))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            if end == "task":
                waiting.cancel()
            else:
                await other.cancel(thread_id="t")
            with pytest.raises(asyncio.CancelledError if end == "task" else RunError):
                await waiting
        go_on.set()
        await going
        assert [record.run_id for record in await one.runs()] == [first]


async def test_what_a_refused_run_has_shown_is_not_seen(tmp_path: Path) -> None:
    """Both have looked before one of them was written: the other begins again, and its stream shows one beginning."""
    one, other, inside, go_on = pair(tmp_path)
    async with one, other:
        both = [graph.stream(text=text, thread_id="t") for graph, text in ((one, "a"), (other, "b"))]

        async def seen(number: int) -> list[Event]:
            return [event async for event in both[number]]

        going = [asyncio.ensure_future(seen(number)) for number in range(2)]
        await inside.wait()
        await asyncio.sleep(0.2)
        go_on.set()
        for events in await asyncio.gather(*going):
            assert [event.kind for event in events] == ["run_started", "started", "finished", "run_done"]
        assert [record.status for record in await one.runs(thread_id="t")] == ["done", "done"]


async def test_a_deadline_begins_when_the_turn_comes(tmp_path: Path, skip: Callable[[float], None]) -> None:
    one, other, inside, go_on = pair(tmp_path)
    async with one, other:
        going = asyncio.ensure_future(one.arun(text="a", thread_id="t"))
        await holding(one, inside)
        waiting = asyncio.ensure_future(other.arun(text="b", thread_id="t", deadline=60))
        await asyncio.sleep(0.1)
        skip(100)
        await asyncio.sleep(0.1)
        go_on.set()
        await going
        result = await waiting
        assert result["said"] == "b"
        assert (await other.store.events(result.run_id))[0].data["deadline"] == 60


class Away(SqliteDatabase):
    """A database that is out of reach for some looks."""

    looks = 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[Cursor]:
        self.looks += 1
        if self.looks <= 2:
            raise JournalError("nobody answers", transient=self.looks == 1 or self.path.name == "soon")
        with super().reading() as cursor:
            yield cursor


async def test_a_turn_waits_for_a_database_that_is_out_of_reach(tmp_path: Path) -> None:
    for name in ("soon", "never"):
        database = Away(tmp_path / name)
        database.open()
        async with echo(DurableStore(database)) as graph:
            if name == "soon":
                assert (await graph.arun(text="a", thread_id="t"))["said"] == "A"
            else:
                with pytest.raises(JournalError, match="nobody answers"):
                    await graph.arun(text="a", thread_id="t")


async def test_a_turn_costs_no_commit(tmp_path: Path) -> None:
    def commits() -> int:
        index = (tmp_path / "runs.sqlite-shm").read_bytes()
        return int.from_bytes(index[8:12], sys.byteorder)  # SQLite counts them up there

    made = {}
    async with echo(store_of(tmp_path / "runs.sqlite")) as graph:
        await graph.arun(text="first")
        for thread in ("", "t"):
            before = commits()
            for _ in range(20):
                await graph.arun(text="a", thread_id=thread)
            made[thread] = commits() - before
    assert made["t"] <= made[""] + 2  # a slow machine may part a run in two
