"""The node types of these tests are known in every test of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.checker.kinds import kinds
from tests.reference.files import probes


@pytest.fixture(autouse=True)
def _kinds() -> Iterator[None]:
    with probes(), kinds():
        yield
