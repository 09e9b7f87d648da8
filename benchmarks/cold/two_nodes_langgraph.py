"""A two-node LangGraph graph in a fresh process."""

import asyncio
from typing import TypedDict

from langgraph.graph import END, START, StateGraph


class N(TypedDict):
    """A counter."""

    n: int


async def inc(state: N) -> N:
    """Add one."""
    return {"n": state["n"] + 1}


graph = StateGraph(N)
graph.add_node("a", inc)
graph.add_node("b", inc)
graph.add_edge(START, "a")
graph.add_edge("a", "b")
graph.add_edge("b", END)
print(asyncio.run(graph.compile().ainvoke({"n": 0}))["n"])
