"""What was used before a run was resumed, forked or killed counts after it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import JournalError, NodeError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node
from ragweave.orchestrator.running.budgets.past import amount_in
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.fold import fold_all
from ragweave.orchestrator.stores import RunRecord
from tests.engine.metered import FEW, Watched, chat, loaded, metered_types
from tests.engine.steps import R

STEPS = """\
models: {chat: {type: metered}}
budget: {max_tokens: %d%s}
nodes:
  a: {type: generator, model: chat, prompt: p, max_tokens: 20}
  b: {type: t_breaks}
  c: {type: generator, model: chat, prompt: p, max_tokens: 20, writes: {answer: last}}
edges: [start -> a -> b -> c -> end]
"""
HELD = FEW + 1 + 20
BROKEN: list[bool] = [True]


@pytest.fixture(autouse=True)
def _types() -> Iterator[None]:
    async def breaks(ctx: Context) -> R:
        if BROKEN[0]:
            raise NodeError("broken")
        return {"r": ""}

    for _ in metered_types():
        BROKEN[0] = True
        node(name="t_breaks")(breaks)
        yield


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


async def failed(graph: Graph) -> str:
    """Run it to where it breaks; the run's id."""
    BROKEN[0] = True
    with pytest.raises(RunError, match="broken") as caught:
        await graph.arun(question="one")
    BROKEN[0] = False
    return caught.value.run_id


async def test_a_resumed_run_goes_on_with_what_is_left(tmp_path: Path, watched: Watched) -> None:
    graph = loaded(tmp_path, STEPS % (HELD + 11, ""), outputs="[last]")
    result = await graph.aresume(await failed(graph))
    assert watched.account().spent.tokens == 22
    assert result.exceeded == ()
    graph = loaded(tmp_path, STEPS % (HELD + 10, ""), outputs="[last]")
    with pytest.raises(RunError, match="11 are spent"):
        await graph.aresume(await failed(graph))


async def test_a_fork_begins_with_what_was_used_before_its_point(tmp_path: Path, watched: Watched) -> None:
    graph = loaded(tmp_path, STEPS % (2 * HELD, ""), outputs="[last]")
    BROKEN[0] = False
    result = await graph.arun(question="one")
    await graph.afork(result.run_id, "c")
    assert watched.account().spent.tokens == 22
    await graph.afork(result.run_id, "a")
    assert watched.account().spent.tokens == 22
    assert len(chat(graph).asked) == 2 + 1 + 2


async def test_a_replay_makes_no_calls_and_comes_to_the_same(tmp_path: Path) -> None:
    graph = loaded(tmp_path, STEPS % (HELD, ", on_exceed: [partial_answer]"), outputs="[answer, last]")
    BROKEN[0] = False
    result = await graph.arun(question="one")
    replay = await graph.areplay(result.run_id)
    assert (dict(replay.outputs), replay.differences) == (dict(result.outputs), ())
    assert [event.data["did"] for event in replay if event.kind == "budget"] == ["stop", "partial_answer"]
    assert len(chat(graph).asked) == 1


async def test_what_a_budget_has_changed_is_told_after_a_resume_too(tmp_path: Path) -> None:
    text = (STEPS % (10_000, "")).replace(
        "max_tokens: 20}", "max_tokens: 5, budget: {max_tokens: 2}, fallback: {type: reply, text: Hi.}}", 1
    )
    graph = loaded(tmp_path, text, outputs="[last]")
    result = await graph.aresume(await failed(graph))
    assert [(one.scope, one.did, one.path) for one in result.exceeded] == [("node 'a'", "stop", "a#1")]


