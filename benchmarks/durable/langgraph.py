"""LangGraph with its `AsyncSqliteSaver`: a compiled `StateGraph`, state that a thread keeps, `add_messages`."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph, add_messages

from durable.protocol import STEPS, THREAD, Carry, Count, Read, Turn, conversation

PACKAGES = ("langgraph", "langgraph-checkpoint", "langgraph-checkpoint-sqlite", "langchain-core", "aiosqlite")
UNSUPPORTED: dict[str, str] = {}


class N(TypedDict):
    """A counter."""

    n: int


class Carried(TypedDict):
    """A counter, and a text that nobody touches."""

    n: int
    value: str


class Chat(TypedDict):
    """A chat that writes add to."""

    messages: Annotated[list[Any], add_messages]


async def _step(state: Any) -> N:
    return {"n": state["n"] + 1}


async def _reply(state: Any) -> dict[str, Any]:
    return {"messages": [{"role": "assistant", "content": conversation()[state["messages"][-1].content]}]}


@asynccontextmanager
async def _app(folder: Path, graph: StateGraph[Any]) -> AsyncIterator[Any]:
    async with AsyncSqliteSaver.from_conn_string(str(folder / "langgraph.sqlite")) as saver:
        await saver.setup()
        yield graph.compile(checkpointer=saver)


def _config(thread: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread}, "recursion_limit": STEPS + 10}


def _chat(state: type) -> StateGraph[Any]:
    graph = StateGraph(state)
    graph.add_node("reply", _reply)
    graph.add_edge(START, "reply")
    graph.add_edge("reply", END)
    return graph


@asynccontextmanager
async def chat(folder: Path, state: type = Chat) -> AsyncIterator[Turn]:
    """State is the memory: one node, whose reply the reducer adds."""
    async with _app(folder, _chat(state)) as app:

        async def turn(question: str) -> str:
            given = {"messages": [{"role": "user", "content": question}]}
            return str((await app.ainvoke(given, _config(THREAD)))["messages"][-1].content)

        yield turn


@asynccontextmanager
async def reading(folder: Path, state: type = Chat) -> AsyncIterator[Read]:
    """The newest state of a thread."""
    async with _app(folder, _chat(state)) as app:

        async def read(thread: str) -> int:
            return len((await app.aget_state(_config(thread))).values.get("messages", ()))

        yield read


def _chain(state: type) -> StateGraph[Any]:
    graph = StateGraph(state)
    names = [f"n{i}" for i in range(STEPS)]
    for name in names:
        graph.add_node(name, _step)
    for source, target in pairwise([START, *names, END]):
        graph.add_edge(source, target)
    return graph


@asynccontextmanager
async def carrying(folder: Path) -> AsyncIterator[Carry]:
    """A state that holds the text."""
    async with _app(folder, _chain(Carried)) as app:

        async def call(value: str) -> int:
            return int((await app.ainvoke({"n": 0, "value": value}, _config(uuid.uuid4().hex)))["n"])

        yield call


@asynccontextmanager
async def counting(folder: Path, full: bool) -> AsyncIterator[Count]:
    """SQLite's own default, which waits for the disk at each commit; checkpoints are written while the next step runs,
    which is LangGraph's default."""
    async with _app(folder, _chain(N)) as app:

        async def call() -> int:
            return int((await app.ainvoke({"n": 0}, _config(uuid.uuid4().hex)))["n"])

        yield call
