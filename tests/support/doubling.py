"""A model that computes in batches, for tests of who is computed with whom."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from ragweave.orchestrator.errors import ModelError


class Doubling:
    """A model that doubles numbers; a batch waits until the test lets it go, and those in `bad` fail."""

    def __init__(self, *, held: bool = False, bad: Sequence[int] = ()) -> None:
        self.batches: list[list[int]] = []
        self.bad = set(bad)
        self.begun = threading.Event()
        self.go = threading.Event()
        if not held:
            self.go.set()

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.begun.set()
        assert self.go.wait(60)
        if self.bad.intersection(items):
            raise ModelError(f"cannot double {sorted(self.bad.intersection(items))}", hint="leave it out")
        return [2 * item for item in items]


async def begun(model: Doubling) -> None:
    """Wait until a batch is being computed."""
    assert await asyncio.to_thread(model.begun.wait, 60)
    model.begun.clear()
