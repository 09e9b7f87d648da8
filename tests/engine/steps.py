"""What the tests of the engine share: small nodes, graphs in one line, gates that hold a call until it is let go."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.stores import Store
from ragweave.orchestrator.values import Ask


class N(TypedDict):
    n: int


class M(TypedDict):
    m: int


class K(TypedDict):
    k: list[str]


class R(TypedDict):
    r: str


class Nothing(TypedDict):
    pass


async def inc(n: int) -> N:
    return {"n": n + 1}


async def same(n: int) -> N:
    return {"n": n}


async def idle() -> None:
    return None


def writes(value: str) -> Callable[..., Any]:
    """A node that writes k = [value]."""

    async def write() -> K:
        return {"k": [value]}

    return write


def ask(question: str, kind: str = "string") -> Ask:
    """An Ask whose answer is of this JSON type."""
    return Ask(question=question, schema={"type": kind})


def build(
    nodes: Mapping[str, Any],
    *edges: Any,
    outputs: Sequence[str] = ("n",),
    inputs: Mapping[str, Any] | None = None,
    store: Store | None = None,
    **more: Any,
) -> Graph:
    """A graph with the input `n: int` unless others are given."""
    given = {"n": "int"} if inputs is None else inputs
    return Graph(store=store, inputs=given, outputs=list(outputs), nodes=dict(nodes), edges=list(edges), **more)


def routes(source: str, *ways: tuple[str | None, str | list[str]] | tuple[str | None, str | list[str], int]) -> Any:
    """A `routes` block of (when, to) or (when, to, max_iterations)."""
    rows = []
    for when, to, *bound in ways:
        row: dict[str, Any] = {"to": to}
        if when is not None:
            row["when"] = when
        if bound:
            row["max_iterations"] = bound[0]
        rows.append(row)
    return {"from": source, "routes": rows}


class Gate:
    """A call that waits here has started; it goes on when the test lets it, or fails with what the test says."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.visits = 0
        self._go: asyncio.Future[None] | None = None
        self._open = False

    async def wait(self) -> None:
        self.visits += 1
        self.started.set()
        if self._open:
            return
        if self._go is None or self._go.done():
            self._go = asyncio.get_running_loop().create_future()
        try:
            await asyncio.shield(self._go)
        except asyncio.CancelledError:
            if not self._go.done() or self._go.cancelled():
                self.cancelled.set()
            raise

    def open(self) -> None:
        """Let go whoever waits, and whoever comes."""
        self._open = True
        if self._go is not None and not self._go.done():
            self._go.set_result(None)

    def fail(self, error: Exception) -> None:
        """Make whoever waits fail."""
        assert self._go is not None
        self._go.set_exception(error)


class Calls(Counter[str]):
    """Counts calls, by the name or path that the node gives."""

    def node(self, name: str) -> Callable[..., Any]:
        """A node that counts itself and passes n + 1 on."""

        async def counted(n: int, ctx: Context) -> N:
            self[ctx.path] += 1
            return {"n": n + 1}

        counted.__name__ = name
        return counted


async def events(graph: Graph, run_id: str | None = None) -> list[Event]:
    """The journal of a run; of the newest, if none is named."""
    if run_id is None:
        run_id = (await graph.runs())[-1].run_id
    return list(await graph.store.events(run_id))


async def finished(graph: Graph, run_id: str | None = None) -> list[str]:
    """The paths of the calls that finished, in order."""
    return [event.path for event in await events(graph, run_id) if event.kind == "finished"]


async def status(graph: Graph, run_id: str | None = None) -> str:
    """The status of a run; of the newest, if none is named."""
    record = (await graph.runs())[-1] if run_id is None else await graph.store.record(run_id)
    assert record is not None
    return record.status
