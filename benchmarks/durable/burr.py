"""Apache Burr with `AsyncSQLitePersister`: an `Application` per request, which takes up the state that was saved."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from burr.core import ApplicationBuilder, State, action
from burr.core.graph import Graph, GraphBuilder
from burr.integrations.persisters.b_aiosqlite import AsyncSQLitePersister

from durable.protocol import STEPS, THREAD, Carry, Count, Read, Turn, conversation

PACKAGES = ("apache-burr", "aiosqlite")
UNSUPPORTED: dict[str, str] = {}
_NAMES = [f"n{i}" for i in range(STEPS)]


@action(reads=["n"], writes=["n"])
async def _step(state: State) -> State:
    return state.update(n=state["n"] + 1)


@action(reads=["messages"], writes=["messages", "answer"])
async def _reply(state: State, question: str) -> State:
    answer = conversation()[question]
    said = {"role": "user", "content": question}, {"role": "assistant", "content": answer}
    return state.append(messages=said[0]).append(messages=said[1]).update(answer=answer)


@asynccontextmanager
async def _persister(folder: Path) -> AsyncIterator[Any]:
    async with AsyncSQLitePersister.from_values(db_path=str(folder / "burr.sqlite")) as persister:
        await persister.initialize()
        yield persister


async def _run(graph: Graph, persister: Any, app_id: str, entry: str, last: str, start: Any, inputs: Any) -> State:
    app = await (
        ApplicationBuilder()
        .with_graph(graph)
        .initialize_from(persister, resume_at_next_action=True, default_state=start, default_entrypoint=entry)
        .with_state_persister(persister)
        .with_identifiers(app_id=app_id)
        .abuild()
    )
    _, _, state = await app.arun(halt_after=[last], inputs=inputs)
    return state


@asynccontextmanager
async def chat(folder: Path) -> AsyncIterator[Turn]:
    """State is the memory: one action, which appends to it, and waits for the next question."""
    graph = GraphBuilder().with_actions(reply=_reply).with_transitions(("reply", "reply")).build()
    async with _persister(folder) as persister:

        async def turn(question: str) -> str:
            start = {"messages": []}
            inputs = {"question": question}
            return (await _run(graph, persister, THREAD, "reply", "reply", start, inputs))["answer"]

        yield turn


@asynccontextmanager
async def reading(folder: Path) -> AsyncIterator[Read]:
    """The newest state of an application."""
    async with _persister(folder) as persister:

        async def read(thread: str) -> int:
            found = await persister.load("", thread)
            return len(found["state"]["messages"]) if found else 0

        yield read


def _chain() -> Graph:
    actions = dict.fromkeys(_NAMES, _step)
    return GraphBuilder().with_actions(**actions).with_transitions(*pairwise(_NAMES)).build()


@asynccontextmanager
async def carrying(folder: Path) -> AsyncIterator[Carry]:
    """A state that holds the text."""
    graph = _chain()
    async with _persister(folder) as persister:

        async def call(value: str) -> int:
            start = {"n": 0, "value": value}
            return (await _run(graph, persister, uuid.uuid4().hex, _NAMES[0], _NAMES[-1], start, {}))["n"]

        yield call


@asynccontextmanager
async def counting(folder: Path, full: bool) -> AsyncIterator[Count]:
    """SQLite's own default, which waits for the disk at each commit."""
    graph = _chain()
    async with _persister(folder) as persister:

        async def call() -> int:
            return (await _run(graph, persister, uuid.uuid4().hex, _NAMES[0], _NAMES[-1], {"n": 0}, {}))["n"]

        yield call
