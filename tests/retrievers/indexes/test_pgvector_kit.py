"""The retriever 'pgvector' against the contract of indexes, on a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragweave.evals.kit.retriever import *  # noqa: F403
from ragweave.evals.kit.retriever.harness import MakeIndex
from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.indexes.pgvector import PgVector
from tests.support.postgres import postgres_schema, postgres_server

__all__ = ["postgres_schema", "postgres_server"]


@pytest.fixture
def make_index(postgres_server: str, postgres_schema: str, tmp_path: Path) -> MakeIndex:
    def make(embedder: Embedder, place: int = 0, **settings: Any) -> PgVector:
        resources = Resources(folder=tmp_path)
        resources.put("embedders", "given", embedder)
        index = PgVector(
            url=postgres_server, namespace=postgres_schema, index=f"index_{place}", embedder="given", **settings
        )
        index.check_settings()
        index.open(resources)
        return index

    return make
