"""ragweave: graph files, with the store and the memory that such a graph has by default, beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypedDict

from durable.protocol import STEPS, THREAD, Carry, Count, Read, Turn, conversation
from ragweave import Graph, Message, node
from ragweave.orchestrator.contracts import Memory, Scope

PACKAGES = ("ragweave",)
UNSUPPORTED: dict[str, str] = {}

CHAT = """\
schema: ragweave/v1
name: chat
inputs: {question: str}
outputs: [answer]
memories:
  history: {type: window, max_turns: 1000}
nodes:
  recall: {type: recall, memory: history}
  reply: {type: bench_reply}
  remember: {type: remember, memory: history}
edges: [start -> recall -> reply -> remember -> end]
"""
_NAMES = [f"n{i}" for i in range(STEPS)]
_NODES = "\n".join(f"  {name}: {{type: bench_step}}" for name in _NAMES)
CHAIN = f"""\
schema: ragweave/v1
name: chain
inputs: {{n: int}}
outputs: [n]
nodes:
{_NODES}
edges: [start -> {" -> ".join(_NAMES)} -> end]
"""
CARRY = CHAIN.replace("inputs: {n: int}", "inputs: {n: int, value: str}").replace("outputs: [n]", "outputs: [n, value]")
FULL = "store: {type: sqlite, full: true}\n"


class N(TypedDict):
    """A counter."""

    n: int


class Said(TypedDict):
    """What a reply writes."""

    answer: str


@node(name="bench_step")
async def _step(n: int) -> N:
    return {"n": n + 1}


@node(name="bench_reply")
async def _reply(question: str, history: list[Message]) -> Said:
    answers = conversation()
    if len(history) % 2 or (history and history[-1].text != answers[history[-2].text]):
        raise ValueError("the conversation is not what was said")
    return {"answer": answers[question]}


@asynccontextmanager
async def _graph(folder: Path, text: str) -> AsyncIterator[Graph]:
    (folder / "graph.yaml").write_text(text)
    async with Graph.load(folder / "graph.yaml") as graph:
        yield graph


@asynccontextmanager
async def chat(folder: Path) -> AsyncIterator[Turn]:
    """A `window` that drops nothing."""
    async with _graph(folder, CHAT) as graph:

        async def turn(question: str) -> str:
            return str((await graph.arun(question=question, thread_id=THREAD))["answer"])

        yield turn


@asynccontextmanager
async def reading(folder: Path) -> AsyncIterator[Read]:
    """The thread's history, and the events of its newest run."""
    async with Graph.load(folder / "graph.yaml") as graph:
        await graph.awarm_up()
        memory: Memory = graph.resources.get("memories", "history")

        async def read(thread: str) -> int:
            messages = await memory.history(Scope("", "", thread))
            for run in await graph.store.runs(thread_id=thread, limit=1):
                events = await graph.store.events(run.run_id)
                if events[-1].data["outputs"]["answer"] != messages[-1].text:
                    raise ValueError("the newest run is not the last turn of the conversation")
            return len(messages)

        yield read


@asynccontextmanager
async def carrying(folder: Path) -> AsyncIterator[Carry]:
    """A chain with an input that no node reads, and that is given back in the end."""
    async with _graph(folder, CARRY) as graph:

        async def call(value: str) -> int:
            result = await graph.arun(n=0, value=value)
            if result["value"] != value:
                raise ValueError("the value is not what it was")
            return int(result["n"])

        yield call


@asynccontextmanager
async def counting(folder: Path, full: bool) -> AsyncIterator[Count]:
    """The default store, and the one that waits for the disk at each commit."""
    async with _graph(folder, CHAIN + (FULL if full else "")) as graph:

        async def call() -> int:
            return int((await graph.arun(n=0))["n"])

        yield call
