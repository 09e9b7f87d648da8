"""The adaptive batcher for threads that wait: they compute by themselves where the model is idle."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time

import pytest

from ragweave.orchestrator.batching import Batcher
from ragweave.orchestrator.errors import ModelError, NodeError, RagweaveError
from tests.support.doubling import Doubling, begun


def test_a_thread_that_waits_computes_by_itself_where_the_model_is_idle() -> None:
    threads: list[threading.Thread] = []

    def compute(items: list[int]) -> list[int]:
        threads.append(threading.current_thread())
        return [2 * item for item in items]

    batcher = Batcher(compute, max_batch=2)
    assert batcher.wait_all([1, 2, 3]) == [2, 4, 6]
    assert batcher.wait_all([]) == []
    assert threads == [threading.current_thread()] * 2
    assert batcher.worker.thread is None


def test_what_came_while_a_caller_computed_is_computed_without_it() -> None:
    model = Doubling(held=True)
    batcher = Batcher(model)
    results: list[list[int]] = []
    threads = [
        threading.Thread(target=lambda at=at: results.append(batcher.wait_all([at, at + 1]))) for at in (1, 3, 5)
    ]
    threads[0].start()
    assert model.begun.wait(60)
    for thread in threads[1:]:
        thread.start()
    while len(batcher._waiting) < 4:
        time.sleep(0.001)
    model.go.set()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [[2, 4], [6, 8], [10, 12]]
    assert [sorted(batch) for batch in model.batches] == [[1, 2], [3, 4, 5, 6]]
    asyncio.run(batcher.close())


def test_of_several_that_one_waits_for_one_may_fail() -> None:
    batcher = Batcher(Doubling(bad=[2]), separable=lambda error: isinstance(error, ModelError))
    with pytest.raises(ModelError, match="cannot double"):
        batcher.wait_all([1, 2, 3])
    assert batcher.wait(4) == 8


async def test_closing_waits_for_a_caller_that_computes_by_itself() -> None:
    model = Doubling(held=True)
    batcher = Batcher(model)
    call = asyncio.ensure_future(asyncio.to_thread(batcher.wait, 1))
    await begun(model)
    closing = asyncio.ensure_future(batcher.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    model.go.set()
    await closing
    assert await call == 2
    with pytest.raises(RagweaveError, match="model is closed"):
        batcher.wait(2)


def test_an_interrupt_while_a_caller_computes_reaches_it_and_fails_those_beside_it() -> None:
    started, others = threading.Event(), []

    def compute(items: list[int]) -> list[int]:
        if items == [1]:
            started.set()
            limit = time.monotonic() + 60
            while len(batcher._waiting) < 2 and time.monotonic() < limit:
                time.sleep(0.001)
        elif 2 in items:
            raise KeyboardInterrupt
        return items

    batcher = Batcher(compute, group=lambda item: item == 1)

    def beside() -> None:
        assert started.wait(60)
        with pytest.raises(NodeError, match="model was interrupted"):
            batcher.wait(3)
        others.append(batcher.wait(4))

    thread = threading.Thread(target=beside)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        batcher.wait_all([1, 2])
    thread.join(60)
    assert others == [4]
    asyncio.run(batcher.close())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_was_forked_while_a_batch_was_computed_computes_its_own() -> None:
    code = (
        "import os, threading\n"
        "from ragweave.orchestrator.batching import Batcher\n"
        "begun, go = threading.Event(), threading.Event()\n"
        "def compute(items):\n"
        "    begun.set()\n"
        "    assert os.getpid() != parent or go.wait(60)\n"
        "    return [2 * item for item in items]\n"
        "parent, batcher = os.getpid(), Batcher(compute)\n"
        "thread = threading.Thread(target=batcher.wait, args=(1,))\n"
        "thread.start()\n"
        "begun.wait(60)\n"
        "if child := os.fork():\n"
        "    go.set()\n"
        "    thread.join()\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "else:\n"
        "    os._exit(batcher.wait(2))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "4", done.stderr


async def test_a_batch_cannot_wait_for_its_own_batcher() -> None:
    batcher: Batcher[int, int] = Batcher(lambda items: [batcher.wait(item) for item in items])
    with pytest.raises(RagweaveError, match="waits for a call of its own batcher"):
        await batcher.call(1)
    with pytest.raises(RagweaveError, match="waits for a call of its own batcher"):
        batcher.wait(1)
    await batcher.close()
