"""The sample types are registered while a test of the language runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragweave.orchestrator import registry
from tests.language import samples


@pytest.fixture(autouse=True)
def _samples() -> Iterator[None]:
    with registry.scope():
        samples.register()
        yield
