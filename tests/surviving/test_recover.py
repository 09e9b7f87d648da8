"""Runs whose process is gone go on when the next one starts."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ragweave.orchestrator.errors import InputError, RunError
from ragweave.orchestrator.forgetting import Forgotten
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.result import Result
from tests.surviving import kinds
from tests.surviving.kinds import GRAPH
from tests.surviving.test_versions import load, write

PLAIN = """\
schema: ragweave/v1
name: letters
inputs: {what: str}
outputs: [text]
nodes:
  write: {type: say, what: first}
  again: {type: say, what: second}
edges: [start -> write -> again -> end]
"""


def crash(file: Path, *whats: str) -> list[str]:
    """Begin runs in a process of its own that dies when all of them have finished their first node; their ids."""
    code = """
import asyncio, os, sys
from pathlib import Path
from ragweave.orchestrator.node import Node
from tests.surviving import kinds
from tests.surviving.test_versions import load
kinds.register()
reached = 0
class Stuck(Node, type="stuck"):
    async def __call__(self, text: str) -> kinds.Text:
        global reached
        reached += 1
        await asyncio.sleep(60)
        return {"text": text}
async def main():
    graph = load(Path(sys.argv[1]))
    runs = [asyncio.ensure_future(graph.arun(what=what)) for what in sys.argv[2:]]
    while reached < len(runs):
        await asyncio.sleep(0.01)
    for record in await graph.store.runs(status="running"):
        await graph.store.flush(record.run_id)
        print(record.run_id, flush=True)
    os._exit(9)
asyncio.run(main())
"""
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("again: {type: say, what: second}", "again: {type: stuck}"), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", code, str(file), *whats], capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    file.write_text(text, encoding="utf-8")
    return done.stdout.split()


def forget_versions(file: Path) -> None:
    """Let the runs be of the graph as it is now: what crashed in them was a stand-in."""
    with sqlite3.connect(file.parent / "runs.sqlite") as rows:
        rows.execute("UPDATE runs SET version = ''")


def test_every_crashed_run_of_the_graph_goes_on_in_order(tmp_path: Path) -> None:
    file = write(tmp_path, PLAIN)
    ids = crash(file, "a", "b", "c")
    forget_versions(file)
    with load(file) as graph:
        results = graph.recover(max_concurrency=2)
        assert [(one.run_id, one.status) for one in results] == [(run, "done") for run in ids]
        assert kinds.CALLS == ["second"] * 3, "what finished is not run again"
        assert graph.recover() == []


def test_one_that_cannot_go_on_is_told_in_its_place(tmp_path: Path) -> None:
    file = write(tmp_path, PLAIN)
    first, second = crash(file, "a", "b")
    with sqlite3.connect(tmp_path / "runs.sqlite") as rows:
        rows.execute("UPDATE runs SET version = '' WHERE run = ?", (second,))
    with load(file) as graph:
        broken, done = graph.recover()
    assert isinstance(broken, RunError)
    assert (broken.run_id, done.run_id) == (first, second)
    assert "stuck" in str(broken)
    assert isinstance(done, Result)


def test_a_run_that_fails_again_is_told_in_its_place(tmp_path: Path) -> None:
    file = write(tmp_path, PLAIN)
    (run,) = crash(file, "a")
    forget_versions(file)
    kinds.FAILING.add("second")
    with load(file) as graph:
        (failed,) = graph.recover()
    assert isinstance(failed, RunError)
    assert (failed.run_id, failed.path) == (run, "again#1")


def test_two_that_recover_at_once_share_the_runs(tmp_path: Path) -> None:
    file = write(tmp_path, PLAIN)
    ids = crash(file, *"abcdef")
    forget_versions(file)

    async def main() -> list[str]:
        async with load(file) as one, load(file) as other:
            both = await asyncio.gather(one.arecover(), other.arecover())
        return sorted(result.run_id for results in both for result in results)

    assert asyncio.run(main()) == sorted(ids)
    assert kinds.CALLS == ["second"] * 6


def test_runs_of_other_graphs_are_left_alone(tmp_path: Path) -> None:
    file = write(tmp_path, PLAIN)
    crash(file, "a")
    forget_versions(file)
    with load(write(tmp_path, PLAIN.replace("name: letters", "name: cards"))) as graph:
        assert graph.recover() == []


def test_a_graph_in_memory_has_nothing_to_recover() -> None:
    with Graph.parse(GRAPH) as graph:
        graph.run()
        assert graph.recover() == []
        with pytest.raises(InputError, match="1 at least"):
            graph.recover(max_concurrency=0)


def test_events_of_a_resume_are_streamed_from_there(tmp_path: Path) -> None:
    async def main() -> list[tuple[str, str]]:
        async with load(write(tmp_path)) as graph:
            begun = await graph.arun()
            events = graph.stream_resume(begun.run_id, answers={"confirm#1": True})
            return [(event.kind, event.node) async for event in events]

    seen = asyncio.run(main())
    assert ("finished", "confirm") in seen
    assert "write" not in {node for _, node in seen}
    assert seen[-1] == ("run_done", "")


def test_a_conversation_is_forgotten_from_python(tmp_path: Path) -> None:
    with load(write(tmp_path)) as graph:
        graph.run(thread_id="a")
        graph.run(thread_id="b")
        assert isinstance(gone := graph.forget(thread_id="a"), Forgotten)
        assert gone.removed.runs == 1
        assert [record.thread_id for record in asyncio.run(graph.store.runs())] == ["b"]
        with pytest.raises(InputError, match="what is to be deleted"):
            graph.forget()