KILLED = """\
import asyncio, os, sys
from ragweave import Graph
from ragweave.orchestrator import registry
from ragweave.orchestrator.contracts import ChatChunk
from tests.engine.metered import Metered

class Dies(Metered):
    async def stream(self, request):
        if self.length == 11:
            yield ChatChunk(text="So ")
            await asyncio.sleep(0.2)
            os._exit(9)
        async for chunk in super().stream(request):
            yield chunk

registry.add("models", "metered", Dies)
Graph.load(sys.argv[1]).run(question="one")
"""
DYING = """\
models: {chat: {type: metered}, last: {type: metered, length: 11}}
budget: {max_tokens: 500}
durability: sync
nodes:
  a: {type: generator, model: chat, prompt: p, max_tokens: 20}
  c: {type: generator, model: last, prompt: p, max_tokens: 30, writes: {answer: last}}
edges: [start -> a -> c -> end]
"""


async def test_a_call_that_went_on_when_its_process_was_killed_counts_in_full(tmp_path: Path, watched: Watched) -> None:
    graph = loaded(tmp_path, DYING, outputs="[last]")
    dying = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(tmp_path / "shop.yaml"))
    assert await asyncio.wait_for(dying.wait(), 60) == 9
    async with graph:
        [run] = await graph.runs()
        await graph.aresume(run.run_id, on="current")  # the code of the model that died is not that of ours
        assert len(chat(graph).asked) == 0
    in_doubt = FEW + 1 + 30
    assert watched.account().spent.tokens == 11 + in_doubt + 12


async def test_a_run_that_failed_goes_on_when_its_budget_is_raised(tmp_path: Path) -> None:
    BROKEN[0] = False
    text = (STEPS % (HELD, "")).replace("nodes:", "store: {type: sqlite, path: runs.sqlite}\nnodes:")
    async with loaded(tmp_path, text, outputs="[last]") as graph:
        with pytest.raises(RunError, match="11 are spent") as caught:
            await graph.arun(question="one")
    async with loaded(tmp_path, text.replace(f"max_tokens: {HELD}", "max_tokens: 500"), outputs="[last]") as graph:
        assert (await graph.aresume(caught.value.run_id, on="current"))["last"]
        assert len(chat(graph).asked) == 1


def test_a_damaged_amount_is_told(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no amount"):
        amount_in({"usd": "much"})
    plan = loaded(tmp_path, STEPS % (500, ""), outputs="[last]").plan
    begun = Event("run_started", data={"inputs": {"question": "one"}})
    for kind, data in (
        ("spent", {"tokens": "7"}),
        ("reserved", {"number": "x"}),
        ("budget", {"said": ""}),
        ("ended", {}),
    ):
        with pytest.raises(JournalError):
            fold_all(plan, [begun, Event(kind, "", "a", 1, data)], live=False)


EARLY = """\
models: {chat: {type: metered}}
budget: {max_tokens: %d, max_seconds: 60, on_exceed: [partial_answer]}
store: {type: sqlite, path: runs.sqlite}
nodes:
  a: {type: generator, model: chat, prompt: p, max_tokens: 20}
  c: {type: generator, model: chat, prompt: p, max_tokens: 20, writes: {answer: last}}
edges: [start -> a -> c -> end]
"""


async def test_an_early_end_is_read_from_a_disk_and_needs_not_be_come_to_again(tmp_path: Path) -> None:
    async with loaded(tmp_path, EARLY % HELD, outputs="[answer, last]") as graph:
        result = await graph.arun(question="one")
        events = await graph.store.events(result.run_id)
        # Its process might have gone right before the last event.
        await graph.store.begin(RunRecord("copy", "", "shop", "running"), "", "async", in_turn=False)
        write = graph.store.writer("copy")
        for event in events[:-1]:
            write(event.record())
        await graph.store.end("copy", "failed")
    async with loaded(tmp_path, EARLY % HELD, outputs="[answer, last]") as graph:
        replay = await graph.areplay(result.run_id)
        assert (list(replay.outputs), replay.differences) == (["answer"], ())
        again = await graph.aresume("copy", on="current")
        assert (again.outputs, again.exceeded) == (result.outputs, result.exceeded)
        assert chat(graph).asked == []
