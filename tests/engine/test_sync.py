"""The sync API: one bridge, from anywhere but the loop that it needs."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, NodeError, RagweaveError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node_type
from ragweave.orchestrator.running import bridge
from ragweave.orchestrator.values import Ask
from tests.engine.steps import N, R, ask, build, inc

ROOT = Path(__file__).resolve().parents[2]


def adding(by: int = 1) -> Graph:
    async def add(n: int) -> N:
        await asyncio.sleep(0)
        return {"n": n + by}

    return build({"a": add}, "start -> a -> end")


def test_outside_an_event_loop() -> None:
    assert adding().run(n=1)["n"] == 2


async def test_inside_an_event_loop() -> None:
    assert adding().run(n=1)["n"] == 2


def test_from_many_threads_at_once() -> None:
    graph = adding(by=100)
    results: dict[int, int] = {}

    def one(at: int) -> None:
        results[at] = graph.run(n=at)["n"]

    threads = [threading.Thread(target=one, args=(at,)) for at in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {at: at + 100 for at in range(20)}


def test_within_a_blocking_node() -> None:
    inner = adding(by=10)

    def calls_another(n: int) -> N:
        return {"n": inner.run(n=n)["n"]}

    assert build({"a": calls_another}, "start -> a -> end").run(n=1)["n"] == 11


@pytest.mark.parametrize("inline", [False, True])
def test_within_an_async_node_it_says_what_to_do_instead_of_waiting_for_itself(inline: bool) -> None:
    inner = adding()

    async def calls_another(n: int) -> N:
        return {"n": inner.run(n=n)["n"]}

    def calls_inline(n: int) -> N:
        return {"n": inner.run(n=n)["n"]}

    kind = node_type(calls_inline, inline=True) if inline else calls_another
    with pytest.raises(RunError, match="await arun") as caught:
        build({"a": kind}, "start -> a -> end").run(n=1)
    assert type(caught.value.__cause__) is RagweaveError


def test_errors_come_through() -> None:
    async def broken(n: int) -> N:
        raise NodeError("broken")

    graph = build({"a": broken}, "start -> a -> end")
    with pytest.raises(RunError, match="broken"):
        graph.run(n=1)
    with pytest.raises(InputError, match="has no input 'm'"):
        graph.run(m=1)


def test_resume() -> None:
    async def asks(n: int, ctx: Context) -> N | Ask:
        return {"n": ctx.answers[0]} if ctx.answers else ask("n?", "integer")

    graph = build({"a": asks}, "start -> a -> end")
    parked = graph.run(n=1)
    assert graph.resume(parked.run_id, answers={"a#1": 9})["n"] == 9


def test_batch_keeps_the_order_and_puts_errors_in_their_places() -> None:
    now, most = 0, 0

    async def work(n: int) -> N:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(10 - n):
            await asyncio.sleep(0)
        now -= 1
        if n == 3:
            raise NodeError("three")
        return {"n": n * n}

    graph = build({"a": work}, "start -> a -> end")
    results = graph.batch([{"n": n} for n in range(10)], max_concurrency=4)
    squares = [-1 if isinstance(one, RunError) else one["n"] for one in results]
    assert squares == [0, 1, 4, -1, 16, 25, 36, 49, 64, 81]
    assert most == 4
    assert graph.batch([]) == []
    with pytest.raises(InputError, match="needs the input"):
        graph.batch([{"n": 1}, {}])
    with pytest.raises(InputError, match="max_concurrency is 0"):
        graph.batch([{"n": 1}], max_concurrency=0)


def test_stream_sync_gives_what_stream_gives() -> None:
    async def talk(n: int, ctx: Context) -> N:
        await ctx.emit("x")
        return {"n": n}

    graph = build({"a": talk}, "start -> a -> end")
    told = [(event.kind, event.text) for event in graph.stream_sync(n=1)]
    assert told == [("run_started", ""), ("started", ""), ("token", "x"), ("finished", ""), ("run_done", "")]


def test_leaving_stream_sync_early_cancels_the_run() -> None:
    left = threading.Event()

    async def waits(n: int, ctx: Context) -> N:
        await ctx.emit("x")
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return {"n": n}

    graph = build({"a": waits}, "start -> a -> end")
    for event in graph.stream_sync(n=1):
        if event.kind == "token":
            break
    assert left.is_set()
    assert [record.status for record in bridge.wait_for(graph.runs())] == ["cancelled"]


def test_stream_sync_raises_after_the_last_event() -> None:
    async def broken(n: int) -> N:
        raise NodeError("broken")

    stream = build({"a": broken}, "start -> a -> end").stream_sync(n=1)
    assert [next(stream).kind for _ in range(3)] == ["run_started", "started", "run_failed"]
    with pytest.raises(RunError, match="broken"):
        next(stream)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_what_a_call_raises_on_the_bridge_ends_its_run_and_not_the_bridge(error: BaseException) -> None:
    async def raises(n: int) -> N:
        raise error

    async def raises_in_context(n: int, ctx: Context) -> N:
        raise error

    for kind in (raises, raises_in_context):
        with pytest.raises(RunError):
            build({"a": kind}, "start -> a -> end").run(n=1)
        with pytest.raises(RunError):
            build({"a": {"type": kind, "timeout": 5}}, "start -> a -> end").run(n=1)
    assert adding().run(n=1)["n"] == 2


def test_closing_a_graph_closes_the_graphs_in_it(tmp_path: Path) -> None:
    from ragweave.orchestrator import registry
    from ragweave.orchestrator.contracts import Retriever
    from ragweave.orchestrator.node import node
    from ragweave.orchestrator.values import Document

    closed = threading.Event()

    class Shelf(Retriever):
        async def search(self, query: str, top_k: int) -> list[Document]:
            return []

        async def close(self) -> None:
            closed.set()

    async def look(n: int, ctx: Context) -> N:
        await ctx.retriever("shelf")
        return {"n": n}

    (tmp_path / "inner.yaml").write_text(
        "schema: ragweave/v1\nretrievers: {shelf: {type: t_shelf}}\ninputs: {n: int}\noutputs: [n]\n"
        "nodes: {t: {type: t_look}}\nedges: [start -> t -> end]\n"
    )
    with registry.scope():
        registry.add("retrievers", "t_shelf", Shelf)
        node(name="t_look")(look)
        one = {"type": "graph", "path": str(tmp_path / "inner.yaml")}
        with build({"g": one, "h": one}, "start -> g -> h -> end") as graph:
            assert graph.run(n=1)["n"] == 1
            assert not closed.is_set()
    assert closed.is_set()


def test_a_forked_child_has_a_bridge_and_run_ids_of_its_own() -> None:
    script = """
        import os, sys
        sys.path.insert(0, ".")
        from tests.engine.steps import build, inc
        graph = build({"a": inc}, "start -> a -> end")
        before = graph.run(n=1).run_id
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.write(writing, " ".join(graph.run(n=1).run_id for _ in range(3)).encode())
            os._exit(0)
        os.wait()
        ids = [before, *(graph.run(n=1).run_id for _ in range(3)), *os.read(reading, 1000).decode().split()]
        assert len(set(ids)) == 7, ids
        print("fine")
    """
    assert ended(script) == (0, "fine\n")


def program(script: str) -> subprocess.Popen[str]:
    code = textwrap.dedent(script)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)


def ended(script: str) -> tuple[int, str]:
    with program(script) as process:
        out, _ = process.communicate(timeout=120)
    return process.returncode, out


INTERRUPTED = """
    import asyncio, sys
    sys.path.insert(0, ".")
    from tests.engine.steps import N, build
    async def waits(n: int) -> N:
        print("waiting", flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            print("cleaned", flush=True)
        return {"n": n}
    graph = build({"a": waits}, "start -> a -> end")
    try:
        CALL
    except KeyboardInterrupt:
        from ragweave.orchestrator.running.bridge import wait_for
        print([record.status for record in wait_for(graph.runs())], flush=True)
"""


CALLS = ["graph.run(n=1)", "list(graph.stream_sync(n=1))", "graph.batch([{'n': 1}])", "asyncio.run(graph.arun(n=1))"]


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_cancels_the_run_and_waits_until_it_has_ended(call: str) -> None:
    with program(INTERRUPTED.replace("CALL", call)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "cleaned\n['cancelled']\n")


def test_results_of_sync_and_async_nodes_are_alike() -> None:
    def shout(r: str) -> R:
        return {"r": r.upper()}

    graph = build(
        {"a": shout, "b": node_type(shout, inline=True)}, "start -> a -> b -> end", inputs={"r": "str"}, outputs=["r"]
    )
    assert graph.run(r="quiet")["r"] == "QUIET"
    assert build({"a": inc}, "start -> a -> end").run(n=1)["n"] == 2
