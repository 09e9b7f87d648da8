"""What it costs to take up a run again: its events are read from SQLite and folded, with their types.

`python benchmarks/folding.py 1000 10000 100000` prints CPU milliseconds for runs of about so many events.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TypedDict

from ragweave import Graph, node
from ragweave.orchestrator.running.fold import fold_all
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase

#: The least of so many measurements counts: other programs only add to it.
TRIES = 3


class N(TypedDict):
    """A counter."""

    n: int


class Square(TypedDict):
    """A number by itself."""

    square: int


@node(name="fold_step")
async def _step(n: int) -> N:
    return {"n": n + 1}


@node(name="fold_effect", effects="write", idempotent=True)
async def _effect(n: int) -> N:
    return {"n": n + 1}


@node(name="fold_square")
async def _square(item: int) -> Square:
    return {"square": item * item}


@node(name="fold_effects", effects="write", idempotent=True)
async def _effects(item: int) -> Square:
    return {"square": item * item}


def _loop(step: Any) -> dict[str, Any]:
    again = {"to": "step", "when": "n < stop", "max_iterations": 10**9}
    return {
        "inputs": {"n": "int", "stop": "int"},
        "outputs": ["n"],
        "nodes": {"step": step},
        "edges": ["start -> step", {"from": "step", "routes": [again, {"to": "end"}]}],
    }


def _map(each: Any) -> dict[str, Any]:
    return {
        "inputs": {"items": "list[int]"},
        "outputs": ["square"],
        "nodes": {"each": {"type": each, "map": {"over": "items", "as": "item"}}},
        "edges": ["start -> each -> end"],
    }


#: What is run -> the graph, and how many events each step of it makes.
GRAPHS = {
    "a loop": (_loop(_step), 1),
    "a map": (_map(_square), 1),
    "effects in a loop": (_loop(_effect), 3),
    "a map of effects": (_map(_effects), 3),
}


async def measure(shape: dict[str, Any], steps: int, file: Path) -> tuple[int, float, float]:
    """Events of a run of so many steps; seconds of CPU to read them, and to fold them."""
    graph = Graph(name="folded", **shape, store=DurableStore(SqliteDatabase(file)))
    inputs = {"n": 0, "stop": steps} if "n" in shape["inputs"] else {"items": list(range(steps))}
    async with graph:
        run = (await graph.arun(inputs)).run_id
    reads, folds = [], []
    for _ in range(TRIES):
        store = DurableStore(SqliteDatabase(file))
        begun = time.process_time()
        events = await store.events(run)
        read = time.process_time()
        fold_all(graph._edition.plan, events, live=False)
        folds.append(time.process_time() - read)
        reads.append(read - begun)
        await store.close()
    return len(events), min(reads), min(folds)


async def main() -> None:
    """Every graph with every number of events."""
    print(f"{'':20} {'events':>8} {'read ms':>9} {'fold ms':>9} {'µs an event':>12}")
    with tempfile.TemporaryDirectory(prefix="ragweave-bench-") as folder:
        for count in map(int, sys.argv[1:] or ["1000", "10000"]):
            for name, (shape, made) in GRAPHS.items():
                file = Path(folder) / f"{count} {name}.sqlite"
                events, read, fold = await measure(shape, count // made, file)
                print(f"{name:20} {events:8} {1e3 * read:9.1f} {1e3 * fold:9.1f} {1e6 * (read + fold) / events:12.1f}")


if __name__ == "__main__":
    asyncio.run(main())
