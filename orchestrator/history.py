"""What a graph can tell of its runs after they ran, and do with them: replay, fork, differences, timeline."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ragweave.orchestrator.errors import unknown_run
from ragweave.orchestrator.running.events import Event, overrides_of
from ragweave.orchestrator.running.plan import Plan
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.surviving import Surviving

if TYPE_CHECKING:
    from ragweave.orchestrator.edition import Edition
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.journals.diff import Diff
    from ragweave.orchestrator.journals.replay import Replay
    from ragweave.orchestrator.journals.timeline import Timeline
    from ragweave.orchestrator.result import Result
    from ragweave.orchestrator.running.forking import Fork
    from ragweave.orchestrator.running.stream import Sink


class Recorded(NamedTuple):
    """A run as its store has it, with the plan by which it went."""

    record: RunRecord
    plan: Plan
    events: Sequence[Event]
    live: bool
    """True if the events hold the objects that were written, not plain JSON."""
    edition: Edition
    """The version of the graph with which it was begun."""


class History(Surviving):
    """What a graph knows of its past runs."""

    def replay(self, run_id: str) -> Replay:
        """A recorded run once more, from its journal alone: outputs, final state and events, with no node, model, tool
        or retriever called. See `areplay`."""
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        return wait_for(self.areplay(run_id))

    async def areplay(self, run_id: str) -> Replay:
        """The run as its journal has it. `differences` are places where the journal contradicts itself: none, unless
        somebody has changed it, or the graph. Iterating over a Replay gives the events in order.

        Raises JournalError for an unknown run, and for a journal that is damaged or does not fit this graph.
        """
        from ragweave.orchestrator.journals.replay import replay  # most runs are never looked at again

        run = await self.recorded(run_id)
        return replay(run.plan, run.events, live=run.live, run_id=run_id)

    def timeline(self, run_id: str) -> Timeline:
        """When each call of a run began and ended, what it read, wrote and used, and which calls the run waited for.
        See `atimeline`."""
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        return wait_for(self.atimeline(run_id))

    async def atimeline(self, run_id: str) -> Timeline:
        """`timeline` for async callers. Raises JournalError as `areplay` does."""
        from ragweave.orchestrator.journals.timeline import timeline  # most runs are never looked at again

        run = await self.recorded(run_id)
        return timeline(run.plan, run.events, live=run.live)

    def diff(self, run_a: str, run_b: str) -> Diff:
        """Where two runs differ: calls that only one made, the first divergence, keys, cost and time. See `adiff`."""
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        return wait_for(self.adiff(run_a, run_b))

    async def adiff(self, run_a: str, run_b: str) -> Diff:
        """`diff` for async callers. Raises JournalError as `areplay` does."""
        from ragweave.orchestrator.journals.diff import diff  # most runs are never looked at again

        return diff(await self.atimeline(run_a), await self.atimeline(run_b))

    def fork(
        self,
        run_id: str,
        at: str = "",
        set: Mapping[str, Any] | None = None,
        *,
        thread_id: str = "",
        deadline: float | str | timedelta | None = None,
    ) -> Result:
        """A new run that goes on from a call of another run, with other values if `set` says so. See `afork`."""
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        return wait_for(self.afork(run_id, at, set, thread_id=thread_id, deadline=deadline))

    async def afork(
        self,
        run_id: str,
        at: str = "",
        set: Mapping[str, Any] | None = None,
        *,
        thread_id: str = "",
        deadline: float | str | timedelta | None = None,
    ) -> Result:
        """A new run with all that the other one did without the call at path `at`, which is made again.

        `set` changes state keys that this call sees, and what follows from it sees; without `at` it changes inputs, and
        everything is run anew. What does not depend on the call, parallel branches too, is not run again: not its
        models, not its effects. What follows is, effects included, under keys of their own. A fork belongs to no thread
        unless one is given, so that no conversation remembers it.

        >>> graph.fork(result.run_id, at="answer#1", set={"question": "And without sugar?"})["answer"]

        Raises JournalError for an unknown run, InputError for a path, a key or a value that cannot be, and RunError
        as a run does.
        """
        fork = await self._fork(run_id, at, set, thread_id, deadline, None)
        return await fork.start({})

    async def stream_fork(
        self,
        run_id: str,
        at: str = "",
        set: Mapping[str, Any] | None = None,
        *,
        thread_id: str = "",
        deadline: float | str | timedelta | None = None,
    ) -> AsyncGenerator[Event, None]:
        """The events of a fork as they happen, as `stream` gives those of a run; its `run_started` has the `parent`."""
        from ragweave.orchestrator.running.stream import Sink  # as above

        fork = await self._fork(run_id, at, set, thread_id, deadline, Sink())
        async with aclosing(fork.stream({})) as events:
            async for event in events:
                yield event

    async def recorded(self, run_id: str) -> Recorded:
        """A run of this graph as its store has it. Raises JournalError for an unknown or a damaged one."""
        record = await self.store.record(run_id)
        if record is None:
            raise unknown_run(run_id)
        events = await self.store.events(run_id)
        edition = await self.edition_for(record, exact=False)
        plan = edition.plan
        overrides = overrides_of(events)
        if overrides:
            from ragweave.orchestrator.running.overrides import plan_with  # most runs override nothing

            plan = plan_with(edition, overrides)
        return Recorded(record, plan, events, self.store.live, edition)

    async def _fork(
        self,
        run_id: str,
        at: str,
        given: Mapping[str, Any] | None,
        thread_id: str,
        deadline: float | str | timedelta | None,
        sink: Sink | None,
    ) -> Fork:
        from ragweave.orchestrator.journals.fork import fork  # few runs are forked
        from ragweave.orchestrator.running.forking import Fork
        from ragweave.orchestrator.running.inputs import check_deadline, check_text

        check_text("thread_id", thread_id)
        seconds = check_deadline(deadline)
        run = await self.recorded(run_id)
        journal = fork(run.plan, run.events, at, given, live=run.live)
        more: dict[str, Any] = {"thread_id": thread_id, "deadline": seconds, "sink": sink}
        return Fork(cast("Graph", self), run.edition, run.record, journal, **more)
