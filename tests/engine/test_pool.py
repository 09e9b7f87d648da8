"""Blocking nodes have threads of their own: few, apart from the program's, and never short of one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from contextvars import ContextVar
from pathlib import Path

from ragweave.orchestrator.running.pool import THREADS, Pool, pool
from tests.engine.steps import N, build

ROOT = Path(__file__).resolve().parents[2]


async def test_a_programs_own_threads_do_not_wait_behind_slow_nodes() -> None:
    release, begun = threading.Event(), threading.Semaphore(0)

    def slow(n: int) -> N:
        assert threading.current_thread().name.startswith("ragweave-node-")
        begun.release()
        release.wait(60)
        return {"n": n}

    graph = build({"a": slow}, "start -> a -> end")
    tasks = [asyncio.ensure_future(graph.arun(n=at)) for at in range(THREADS + 5)]
    try:
        for _ in range(THREADS):
            assert await asyncio.to_thread(begun.acquire, timeout=60)
        assert sum(thread.name.startswith("ragweave-node-") for thread in threading.enumerate()) == THREADS
    finally:
        release.set()
    assert [result["n"] for result in await asyncio.gather(*tasks)] == list(range(THREADS + 5))


def test_blocking_nodes_that_run_graphs_of_blocking_nodes_never_use_up_the_threads() -> None:
    def leaf(n: int) -> N:
        time.sleep(0.001)
        return {"n": n + 1}

    inner = build({"a": leaf}, "start -> a -> end")

    def middle(n: int) -> N:
        return {"n": inner.run(n=n)["n"] + 1}

    outer = build({"a": middle}, "start -> a -> end")

    def top(n: int) -> N:
        return {"n": outer.run(n=n)["n"] + 1}

    results = build({"a": top}, "start -> a -> end").batch([{"n": 0}] * (2 * THREADS), max_concurrency=2 * THREADS)
    assert [one["n"] for one in results if not isinstance(one, Exception)] == [3] * (2 * THREADS)


def test_a_pool_grows_as_it_needs_to_and_shrinks_to_its_size() -> None:
    small = Pool(2, "t_small")
    done, gate, most = threading.Semaphore(0), threading.Event(), []

    def work() -> None:
        most.append(sum(thread.name.startswith("t_small") for thread in threading.enumerate()))
        gate.wait(60)
        done.release()

    def lends() -> None:
        with small.lent():
            small.submit(work)
            done.acquire(timeout=60)
        done.release()

    small.submit(lends)
    gate.set()
    assert done.acquire(timeout=60)
    gate.clear()
    for _ in range(5):
        small.submit(work)
    gate.set()
    for _ in range(5):
        assert done.acquire(timeout=60)
    assert max(most) <= 3
    small.submit(lends)  # one thread waits for another: both are needed
    assert done.acquire(timeout=60)
    with small.lent():  # the main thread is none of the pool's: nothing changes
        pass


def test_one_thread_is_enough_for_one_call_after_another() -> None:
    alone = Pool(10, "t_alone")
    done = threading.Semaphore(0)
    for _ in range(20):
        alone.submit(done.release)
        assert done.acquire(timeout=60)
        while alone._idle < 1:
            time.sleep(0.001)
    assert sum(thread.name.startswith("t_alone") for thread in threading.enumerate()) == 1


async def test_a_blocking_node_sees_the_callers_context() -> None:
    who: ContextVar[int] = ContextVar("who")

    def reads(n: int) -> N:
        return {"n": who.get()}

    who.set(5)
    assert (await build({"a": reads}, "start -> a -> end").arun(n=1))["n"] == 5


def test_an_abandoned_call_does_not_keep_the_process() -> None:
    script = """
import sys, time
sys.path.insert(0, ".")
from ragweave import RunError
from ragweave.orchestrator.running import run
from tests.engine.steps import N, build
run.GRACE = 0.05
def forever(n: int) -> N:
    time.sleep(600)
    return {"n": n}
try:
    build({"a": forever}, "start -> a -> end").run(n=1, deadline="50ms")
except RunError as error:
    print(error.__cause__)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=300, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "the deadline of 0.05 s has passed\n", "")


def test_there_is_one_pool() -> None:
    assert pool() is pool()
