"""Workers are killed at random moments; others go on where they stopped, and nothing happens twice."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from ragweave.orchestrator.running.events import call_path
from ragweave.orchestrator.stores.durable import DurableStore
from tests.survival.worker import expected, store_at

SEED = random.randrange(1 << 30)


def worker(store: str, log: Path, runs: int) -> subprocess.Popen[str]:
    """A worker that has recovered nothing yet, but can be seen to be up."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.survival.worker", store, str(log), str(runs)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def lines(log: Path) -> list[tuple[str, str, str]]:
    """What workers have said: word, run, path."""
    if not log.exists():
        return []
    found = [line.split(" ") for line in log.read_text().splitlines()]
    return [(word, run, path) for word, run, path in found]


async def journaled(store: DurableStore) -> dict[str, set[str]]:
    """By run, the calls that its journal says have finished."""
    found: dict[str, set[str]] = {}
    for record in await store.runs():
        done = found[record.run_id] = set()
        for event in await store.events(record.run_id):
            if event.kind in ("finished", "item"):
                done.add(call_path(event.frame, event.node, event.visit, event.item))
    return found


def survive(place: str, log: Path, kills: int) -> None:
    """Kill so many workers, let a last one finish, and look at what all of them did."""
    moments = random.Random(SEED)
    finished: dict[str, set[str]] = {}
    for _ in range(kills):
        before = len(lines(log))
        process = worker(place, log, 1000)
        time.sleep(moments.random() * 0.25)
        process.kill()
        process.communicate()
        again = [path for word, run, path in lines(log)[before:] if word == "begin" and path in finished.get(run, ())]
        assert not again, f"seed {SEED}: {again} had finished, and were run again"
        finished = asyncio.run(_and_close(store_at(place)))
    process = worker(place, log, 0)
    process.communicate(timeout=60)
    assert process.returncode == 0
    said = lines(log)
    asyncio.run(_held_against(store_at(place), said))


async def _and_close(store: DurableStore) -> dict[str, set[str]]:
    try:
        return await journaled(store)
    finally:
        await store.close()


async def _held_against(store: DurableStore, said: list[tuple[str, str, str]]) -> None:
    """Every run is done and right, what was acknowledged is what is stored, and nobody paid twice unasked."""
    paid = Counter((run, path) for word, run, path in said if word == "pay")
    asked = Counter((run, path) for word, run, path in said if word == "answer")
    twice = [call for call, times in paid.items() if times > 1 + asked[call]]
    assert not twice, f"seed {SEED}: {twice} were paid more often than people said"
    records = await store.runs()
    assert len(records) >= 10, "the workers were killed too early for anything to be seen"
    acknowledged = {run: int(total) for word, run, total in said if word == "done"}
    for record in records:
        events = await store.events(record.run_id)
        assert record.status == "done", f"seed {SEED}: {record}"
        outputs = events[-1].data["outputs"]["total"]
        assert outputs == expected(events[0].data["inputs"]["total"]), f"seed {SEED}: {record}"
        assert acknowledged.get(record.run_id, outputs) == outputs
    stored = {record.run_id for record in records}
    assert acknowledged.keys() <= stored, f"seed {SEED}: results were lost that somebody had seen"
    await store.close()


def test_workers_on_sqlite_may_be_killed(tmp_path: Path) -> None:
    survive(str(tmp_path / "runs.sqlite"), tmp_path / "log", 20)


def test_workers_on_postgres_may_be_killed(tmp_path: Path, postgres_server: str, postgres_schema: str) -> None:
    survive(f"{postgres_schema}@{postgres_server}", tmp_path / "log", 20)


@pytest.mark.long
def test_workers_on_sqlite_may_be_killed_often(tmp_path: Path) -> None:
    survive(str(tmp_path / "runs.sqlite"), tmp_path / "log", 200)


@pytest.mark.long
def test_workers_on_postgres_may_be_killed_often(tmp_path: Path, postgres_server: str, postgres_schema: str) -> None:
    survive(f"{postgres_schema}@{postgres_server}", tmp_path / "log", 200)
