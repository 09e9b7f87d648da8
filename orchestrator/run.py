"""One run: what its nodes, branches and nested graphs share."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.context import NO_USAGE
from ragweave.orchestrator.events import Event, Record

if TYPE_CHECKING:
    from ragweave.orchestrator.ledger import Ledger, Ready
    from ragweave.orchestrator.stores import Store
    from ragweave.orchestrator.stream import Sink

_prefix = os.urandom(6).hex()
_numbers = itertools.count(1)


def new_run_id() -> str:
    """An id that no other run has, in this process or another: a random prefix of the process and a number."""
    return f"{_prefix}-{next(_numbers):x}"


os.register_at_fork(after_in_child=lambda: globals().update(_prefix=os.urandom(6).hex()))


class Run:
    """Identity, journal, stream and usage of a run, and what it already knows when it is resumed."""

    __slots__ = (
        "answers", "append", "children", "effect_results", "finished_items", "grace", "run_id", "sink", "store",
        "thread_id", "usage",
    )  # fmt: skip

    def __init__(self, run_id: str, thread_id: str, store: Store, sink: Sink | None) -> None:
        self.run_id = run_id
        self.thread_id = thread_id
        self.store = store
        self.append: Callable[[Record], None] = store.writer(run_id)
        self.sink = sink
        self.usage = NO_USAGE
        self.answers: Mapping[str, list[Any]] = {}
        """By call path, what people answered."""
        self.finished_items: Mapping[str, Mapping[int, Any]] = {}
        """By call path of a mapped node, the writes of items that need not run again."""
        self.effect_results: Mapping[str, Any] = {}
        """By call path, the writes of effects that happened although their node did not finish."""
        self.children: dict[str, tuple[Ledger, Ready]] = {}
        """By frame, where nested graphs stand that a resumed run goes on with."""
        self.grace = 5.0

    def journal(self, event: Event) -> None:
        """Append an event to the journal, and show it to whoever listens."""
        self.append(event.record())
        if self.sink is not None:
            self.sink.push(event)

    async def flush(self) -> None:
        """Return when everything journaled so far is as durable as the store makes it."""
        await self.store.flush(self.run_id)

    def extend_grace(self, seconds: float) -> None:
        """Let a cancelled run wait this long for an effect that has started."""
        self.grace = max(self.grace, seconds + 1.0)
