"""The store 'memory' against the contract, as far as it goes for what ends with its process."""

from __future__ import annotations

import pytest

from ragweave.evals.kit.store.alone import *  # noqa: F403
from ragweave.evals.kit.store.harness import MakeStore
from ragweave.orchestrator.stores.memory import MemoryStore


@pytest.fixture
def make_store() -> MakeStore:
    return lambda **_: MemoryStore()
