"""A worker that is to be killed: goes on with what crashed, then begins runs until it is told to stop, and says what it
does in a log that a kill cannot tear.

`python -m tests.survival.worker STORE LOG RUNS`, where STORE is a file, or a schema and an address of Postgres as
`schema@postgres…`. With RUNS 0 it only finishes what is there.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any, TypedDict

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.result import Result
from ragweave.orchestrator.stores import Store
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase

DURABILITIES = ("sync", "async", "exit")
_log = -1


class Total(TypedDict):
    total: int


class Numbers(TypedDict):
    numbers: list[int]


class Square(TypedDict):
    squares: int


def tell(word: str, run: str, path: str) -> None:
    """One line, whole or not at all: what was written before a kill is there after it."""
    os.write(_log, f"{word} {run} {path}\n".encode())


async def work(ctx: Context) -> None:
    """Take some milliseconds, so that a kill finds calls under way."""
    tell("begin", ctx.run_id, ctx.path)
    await asyncio.sleep(random.random() * 0.004)
    tell("finish", ctx.run_id, ctx.path)


class Spread(Node):
    """The numbers below the total, of which there are at most five."""

    async def __call__(self, total: int, ctx: Context) -> Numbers:
        await work(ctx)
        return {"numbers": list(range(total % 5 + 1))}


class Squared(Node):
    """The square of a number, with a text that is too long to stand in an event."""

    async def __call__(self, number: int, ctx: Context) -> Square:
        await work(ctx)
        return {"squares": number * number}


class Sum(Node):
    """The total and all squares."""

    async def __call__(self, total: int, squares: list[int], ctx: Context) -> Total:
        await work(ctx)
        return {"total": total + sum(squares) + 1}


class Pay(Node):
    """An effect that must not happen twice."""

    effects = "external"

    async def __call__(self, total: int, ctx: Context) -> Total:
        tell("pay", ctx.run_id, ctx.path)
        await work(ctx)
        return {"total": total + 1000}


class Report(Node):
    """Goes on, or around once more."""

    async def __call__(self, total: int, ctx: Context) -> Total:
        await work(ctx)
        return {"total": total}


def graph(store: Store, durability: str) -> Graph:
    """Fan-out, a map, an effect, a loop, and a graph in a graph."""
    inner: dict[str, Any] = {
        "inputs": {"total": "int"},
        "outputs": ["total"],
        "nodes": {
            "spread": Spread(),
            "square": {"type": Squared, "map": {"over": "numbers", "as": "number", "max_concurrency": 3}},
            "sum": Sum(),
        },
        "edges": ["start -> spread -> square -> sum -> end"],
    }
    return Graph(
        store=store,
        name=f"killed_{durability}",
        durability=durability,
        inputs={"total": "int"},
        outputs=["total"],
        nodes={"inside": Graph(**inner), "pay": Pay(), "report": Report()},
        edges=[
            "start -> inside -> pay -> report",
            {
                "from": "report",
                "routes": [{"to": "inside", "when": "total < 2000", "max_iterations": 3}, {"to": "end"}],
            },
        ],
    )


def expected(total: int) -> int:
    """What a run gives that nobody kills."""
    for _ in range(4):
        total += sum(number * number for number in range(total % 5 + 1)) + 1 + 1000
        if total >= 2000:
            break
    return total


async def settled(graph: Graph, result: Result) -> None:
    """Answer what a run asks about effects of unknown outcome, until it is done."""
    while result.status == "parked":
        for path in result.asks:
            tell("answer", result.run_id, path.removesuffix("!"))
        result = await graph.aresume(result.run_id, answers=dict.fromkeys(result.asks, "repeat"))
    tell("done", result.run_id, str(result["total"]))


async def one(graph: Graph, total: int) -> None:
    """A run from its start."""
    result = await graph.arun(total=total)
    tell("input", result.run_id, str(total))
    await settled(graph, result)


def store_at(where: str) -> DurableStore:
    """The store of this file or this database."""
    schema, _, address = where.partition("@")
    if not address.startswith("postgres"):
        return DurableStore(SqliteDatabase(Path(where)))
    from ragweave.orchestrator.stores.postgres import PostgresDatabase

    return DurableStore(PostgresDatabase(address, schema=schema))


async def main(where: str, runs: int) -> None:
    """Recover, then run."""
    store = store_at(where)
    graphs = {f"killed_{durability}": graph(store, durability) for durability in DURABILITIES}
    crashed = list(await store.crashed())
    waiting = list(await store.runs(status="parked"))
    print("ready", flush=True)
    await asyncio.gather(*(recover(graphs[record.graph], record.run_id) for record in [*crashed, *waiting]))
    for number in range(runs):
        await asyncio.gather(*(one(mine, random.randrange(100) + number) for mine in graphs.values()))
    await store.close()


async def recover(graph: Graph, run_id: str) -> None:
    """Go on with a run of a worker that was killed."""
    waiting = {one.path: "repeat" for one in await graph.waiting() if one.run_id == run_id}
    for path in waiting:
        tell("answer", run_id, path.removesuffix("!"))
    await settled(graph, await graph.aresume(run_id, answers=waiting))


if __name__ == "__main__":
    _log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    asyncio.run(main(sys.argv[1], int(sys.argv[3])))
