"""Conversations: what one run of a thread said, the next one knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import GraphError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.memory.window import Window
from ragweave.orchestrator.nodes.recall import Recall
from ragweave.orchestrator.nodes.remember import Remember
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.run import Run
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.stores.memory import MemoryStore
from ragweave.orchestrator.values import Answer, Message

CHAT = """
schema: ragweave/v1
inputs: {question: str}
outputs: [answer, history]
models:
  chat: {type: scripted, replies: [One., Two., Three., Four.]}
memories:
  history: {type: window, max_turns: 2}
prompts:
  plain:
    text: "## messages: history\\n\\n## user\\n{{ question }}"
    variables: {question: str, history: "list[Message]?"}
nodes:
  recall:   {type: recall, memory: history}
  answer:   {type: generator, model: chat, prompt: plain}
  remember: {type: remember, memory: history}
edges: [start -> recall -> answer -> remember -> end]
"""


def loaded(folder: Path, text: str = CHAT) -> Graph:
    file = folder / "chat.yaml"
    file.write_text(text)
    return Graph.load(file)


def run_of(thread_id: str, run_id: str = "r1") -> Run:
    return Run(run_id, thread_id, MemoryStore(), None)


def context(memory: Window, run: Run | None) -> Context:
    resources = Resources()
    resources.put("memories", "history", memory)
    return Context(resources=resources, run=run, node="remember")


async def test_a_run_sees_the_turns_of_its_thread_and_of_no_other(tmp_path: Path) -> None:
    async with loaded(tmp_path) as graph:
        for question in ("a", "b", "c"):
            await graph.arun(question=question, thread_id="t1")
        assert (await graph.arun(question="x", thread_id="t2"))["history"] == []
        model = graph.resources.get("models", "chat")
        said = [[message.text for message in request.messages] for request in model.requests]
    assert said == [["a"], ["a", "One.", "b"], ["a", "One.", "b", "Two.", "c"], ["x"]]
    async with loaded(tmp_path) as again:
        history = (await again.arun(question="d", thread_id="t1"))["history"]
    assert [message.text for message in history] == ["b", "Two.", "c", "Three."]


async def test_equal_thread_ids_of_two_users_are_two_conversations(tmp_path: Path) -> None:
    async with loaded(tmp_path) as graph:
        for user in ("ada", "bob"):
            await graph.arun(question=f"{user} asks", thread_id="t1", user=user)
        history = (await graph.arun(question="x", thread_id="t1", user="bob"))["history"]
        assert [message.text for message in history] == ["bob asks", "Two."]
        assert (await graph.arun(question="y", thread_id="t1"))["history"] == []


async def test_without_a_thread_nothing_is_kept_and_that_is_said_once(tmp_path: Path) -> None:
    async with loaded(tmp_path) as graph:
        said: list[str] = []
        graph.resources.notice = said.append
        assert (await graph.arun(question="a"))["history"] == []
        assert said == []  # there was nothing yet to remember
        for question in ("b", "c"):
            assert (await graph.arun(question=question))["history"] == []
    assert said == ["memory 'history' keeps nothing of runs without a thread, such as this; give them a thread_id"]
    assert not (tmp_path / ".ragweave" / "memory.sqlite").exists()


async def test_a_turn_is_written_once_for_each_call_whoever_repeats_it() -> None:
    memory = Window(file="")
    ctx = context(memory, run_of("t1"))
    for _ in range(3):
        await Remember(memory="history")(question="a", answer=Answer(text="b [1]"), ctx=ctx)
    await Remember(memory="history")(question="c", answer="d", ctx=context(memory, run_of("t1", "r2")))
    recalled = await Recall(memory="history")(ctx=ctx)
    assert recalled["history"] == [
        Message.of("user", "a"), Message.of("assistant", "b [1]"), Message.of("user", "c"), Message.of("assistant", "d")
    ]  # fmt: skip
    await memory.close()


async def test_a_run_that_was_killed_while_it_remembered_does_not_write_twice(tmp_path: Path) -> None:
    async with loaded(tmp_path) as graph:
        result = await graph.arun(question="a", thread_id="t1")
        journal = list(await graph.store.events(result.run_id))
        started = next(at for at, event in enumerate(journal) if event.kind == "effect_started")
        await _begin_again(graph, result.run_id, journal[: started + 1])
        again = await graph.aresume(result.run_id)
        assert again["answer"].text == "One."
        assert len(graph.resources.get("models", "chat").requests) == 1
        history = (await graph.arun(question="b", thread_id="t1"))["history"]
    assert [message.text for message in history] == ["a", "One."]


async def _begin_again(graph: Graph, run_id: str, journal: list[Event]) -> None:
    """Give the run a journal that ends where a kill would have ended it."""
    await graph.store.delete(run_id=run_id)
    await graph.store.begin(RunRecord(run_id, "t1", graph.name, "running"))
    write = graph.store.writer(run_id)
    for event in journal:
        write(event.record())
    await graph.store.end(run_id, "running")


async def test_an_unknown_memory_is_found_at_load() -> None:
    text = CHAT.replace("remember, memory: history", "remember, memory: histry")
    with pytest.raises(GraphError, match=r"histry.*did you mean 'history'\?"):
        Graph.parse(text)
