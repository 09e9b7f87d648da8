"""Parked runs in a store that outlives its process: who answers, when, how often, and what that costs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, RunError, RunTaken
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node_type
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.stores import Durability, RunRecord
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from ragweave.orchestrator.stores.waiting import Waiting, waiting
from ragweave.orchestrator.values import Ask
from tests.engine.steps import Calls, Gate, N, ask, build, idle


async def careful(n: int, ctx: Context) -> N | Ask:
    return {"n": n + ctx.answers[-1]} if ctx.answers else ask("How many?", "integer")


def kept(folder: Path) -> DurableStore:
    return DurableStore(SqliteDatabase(folder / "runs.sqlite"))


def desk(folder: Path, store: DurableStore | None = None, **more: Any) -> Graph:
    return build({"a": careful}, "start -> a -> end", store=store or kept(folder), **more)


async def test_parked_time_counts_toward_no_deadline_and_no_timeout(
    tmp_path: Path, skip: Callable[[float], None]
) -> None:
    async def slow(n: int) -> N:
        skip(150)
        await asyncio.sleep(0.001)
        return {"n": n}

    def opened() -> Graph:
        inner = build({"slow": slow, "ask": careful}, "start -> slow -> ask -> end", name="inner")
        return build(
            {"g": {"type": inner, "timeout": "400s"}, "last": slow}, "start -> g -> last -> end",
            store=kept(tmp_path), limits={"deadline": "400s"},
        )  # fmt: skip

    async with opened() as graph:
        parked = await graph.arun(n=1)
    skip(500)
    async with opened() as graph:
        assert (await graph.aresume(parked.run_id, answers={"g#1/ask#1": 2}))["n"] == 3
    async with opened() as graph:  # but what a run has used before it asked is not given back
        parked = await graph.arun(n=1, deadline="200s")
    async with opened() as graph:
        with pytest.raises(RunError, match=r"the deadline of 200 s has passed"):
            await graph.aresume(parked.run_id, answers={"g#1/ask#1": 2})


async def test_a_parked_run_does_not_hold_its_thread(tmp_path: Path) -> None:
    async with desk(tmp_path) as graph:
        first = await graph.arun(n=1, thread_id="t")
        second = await asyncio.wait_for(graph.arun(n=2, thread_id="t"), 60)
    async with desk(tmp_path) as graph:
        third = await asyncio.wait_for(graph.arun(n=3, thread_id="t"), 60)
        assert {one.run_id for one in await graph.waiting(thread_id="t")} == {
            first.run_id, second.run_id, third.run_id,
        }  # fmt: skip
        for parked, sum_ in ((third, 13), (first, 11), (second, 12)):
            assert (await graph.aresume(parked.run_id, answers={"a#1": 10}))["n"] == sum_


async def test_an_answer_to_a_run_that_goes_on_is_refused(tmp_path: Path) -> None:
    gate = Gate()

    async def holds(n: int) -> N:
        await gate.wait()
        return {"n": n}

    graph = build(
        {"a": careful, "b": {"type": holds, "writes": {"n": "m"}}, "j": idle}, "start -> a, b -> j -> end",
        store=kept(tmp_path),
    )  # fmt: skip
    task = asyncio.ensure_future(graph.arun(n=1))
    await gate.started.wait()
    (record,) = await graph.runs()
    with pytest.raises(InputError, match="is going on in this process; wait for it, or cancel it first"):
        await graph.aresume(record.run_id, answers={"a#1": 1})
    gate.open()
    parked = await task
    assert (await graph.aresume(parked.run_id, answers={"a#1": 1}))["n"] == 2
    await graph.aclose()


async def test_answers_to_what_asks_no_longer_are_refused_and_change_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as graph:
        done = await graph.arun(n=1)
        await graph.aresume(done.run_id, answers={"a#1": 1})
        with pytest.raises(InputError, match="is done: there is nothing to resume"):
            await graph.aresume(done.run_id, answers={"a#1": 1})
        gone = await graph.arun(n=1)
        assert await graph.cancel(gone.run_id)
        assert await graph.waiting() == []
        assert not await graph.cancel(gone.run_id)
        assert not await graph.cancel(done.run_id)
    async with desk(tmp_path) as graph:
        with pytest.raises(InputError, match=r"was cancelled, and what it asked with it; .* it asks anew"):
            await graph.aresume(gone.run_id, answers={"a#1": 1})
        again = await graph.aresume(gone.run_id)
        assert list(again.asks) == ["a#1"]
        assert (await graph.aresume(gone.run_id, answers={"a#1": 1}))["n"] == 2
        assert {one.run_id: one.status for one in await graph.runs()} == {done.run_id: "done", gone.run_id: "done"}


class Late(DurableStore):
    """A worker that is slow to take a run: something else happens after it has looked at it."""

    before: Callable[[], Awaitable[Any]]

    async def take(self, run_id: str, durability: Durability = "async", *, in_turn: bool = False) -> RunRecord:
        await self.before()
        return await super().take(run_id, durability, in_turn=in_turn)


@pytest.mark.parametrize("asks", [1, 2])
async def test_whoever_is_late_is_told_and_leaves_the_run_as_it_is(asks: int, tmp_path: Path) -> None:
    nodes = {"a": careful, "b": {"type": careful, "writes": {"n": "m"}}}
    edges = ["start -> a -> end"] if asks == 1 else ["start -> a, b -> end"]

    def opened(store: DurableStore) -> Graph:
        return build(dict(list(nodes.items())[:asks]), *edges, store=store)

    slow = Late(SqliteDatabase(tmp_path / "runs.sqlite"))
    fast, late = opened(kept(tmp_path)), opened(slow)
    parked = await fast.arun(n=1)

    async def other() -> Any:
        return await fast.aresume(parked.run_id, answers={"a#1": 5})

    slow.before = other
    said = "is done: there is nothing" if asks == 1 else r"what 'a#1' asked was answered already; open is: b#1"
    with pytest.raises(InputError, match=said):
        await late.aresume(parked.run_id, answers={"a#1": 7})
    assert [one.status for one in await fast.runs()] == ["done" if asks == 1 else "parked"]
    answered = [event for event in await fast.store.events(parked.run_id) if event.kind == "answered"]
    assert answered == [Event("answered", data={"path": "a#1", "answer": 5})]

    async def withdrawn() -> Any:
        return await fast.cancel(parked.run_id)

    slow.before = withdrawn
    if asks == 2:
        with pytest.raises(InputError, match="was cancelled"):
            await late.aresume(parked.run_id, answers={"b#1": 7})
    assert not await late.cancel(parked.run_id)
    await fast.aclose()
    await late.aclose()


async def test_a_run_that_is_answered_while_it_is_cancelled_is_not_cancelled(tmp_path: Path) -> None:
    slow = Late(SqliteDatabase(tmp_path / "runs.sqlite"))
    async with desk(tmp_path) as fast, desk(tmp_path, slow) as late:
        parked = await fast.arun(n=1)

        async def other() -> Any:
            return await fast.aresume(parked.run_id, answers={"a#1": 5})

        slow.before = other
        assert not await late.cancel(parked.run_id)
        assert [one.status for one in await fast.runs()] == ["done"]


async def test_an_effect_is_not_begun_before_the_yes(tmp_path: Path) -> None:
    calls = Calls()

    def opened() -> Graph:
        pay = node_type(calls.node("pay"), effects="external")
        return build({"pay": {"type": pay, "interrupt": "Pay {n}?"}}, "start -> pay -> end", store=kept(tmp_path))

    async with opened() as graph:
        parked = await graph.arun(n=1)
        assert [event.kind for event in await graph.store.events(parked.run_id)] == [
            "run_started", "asked", "run_parked",
        ]  # fmt: skip
    async with opened() as graph:
        assert not calls
        with pytest.raises(InputError, match="'yes' is not"):
            await graph.aresume(parked.run_id, answers={"pay#1": "yes"})
        assert not calls
        assert (await graph.aresume(parked.run_id, answers={"pay#1": True}))["n"] == 2
        assert calls == {"pay#1": 1}


NODES = '''
import asyncio, os
from pathlib import Path
from typing import TypedDict
from ragweave import Ask, Context, node

class Sent(TypedDict):
    sent: list[str]

@node(effects="write")
async def send(items: list[str], ctx: Context) -> Sent:
    """Send what was approved."""
    with (Path(__file__).parent / "sent.txt").open("a") as file:
        file.write(f"{ctx.path} {os.getpid()}\\n")
    await asyncio.sleep(0.4)
    return {"sent": items}

class Judged(TypedDict):
    approved: str

@node
async def consider(item: str, ctx: Context) -> Judged | Ask:
    """Ask about one item."""
    if not ctx.answers:
        return Ask(question=f"Take {item}?", schema={"type": "boolean"})
    with (Path(__file__).parent / "judged.txt").open("a") as file:
        file.write(f"{ctx.path}\\n")
    return {"approved": f"{item}: {ctx.answers[0]}"}
'''
GRAPH = """
schema: ragweave/v1
inputs: {items: "list[str]"}
outputs: [sent]
nodes:
  each: {type: graph, path: inner.yaml, map: {over: items, as: item}}
  send: {type: send, reads: {items: approved}, interrupt: "Send {approved}?"}
