"""The node that keeps a turn of the conversation for later runs."""

from __future__ import annotations

from collections import Counter
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import Field

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Memory, MemoryName
from ragweave.orchestrator.memory.scope import scope_of
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Message

_runs: WeakKeyDictionary[Resources, Counter[str]] = WeakKeyDictionary()
"""By the resources of a graph, how many runs without a thread each memory has met."""


class Remember(Node, type="remember"):
    """Keep question and answer as a turn of the run's thread, once, however often the run is resumed or tries again.

    Of a run without a thread nothing is kept. That is said once, at the second such run of a graph: then there was
    something that could have been remembered.
    """

    effects = "write"
    idempotent = True
    keeps_labels = True
    example = "remember: {type: remember, memory: history}"

    memory: MemoryName = Field(description="The memory that keeps it.")

    async def __call__(self, question: str, answer: Any, ctx: Context) -> None:
        """Add the two messages, under the key of this call."""
        scope = scope_of(ctx)
        if scope is None:
            self._say(ctx)
            return
        memory: Memory = await ctx.resource("memories", self.memory)
        turn = (Message.of("user", question), Message.of("assistant", str(answer)))
        await memory.add(scope, turn, key=ctx.key)

    def _say(self, ctx: Context) -> None:
        if ctx.resources is None:
            return
        runs = _runs.setdefault(ctx.resources, Counter())
        runs[self.memory] += 1
        if runs[self.memory] == 2:
            ctx.resources.say(
                f"memory {self.memory!r} keeps nothing of runs without a thread, such as this; give them a thread_id"
            )
