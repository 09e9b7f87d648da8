"""A program that runs a graph on one thread: `python -m tests.stores.taking_turns FOLDER NAME COUNT HOW`.

HOW is `run`, `stream` or `hold`: the last one stays in its first run. Every call of the node is told in the file `log`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TypedDict

from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase


class Said(TypedDict):
    said: str


def tell(folder: Path, line: str) -> None:
    """One line at the end of the log, whoever else writes one."""
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(log, f"{line}\n".encode())
    os.close(log)


def graph_in(folder: Path, hold: bool) -> Graph:
    """A graph of one node that takes its time."""

    @node(name="slow_in_stores")
    async def slow(name: str) -> Said:
        tell(folder, f"enter {name}")
        await asyncio.sleep(60 if hold else 0.05)
        tell(folder, f"leave {name}")
        return {"said": name}

    return Graph(
        name="slow", inputs={"name": "str"}, outputs=["said"], nodes={"slow": slow}, edges=["start -> slow -> end"],
        store=DurableStore(SqliteDatabase(folder / "runs.sqlite")),
    )  # fmt: skip


async def main(folder: Path, name: str, count: int, how: str) -> None:
    """Run it as often as was asked for."""
    async with graph_in(folder, how == "hold") as graph:
        for number in range(count):
            mine = f"{name}{number}"
            if how == "stream":
                shown = [event async for event in graph.stream(name=mine, thread_id="t")]
                assert [event.kind for event in shown].count("run_started") == 1
                assert shown[-1].data["result"]["said"] == mine
            else:
                assert (await graph.arun(name=mine, thread_id="t"))["said"] == mine


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]))