edges: [start -> each -> send -> end]
"""
INNER = """
schema: ragweave/v1
inputs: {item: str}
outputs: [approved]
nodes: {judge: {type: consider}}
edges: [start -> judge -> end]
"""
ANSWER = """
import json, os, sys, time
from pathlib import Path
from ragweave import Graph, RagweaveError
folder, run_id, answers = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
patient = len(sys.argv) > 4
with Graph.load(folder / "graph.yaml", plugins=[str(folder / "my_nodes.py")]) as graph:
    if not run_id:
        print(json.dumps([graph.run(items=["a", "b", "c"]).run_id]))
    else:
        if patient:
            (folder / sys.argv[5] / str(os.getpid())).touch()
        while patient and not (folder / sys.argv[5] / "go").exists():
            time.sleep(0.005)
        for attempt in range(200):
            try:
                result = graph.resume(run_id, answers=answers)
            except RagweaveError as error:
                if patient and type(error).__name__ == "RunTaken" and attempt < 199 and sys.argv[4] == "retry":
                    time.sleep(0.05)
                    continue
                print(json.dumps([type(error).__name__, str(error)]))
            else:
                print(json.dumps([result.status, result.outputs.get("sent")]))
            break
"""


def started(folder: Path, run_id: str = "", answers: Any = None, *more: str) -> subprocess.Popen[str]:
    """Another process that starts the run, or answers it."""
    for name, text in (("graph.yaml", GRAPH), ("inner.yaml", INNER), ("my_nodes.py", NODES)):
        (folder / name).write_text(text)
    for name in ("first", "second"):
        (folder / name).mkdir(exist_ok=True)
    command = [sys.executable, "-c", ANSWER, str(folder), run_id, json.dumps(answers), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> list[Any]:
    output, _ = process.communicate(timeout=240)
    return list(json.loads(output.splitlines()[-1]))


def test_processes_that_answer_at_once_do_not_lose_or_double_anything(tmp_path: Path) -> None:
    (run_id,) = told(started(tmp_path))
    paths = [f"each#1[{at}]/judge#1" for at in range(3)]
    assert sorted(one.path for one in asked_in(tmp_path)) == paths
    many = [started(tmp_path, run_id, {path: True}, "retry", "first") for path in paths]
    go(tmp_path / "first", 3)
    assert [told(process)[0] for process in many] == ["parked"] * 3
    assert sorted((tmp_path / "judged.txt").read_text().split()) == paths
    (last,) = asked_in(tmp_path)
    assert (last.path, last.question) == ("send#1", "Send a: True, b: True, c: True?")
    two = [started(tmp_path, run_id, {"send#1": yes}, "once", "second") for yes in (True, {"approved": True})]
    go(tmp_path / "second", 2)
    loser, winner = sorted(told(process) for process in two)
    assert winner == ["done", ["a: True", "b: True", "c: True"]]
    assert loser[0] in ("RunTaken", "InputError")
    assert "goes on in process" in loser[1] or "taken over" in loser[1] or "is done" in loser[1]
    assert len((tmp_path / "sent.txt").read_text().splitlines()) == 1


def go(folder: Path, ready: int) -> None:
    """Let this many processes answer at the same moment."""
    until = time.monotonic() + 240
    while len(list(folder.iterdir())) < ready:
        assert time.monotonic() < until
        time.sleep(0.01)
    (folder / "go").touch()


def asked_in(folder: Path) -> list[Waiting]:
    """What runs of the graph in this folder ask, told without the graph."""

    async def told() -> list[Waiting]:
        store = DurableStore(SqliteDatabase(folder / ".ragweave" / "runs.sqlite"))
        found = await waiting(store)
        await store.close()
        return found

    return asyncio.run(told())


async def test_a_worker_that_is_at_it_is_named(tmp_path: Path) -> None:
    async with desk(tmp_path) as graph:
        parked = await graph.arun(n=1)
        other = kept(tmp_path)
        await other.take(parked.run_id)
        with pytest.raises(RunTaken, match=r"goes on in process \d+ on .*; wait until it has ended"):
            await graph.aresume(parked.run_id, answers={"a#1": 1})
        await other.end(parked.run_id, "parked")
        await other.close()
        assert (await graph.aresume(parked.run_id, answers={"a#1": 1}))["n"] == 2
