"""The store 'sqlite' against the contract of stores."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from ragweave.evals.kit.store import *  # noqa: F403
from ragweave.evals.kit.store.harness import MakeStore
from ragweave.orchestrator.stores import KEEP_DAYS, RunRecord, durable
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from ragweave.orchestrator.stores.workers import LEASE


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    def make(*, lease: float = LEASE, keep_days: float = KEEP_DAYS) -> DurableStore:
        return DurableStore(SqliteDatabase(tmp_path / "runs.sqlite"), lease=lease, keep_days=keep_days)

    make.stored_bytes = lambda: b"".join(  # type: ignore[attr-defined]
        file.read_bytes() for file in sorted(tmp_path.iterdir()) if not file.name.endswith("-shm")
    )
    return make


async def test_old_runs_go_without_being_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(durable, "SWEEP_EVERY", 5)
    monkeypatch.setattr(time, "time", lambda: now)
    store = DurableStore(SqliteDatabase(tmp_path / "runs.sqlite"), keep_days=1)
    for number in range(7):
        await store.begin(RunRecord(f"r{number}", "t"))
        store.writer(f"r{number}")(("run_started", "", "", 0, {"inputs": {}}, None, 0, -1, 0, 1.0))
        await store.end(f"r{number}", "parked" if number == 1 else "done")
        if number in (3, 4):
            now += 2 * 86400
    left = [record.run_id for record in await store.runs()]
    await store.close()
    assert left == ["r1", "r5", "r6"]  # after the sixth run, those that ended before the pause were gone; r1 waits


async def test_the_parts_of_runs_need_no_index_beside_their_table(tmp_path: Path) -> None:
    store = DurableStore(SqliteDatabase(tmp_path / "runs.sqlite"))
    await store.begin(RunRecord("r", "t"))
    await store.end("r", "done")
    await store.close()
    connection = sqlite3.connect(tmp_path / "runs.sqlite")
    indexes = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'segments'"
    assert connection.execute(indexes).fetchall() == []
    connection.close()
