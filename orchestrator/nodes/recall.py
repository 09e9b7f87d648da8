"""The node that brings earlier turns of the conversation into the run."""

from __future__ import annotations

from typing import TypedDict

from pydantic import Field

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Memory, MemoryName
from ragweave.orchestrator.memory.scope import scope_of
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.values import Message


class Recalled(TypedDict):
    """What a recall writes."""

    history: list[Message]


class Recall(Node, type="recall"):
    """Bring earlier turns of the run's thread into the state, as `history`; a run without a thread has none.

    A decomposer and a generator read `history` by themselves, so that a follow-up is understood.
    """

    origin = "memory"
    example = "recall: {type: recall, memory: history}"

    memory: MemoryName = Field(description="The memory to ask.")

    async def __call__(self, ctx: Context) -> Recalled:
        """The messages, the oldest first."""
        scope = scope_of(ctx)
        if scope is None:
            return {"history": []}
        memory: Memory = await ctx.resource("memories", self.memory)
        return {"history": await memory.history(scope)}
