"""The store 'sqlite' against the contract of stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragweave.evals.kit.store import *  # noqa: F403
from ragweave.evals.kit.store.harness import MakeStore
from ragweave.orchestrator.stores.durable import KEEP_DAYS, DurableStore
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
