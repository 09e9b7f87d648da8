"""The node types that play sketches are known in every test of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reference.files import probes


@pytest.fixture(autouse=True)
def _probes() -> Iterator[None]:
    with probes():
        yield
