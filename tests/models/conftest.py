"""What the tests of endpoints share."""

from __future__ import annotations

import pytest

from ragweave.orchestrator.models import http


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client meant to wait before each further attempt; it does not."""
    meant: list[float] = []

    def at_once(attempt: int, asked: float | None) -> float:
        meant.append(wait_before(attempt, asked))
        return 0.0

    wait_before = http.wait_before
    monkeypatch.setattr(http, "wait_before", at_once)
    return meant
