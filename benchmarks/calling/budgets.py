"""Budgets: what 64 branches use beyond what they may, and what it costs to hold and to settle."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncGenerator
from random import Random
from typing import Any

from pydantic import PrivateAttr
from tables import Line

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import ModelError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.running.budgets.accounts import Amount
from ragweave.orchestrator.running.budgets.book import Budgets, Hold
from ragweave.orchestrator.running.run import Run
from ragweave.orchestrator.stores.memory import MemoryStore
from ragweave.orchestrator.values import Usage

BRANCHES, RUNS, MOST = 64, 40, 6_000
ROUNDS, EACH = 7, 5_000


class Spending(ChatModel):
    """Says as many words as it likes, up to what it may; some calls fail. A word is a token."""

    _random: Random = PrivateAttr(default_factory=Random)
    _used: int = PrivateAttr(0)

    def begin(self, seed: int) -> None:
        """Forget what was used."""
        self._random, self._used = Random(seed), 0

    @property
    def used(self) -> int:
        """What it has read and said, whether it told so or not."""
        return self._used

    def count_tokens(self, text: str) -> int:
        """Words."""
        return len(text.split())

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """Words, told or not."""
        length = min(self._random.randint(1, 400), request.max_tokens or 400)
        ends = self._random.choice(["told", "told", "told", "untold", "broken", "busy"])
        await asyncio.sleep(0)
        if ends == "busy":
            raise ModelError("busy", transient=True)
        read = sum(len(message.text.split()) for message in request.messages)
        self._used += read + length
        yield ChatChunk(text="word " * length)
        await asyncio.sleep(0)
        if ends == "broken":
            raise ModelError("broken off")
        yield ChatChunk(
            usage=Usage(calls=1, input_tokens=read, output_tokens=length) if ends == "told" else None, finish="stop"
        )


def branches(most: int | None) -> Graph:
    """That many generators side by side, whose failures harm nobody."""
    names = [f"a{at}" for at in range(BRANCHES)]
    settings = "type: generator, model: chat, prompt: p, max_tokens: 400, on_error: sorry"
    nodes = "".join(f"  {name}: {{{settings}, writes: {{answer: k_{name}}}}}\n" for name in names)
    budget = f"budget: {{max_tokens: {most}}}\n" if most is not None else ""
    return Graph.parse(
        "schema: ragweave/v1\ninputs: {question: str}\noutputs: [answer]\n"
        f"{budget}models: {{chat: {{type: spending}}}}\n"
        'prompts: {p: {text: "{{ question }}", variables: {question: str}}}\n'
        f"nodes:\n{nodes}  sorry: {{type: reply, text: Sorry.}}\n  done: {{type: reply, text: Done.}}\n"
        f"edges:\n  - start -> {', '.join(names)} -> done -> end\n  - sorry -> done\n"
    )


async def budgets() -> list[Line]:
    """The rows about budgets."""
    with registry.scope():
        registry.add("models", "spending", Spending)
        used: dict[str, list[int]] = {}
        for name, most in (("without", None), ("with", MOST)):
            graph = branches(most)
            model: Any = graph.resources.get("models", "chat")
            for seed in range(RUNS):
                model.begin(seed)
                with contextlib.suppress(RunError):
                    await graph.arun(question="How much is that?")
                used.setdefault(name, []).append(model.used)
    over = max(0, max(used["with"]) - MOST)
    within, free = (statistics.median(used[name]) for name in ("with", "without"))
    rows = [
        Line(
            f"budgets: tokens beyond max_tokens: {MOST:,}, {RUNS} runs of {BRANCHES} branches",
            "0",
            f"{over}; used {within:,.0f}, without a budget {free:,.0f}",
            over == 0,
        )
    ]
    micros = await cost()
    rows.append(Line("budgets: to hold and to settle", "printed", f"{micros:.1f} µs of CPU a call in two accounts"))
    return rows


async def cost() -> float:
    """The median of what a call costs in microseconds."""
    graph = Graph.parse(
        "schema: ragweave/v1\noutputs: [answer]\nbudget: {max_tokens: 1_000_000_000}\n"
        "nodes: {a: {type: reply, text: Hi., budget: {max_tokens: 1_000_000_000, max_cost_usd: 1_000_000}}}\n"
        "edges: [start -> a -> end]\n"
    )
    run = Run("r", "", MemoryStore(), None)
    run.append = lambda record: None
    book = Budgets(graph.plan, run)
    ctx = Context(run=run, node="a")
    levels = book.levels("", "a")
    held, used = Amount(4_200), Amount(300)
    took = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for _ in range(EACH):
            hold = await book.reserve(ctx, levels, lambda: (held, 4_096))
            assert isinstance(hold, Hold)
            hold.settle(used)
        took.append((time.process_time() - begin) / EACH * 1e6)
    return statistics.median(took)
