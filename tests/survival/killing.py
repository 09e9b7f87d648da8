"""Kill workers at random moments, let others go on, and count what must not happen.

`python -m tests.survival.killing [--kills 20] [--seed N] [--postgres]` prints the counts: on a SQLite file, and with
`--postgres` on a PostgreSQL server that is started for it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from ragweave.orchestrator.running.events import call_path
from ragweave.orchestrator.stores.durable import DurableStore
from tests.survival.worker import expected, store_at

Call = tuple[str, str]
"""A run, and the path of a call in it."""


@dataclass
class Damage:
    """What workers did that were killed and gone on with; all but the first two must stay empty."""

    kills: int = 0
    runs: int = 0
    again: list[Call] = field(default_factory=list)
    """Calls that had finished, by the journal, and were run again."""
    lost: list[str] = field(default_factory=list)
    """Runs whose result somebody had seen, and that are not there or give another one."""
    repeated: list[Call] = field(default_factory=list)
    """Effects that happened more often than people said."""
    wrong: list[str] = field(default_factory=list)
    """Runs that are not done in the end, or whose result is not the right one."""


def survive(place: str, log: Path, kills: int, seed: int) -> Damage:
    """Kill so many workers, let a last one finish, and look at what all of them did."""
    moments = random.Random(seed)
    damage = Damage()
    finished: dict[str, set[str]] = {}
    for _ in range(kills):
        before = len(lines(log))
        process = worker(place, log, 1000)
        time.sleep(moments.random() * 0.25)
        process.kill()
        process.communicate()
        damage.kills += 1
        begun = [(run, path) for word, run, path in lines(log)[before:] if word == "begin"]
        damage.again += [(run, path) for run, path in begun if path in finished.get(run, ())]
        finished = asyncio.run(_journaled(place))
    process = worker(place, log, 0)
    process.communicate(timeout=60)
    if process.returncode != 0:
        raise RuntimeError(f"the last worker ended with {process.returncode}")
    asyncio.run(_look(place, lines(log), damage))
    return damage


def worker(store: str, log: Path, runs: int) -> subprocess.Popen[str]:
    """A worker that has recovered nothing yet, but can be seen to be up."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.survival.worker", store, str(log), str(runs)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError("a worker did not come up")
    return process


def lines(log: Path) -> list[tuple[str, str, str]]:
    """What workers have said: word, run, path."""
    if not log.exists():
        return []
    found = [line.split(" ") for line in log.read_text().splitlines()]
    return [(word, run, path) for word, run, path in found]


@contextlib.asynccontextmanager
async def _opened(place: str) -> AsyncIterator[DurableStore]:
    store = store_at(place)
    try:
        yield store
    finally:
        await store.close()


async def _journaled(place: str) -> dict[str, set[str]]:
    """By run, the calls that its journal says have finished."""
    found: dict[str, set[str]] = {}
    async with _opened(place) as store:
        for record in await store.runs():
            done = found[record.run_id] = set()
            for event in await store.events(record.run_id):
                if event.kind in ("finished", "item"):
                    done.add(call_path(event.frame, event.node, event.visit, event.item))
    return found


async def _look(place: str, said: list[tuple[str, str, str]], damage: Damage) -> None:
    """Whether every run is done and right, what was acknowledged is what is stored, and nobody paid twice unasked."""
    paid = Counter((run, path) for word, run, path in said if word == "pay")
    asked = Counter((run, path) for word, run, path in said if word == "answer")
    damage.repeated = [call for call, times in paid.items() if times > 1 + asked[call]]
    acknowledged = {run: int(total) for word, run, total in said if word == "done"}
    results: dict[str, int] = {}
    async with _opened(place) as store:
        for record in await store.runs():
            damage.runs += 1
            events = await store.events(record.run_id)
            outputs = events[-1].data.get("outputs")
            if record.status == "done" and outputs is not None:
                results[record.run_id] = outputs["total"]
            if results.get(record.run_id) != expected(events[0].data["inputs"]["total"]):
                damage.wrong.append(record.run_id)
    damage.lost = [run for run, total in acknowledged.items() if results.get(run) != total]


def main() -> int:
    """Kill, and print the counts as a table; 1 if anything happened that must not."""
    parser = argparse.ArgumentParser(prog="python -m tests.survival.killing", description=main.__doc__)
    parser.add_argument("--kills", type=int, default=20, help="workers to kill on each store")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30), help="of the moments")
    parser.add_argument("--postgres", action="store_true", help="also on a PostgreSQL server started for this")
    given = parser.parse_args()
    print("| store | workers killed | runs | finished nodes run again | results lost | effects repeated | wrong |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    bad = False
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ragweave-killing-")))
        places = {"sqlite": str(folder / "runs.sqlite")}
        if given.postgres:
            from tests.support.postgres import serving

            places["postgres"] = f"killing@{stack.enter_context(serving())}"
        for name, place in places.items():
            damage = survive(place, folder / f"{name}.log", given.kills, given.seed)
            found = [len(damage.again), len(damage.lost), len(damage.repeated), len(damage.wrong)]
            counts = " | ".join(map(str, found))
            print(f"| {name} | {damage.kills} | {damage.runs:,} | {counts} |", flush=True)
            bad |= any(found)
    print(f"\nseed {given.seed}")
    return int(bad)


if __name__ == "__main__":
    raise SystemExit(main())
