"""Node types that ask, count and fail, for graphs whose runs stop on the way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragweave.orchestrator import registry
from tests.surviving import kinds


@pytest.fixture(autouse=True)
def types() -> Iterator[None]:
    """The node types of `kinds`, registered for one test."""
    kinds.CALLS.clear()
    kinds.FAILING.clear()
    with registry.scope():
        kinds.register()
        yield
