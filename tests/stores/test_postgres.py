"""The store 'postgres' against the contract of stores, on a real server."""

from __future__ import annotations

import pytest

from ragweave.evals.kit.store import *  # noqa: F403
from ragweave.evals.kit.store.harness import MakeStore
from ragweave.orchestrator.stores import KEEP_DAYS
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.postgres import PostgresDatabase
from ragweave.orchestrator.stores.workers import LEASE
from tests.support.postgres import rows_of


@pytest.fixture
def make_store(postgres_server: str, postgres_schema: str) -> MakeStore:
    def make(*, lease: float = LEASE, keep_days: float = KEEP_DAYS) -> DurableStore:
        return DurableStore(PostgresDatabase(postgres_server, schema=postgres_schema), lease=lease, keep_days=keep_days)

    make.stored_bytes = lambda: rows_of(postgres_server, postgres_schema)  # type: ignore[attr-defined]
    return make
