"""What the tests of journals share: random graphs whose runs are kept in a file, and what came of each run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.result import Result
from ragweave.orchestrator.stores import Store
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from tests.engine.test_prefixes import Actors, inputs_of
from tests.reference.driver import reading_everything
from tests.reference.files import STAGE, file_of
from tests.reference.graphs import random_script, shape, with_writes
from tests.reference.interpreter import Run, Script
from tests.reference.sketch import Sketch


def durable(folder: Path) -> Store:
    """A store on a file in this folder."""
    return DurableStore(SqliteDatabase(folder / "runs.sqlite"))


class Played:
    """A run of a random graph, what its calls saw, and its script."""

    def __init__(self, random: Random, store: Store | None, size: int = 7) -> None:
        self.random = random
        self.sketch: Sketch = reading_everything(with_writes(random, shape(random, size)))
        self.script: Script = random_script(random.randrange(10**6), self.sketch)
        self.graph = Graph.parse(file_of(self.sketch), store=store)
        self.seen: dict[str, dict[str, Any]] = {}

    async def run(self) -> Result:
        """Run it to its end."""
        actors = Actors(self.sketch, self.script, self.random, {})
        STAGE.set(actors)
        result = await self.graph.arun(**inputs_of(self.sketch))
        self.seen = actors.seen
        return result

    async def fork(self, run_id: str, at: str, given: Mapping[str, Any] | None = None) -> tuple[Result, dict[str, Any]]:
        """Fork it at a call; the result, and what the calls that were made saw."""
        reused: Any = dict.fromkeys(self.reused(at), ())
        actors = Actors(self.sketch, self.script, self.random, reused)
        STAGE.set(actors)
        return await self.graph.afork(run_id, at, given), actors.seen

    def reused(self, at: str) -> set[str]:
        """What can be done without the call at this path, by the reference interpreter: all else runs, it does not."""
        reference = Run(self.sketch)
        done: set[str] = set()
        while True:
            free = [name for name in reference.running if f"{name}#{reference.visits[name]}" != at]
            if not free:
                return done
            name = self.random.choice(sorted(free))
            visit = reference.visits[name]
            reference.finish(name, self.script(name, visit))
            done.add(f"{name}#{visit}")
