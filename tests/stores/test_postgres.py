"""The store 'postgres' against the contract of stores, on a real server."""

from __future__ import annotations

import pytest

from ragweave.evals.kit.store import *  # noqa: F403
from ragweave.evals.kit.store.harness import MakeStore
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.postgres import PostgresDatabase
from tests.support.postgres import rows_of


@pytest.fixture
def make_store(postgres_server: str, postgres_schema: str) -> MakeStore:
    def make(**settings: float) -> DurableStore:
        return DurableStore(PostgresDatabase(postgres_server, schema=postgres_schema), **settings)

    make.stored_bytes = lambda: rows_of(postgres_server, postgres_schema)  # type: ignore[attr-defined]
    return make
