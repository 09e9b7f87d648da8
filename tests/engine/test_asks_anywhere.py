"""Asks in maps, graphs, loops, fallbacks and races, several at once, answered in any order, over restarts: what comes
out is what comes out where nobody asks, and nothing that finished is called again (R18, R19)."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, NodeError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node_type
from ragweave.orchestrator.stores import Store
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from ragweave.orchestrator.stores.waiting import Waiting, waiting
from ragweave.orchestrator.values import Ask
from tests.engine.steps import N, build, routes

KINDS = ("leaf", "effect", "map", "loop", "fallback", "race", "graph", "graphs")
PLAIN = ("leaf", "effect", "loop", "fallback", "race")
"""Those that write one number."""


@dataclass(frozen=True)
class Part:
    """A node of a random graph: how often each of its calls asks, and what is in it if it is a graph."""

    kind: str
    asks: int
    interrupt: bool
    inside: tuple[tuple[Part, ...], ...] = ()


@st.composite
def layers(draw: st.DrawFn, depth: int = 2) -> tuple[tuple[Part, ...], ...]:
    """One to three layers of one to three nodes: each node of a layer waits for all of the one before."""
    found = []
    for _ in range(draw(st.integers(1, 3 if depth == 2 else 2))):
        kinds = draw(st.lists(st.sampled_from(KINDS if depth else KINDS[:6]), min_size=1, max_size=3 if depth else 2))
        row = []
        for kind in kinds:
            inside = draw(layers(depth - 1)) if kind.startswith("graph") else ()
            row.append(Part(kind, draw(st.integers(0, 2)), draw(st.integers(0, 3)) == 0, inside))
        found.append(tuple(row))
    return tuple(found)


class World:
    """Makes graphs whose calls count themselves; what they write does not depend on what people answer."""

    def __init__(self, *, asks: bool) -> None:
        self.asks = asks
        self.calls: Counter[str] = Counter()
        self.wanted: dict[str, int] = {}
        """By path, how often the call asks before it finishes."""

    def leaf(self, part: Part, add: int, *, fails: bool = False) -> Any:
        async def call(n: int, ctx: Context) -> N | Ask:
            self.calls[ctx.path] += 1
            wanted = (part.asks + (ctx.item or 0)) % 3 if self.asks else 0
            self.wanted[ctx.path] = wanted
            assert ctx.answers == tuple(f"{ctx.path} {number}" for number in range(len(ctx.answers)))
            if len(ctx.answers) < wanted:
                token = f"{ctx.path} {len(ctx.answers)}"
                return Ask(question=token, schema={"type": "string", "const": token})
            if fails:
                raise NodeError("it fails")
            return {"n": n + add}

        return node_type(call, effects="write") if part.kind == "effect" else call

    def graph(self, rows: Sequence[Sequence[Part]], store: Store | None = None, name: str = "outer") -> Graph:
        nodes: dict[str, Any] = {}
        state: dict[str, Any] = {}
        names = [[f"{part.kind}{at}{column}" for column, part in enumerate(row)] for at, row in enumerate(rows)]
        edges: list[Any] = [f"start -> {', '.join(names[0])}"]
        outputs: list[str] = []
        read = "n"
        for at, row in enumerate(rows):
            targets = names[at + 1] if at + 1 < len(names) else ["end"]
            for mine, part in zip(names[at], row, strict=True):
                nodes[mine] = self.node(part, mine, read, outputs)
                if part.kind == "loop":
                    state[mine] = {"type": "int", "default": 0}
                    edges.append(routes(mine, (f"{mine} < 3", mine, 5), (None, targets)))
                else:
                    edges.append(f"{mine} -> {', '.join(targets)}")
            whole = [
                mine for mine, part in zip(names[at], row, strict=True) if part.kind in ("leaf", "fallback", "loop")
            ]
            read = whole[-1] if whole else read
        inputs = {"n": "int", "items": "list[int]"}
        return build(nodes, *edges, inputs=inputs, outputs=outputs, state=state, store=store, name=name)

    def node(self, part: Part, mine: str, read: str, outputs: list[str]) -> dict[str, Any]:
        own = [mine]
        entry: dict[str, Any] = {"type": self.leaf(part, 1), "reads": {"n": read}, "writes": {"n": mine}}
        if part.kind == "map":
            entry |= {"map": {"over": "items", "as": "n", "max_concurrency": 2}}
            del entry["reads"]
        elif part.kind == "loop":
            entry["reads"] = {"n": mine}
        elif part.kind == "fallback":
            entry |= {"type": self.leaf(part, 1, fails=True), "fallback": [{"type": self.leaf(part, 2)}]}
        elif part.kind == "race":
            entry["race"] = [{"type": self.leaf(part, 1)}]
        elif part.kind.startswith("graph"):
            inner = self.graph(part.inside, name=f"in_{mine}")
            own = [f"{mine}_{key}" for key in inner.plan.spec.outputs]
            entry |= {"type": inner, "writes": dict(zip(inner.plan.spec.outputs, own, strict=True))}
            if part.kind == "graphs":
                entry |= {"map": {"over": "items", "as": "n"}}
                del entry["reads"]
        outputs += own
        if part.interrupt and self.asks:
            entry["interrupt"] = True
        return entry


def answer(one: Waiting) -> Any:
    return True if one.question.startswith("Shall") else one.question


async def refused(graph: Graph, run_id: str, answers: Mapping[str, Any]) -> None:
    with pytest.raises(InputError):
        await graph.aresume(run_id, answers=answers)


async def live(rows: Sequence[Sequence[Part]], random: Random, folder: Path) -> None:
    given: dict[str, Any] = {"n": 1, "items": [4, 5]}
    expected = await World(asks=False).graph(rows).arun(**given)
    world = World(asks=True)

    def opened() -> Graph:
        return world.graph(rows, DurableStore(SqliteDatabase(folder / "runs.sqlite")))

    graph = opened()
    result = await graph.arun(**given)
    answered: list[str] = []
    for _ in range(300):
        if result.status == "done":
            break
        await graph.aclose()
        graph = opened()
        asked = await waiting(graph.store)
        assert sorted(one.path for one in asked) == sorted(result.asks)
        some = random.sample(asked, random.randint(1, len(asked)))
        before = dict(world.calls)
        if random.random() < 0.4:
            wrong = {some[0].path: "no answer to this"}
            await refused(graph, result.run_id, {one.path: answer(one) for one in some} | wrong)
            await refused(graph, result.run_id, {"nobody#1": True})
        gone = [path for path in answered if path not in result.asks]
        if gone:
            await refused(graph, result.run_id, {random.choice(gone): True})
        assert (before, await waiting(graph.store)) == (world.calls, asked)
        answered += [one.path for one in some]
        result = await graph.aresume(result.run_id, answers={one.path: answer(one) for one in some})
    await graph.aclose()
    assert result.outputs == expected.outputs
    for path, count in world.calls.items():
        if "race" in path.rpartition("#")[0].rpartition("/")[2]:  # a loser may be left with its question
            assert count <= world.wanted[path] + 1, path
        else:
            assert count == world.wanted[path] + 1, path


def played(rows: Sequence[Sequence[Part]], random: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(rows, random, Path(folder)))


@settings(max_examples=12, deadline=None)
@given(layers(), st.integers(0, 999))
def test_whoever_asks_wherever_the_outcome_is_the_same(rows: tuple[tuple[Part, ...], ...], seed: int) -> None:
    played(rows, Random(seed))


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(layers(), st.integers(0, 999))
def test_many_more_of_them(rows: tuple[tuple[Part, ...], ...], seed: int) -> None:
    played(rows, Random(seed))
