"""The retriever 'hybrid' against the contract of indexes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragweave.evals.kit.retriever import *  # noqa: F403
from ragweave.evals.kit.retriever.harness import MakeIndex
from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.indexes.hybrid import Hybrid


@pytest.fixture
def make_index(tmp_path: Path) -> MakeIndex:
    def make(embedder: Embedder, place: int = 0, **settings: Any) -> Hybrid:
        resources = Resources(folder=tmp_path)
        resources.put("embedders", "given", embedder)
        index = Hybrid(index=f"index-{place}", embedder="given", **settings)
        index.check_settings()
        index.open(resources)
        return index

    return make
