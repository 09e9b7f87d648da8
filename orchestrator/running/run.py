"""One run: what its nodes, branches and nested graphs share."""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.context import NO_USAGE, Context
from ragweave.orchestrator.running.events import Event, Record, outside

if TYPE_CHECKING:
    from ragweave.orchestrator.result import Exceeded
    from ragweave.orchestrator.running.budgets.book import Budgets
    from ragweave.orchestrator.running.fold import Snapshot
    from ragweave.orchestrator.running.ledger import Ledger, Ready
    from ragweave.orchestrator.running.stream import Sink
    from ragweave.orchestrator.stores import Store
    from ragweave.orchestrator.values import Ask

GRACE = 5.0
"""Seconds that a cancelled call has to end; then it is abandoned and reported."""

Runner = Callable[[Mapping[str, Any], Context], Awaitable[Any]]
"""Values by state key and a context in, values by state key (or an Ask, or Parked) out."""

_prefix = os.urandom(6).hex()
_numbers = itertools.count(1)


def new_run_id() -> str:
    """An id that no other run has, in this process or another: a random prefix of the process and a number."""
    return f"{_prefix}-{next(_numbers):x}"


os.register_at_fork(after_in_child=lambda: globals().update(_prefix=os.urandom(6).hex()))


class Parked:
    """What a call gives when parts of it wait for people: (path, Ask) pairs."""

    __slots__ = ("asks",)

    def __init__(self, asks: Sequence[tuple[str, Ask]]) -> None:
        self.asks = tuple(asks)


class Run:
    """Identity, journal, stream and usage of a run, and what it already knows when it is resumed."""

    __slots__ = (
        "answers", "append", "approvals", "asked", "budgets", "children", "effects", "finished_items", "grace", "lost",
        "origins", "pending", "run_id", "sink", "store", "tenant", "texts", "thread_id", "unhurried", "usage", "user",
    )  # fmt: skip

    def __init__(
        self,
        run_id: str,
        thread_id: str,
        store: Store,
        sink: Sink | None,
        user: str = "",
        tenant: str = "",
        blobs: Callable[[str], bytes | None] | None = None,
    ) -> None:
        self.run_id = run_id
        self.thread_id = thread_id
        self.user = user
        self.tenant = tenant
        self.unhurried = False
        """True if a step has to be on the disk before the next one starts."""
        self.store = store
        self.append: Callable[[Record], None] = store.writer(run_id) if blobs is None else store.writer(run_id, blobs)
        self.sink = sink
        self.usage = NO_USAGE
        self.budgets: Budgets | None = None
        """The accounts of its budgets; None where no graph and no node has one."""
        self.texts: dict[str, list[str]] = {}
        """By call path, what was streamed and not withdrawn."""
        self.lost: dict[str, list[str]] = {}
        """By call path, what was withdrawn last."""
        self.grace = GRACE
        self.origins: dict[str, Mapping[str, int]] = {}
        """By call path of a graph that is being run as a node, the origins of what it reads, by state key."""
        self.asked: frozenset[str] = frozenset()
        """The call paths of Asks that the journal has."""
        self.answers: Mapping[str, list[Any]] = {}
        """By call path, what people answered."""
        self.approvals: Mapping[str, list[Any]] = {}
        """By call path, what people answered to the question before the call."""
        self.pending: Mapping[str, Ask] = {}
        """By call path, Asks that were open when the run was resumed and still are: these calls are not made again."""
        self.finished_items: Mapping[str, Mapping[int, Any]] = {}
        """By call path of a mapped node, the writes of items that need not run again; None for one that failed."""
        self.effects: Mapping[str, Any] = {}
        """By call path of an effect that was started before the run was resumed: its writes, or None if unknown."""
        self.children: dict[str, tuple[Ledger, Ready]] = {}
        """By frame, where nested graphs stand that a resumed run goes on with."""

    def restore(self, snapshot: Snapshot, children: dict[str, tuple[Ledger, Ready]]) -> None:
        """Take over what the run knew when it stopped."""
        self.usage = snapshot.usage
        self.asked = frozenset(snapshot.asks)
        self.answers, self.approvals, self.pending = snapshot.answers, snapshot.approvals, snapshot.asks
        self.finished_items = {path: dict(done) for path, done in snapshot.items.items()}
        self.effects, self.children = snapshot.effects, children

    @property
    def exceeded(self) -> tuple[Exceeded, ...]:
        """What budgets have changed in it so far."""
        return tuple(self.budgets.told) if self.budgets is not None else ()

    @property
    def stood(self) -> bool:
        """True if the run was resumed and stood somewhere within a call."""
        return bool(self.answers or self.pending or self.children)

    def stood_in(self, path: str) -> bool:
        """True if the run, when it was resumed, stood within the call at `path`: it asked there, or a graph ran."""
        known = (self.answers, self.pending, self.children)
        return any(_within(other, path) for paths in known for other in paths)

    def entered(self, frame: str) -> None:
        """A graph starts anew in this frame: nothing of an earlier start of it is known any more."""
        self.answers, self.approvals = outside(self.answers, frame), outside(self.approvals, frame)
        self.pending, self.finished_items = outside(self.pending, frame), outside(self.finished_items, frame)

    def journal(self, event: Event) -> None:
        """Append an event to the journal, and show it to whoever listens."""
        self.append(event.record())
        if self.sink is not None:
            self.sink.push(event)

    def withdraw(self, path: str) -> None:
        """What the call at `path`, its items and what runs inside it have streamed does not count."""
        for other in [other for other in self.texts if inside(other, path)]:
            self.lost[other] = self.texts.pop(other)

    def partial(self, failed: str = "") -> dict[str, str]:
        """By call path, the text that was streamed; also what the call at `failed` streamed in its last try."""
        pieces = {**self.texts}
        if failed:
            pieces |= {path: lost for path, lost in self.lost.items() if path not in pieces and inside(path, failed)}
        return {path: "".join(texts) for path, texts in pieces.items()}

    async def flush(self, *, safe: bool = False) -> None:
        """Return when everything journaled so far is as durable as the store makes it; if `safe`, also against a power
        cut."""
        await self.store.flush(self.run_id, safe=safe)

    def extend_grace(self, seconds: float) -> None:
        """Let a cancelled run wait this long for an effect that has started."""
        self.grace = max(self.grace, seconds + 1.0)

    def patience(self, frame: str, *, call: bool) -> float:
        """Seconds to wait for what was cancelled: for one `call` of the graph in this frame, or for all of its calls.

        Who waits further inside gives up a little earlier: so nothing comes back from a graph that was given up.
        """
        return self.grace * (1.0 + 0.1 * 0.5 ** (2 * frame.count("/") + call))

    def close(self) -> None:
        """The run has ended: what abandoned calls still do is not journaled, for the run may be resumed by then."""
        self.append = _nowhere


def _within(path: str, call: str) -> bool:
    """True for the path of a call, of an Ask about it, of a frame in it; not for its items and other members."""
    rest = path[len(call) :]
    return path.startswith(call) and (not rest or rest[0] == "!" or (rest[0] == "/" and not rest[1:2].isdigit()))


def inside(path: str, call: str) -> bool:
    """True for the path of a call, of its items and members, and of all calls in them."""
    return path.startswith(call) and path[len(call) : len(call) + 1] in ("", "/", "[")


def _nowhere(record: Record) -> None:
    """Keep nothing."""
