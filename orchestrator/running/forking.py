"""A new run that begins with the journal of another one, up to a call of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.result import Result
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.execution import Execution
from ragweave.orchestrator.running.fold import fold_all, standing
from ragweave.orchestrator.running.stream import Sink
from ragweave.orchestrator.running.waiting import uninterrupted
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.versions import version_of

if TYPE_CHECKING:
    from ragweave.orchestrator.edition import Edition
    from ragweave.orchestrator.graph import Graph


class Fork(Execution):
    """The execution of a fork: `start` and `stream` are those of a run whose first events are known."""

    __slots__ = ("journal", "parent")

    def __init__(
        self,
        graph: Graph,
        edition: Edition,
        parent: RunRecord,
        journal: Sequence[Event],
        *,
        thread_id: str = "",
        deadline: float | None = None,
        sink: Sink | None = None,
    ) -> None:
        super().__init__(graph, None, thread_id, deadline, sink, parent.user, parent.tenant)
        self.keep_to(edition)
        self.parent = parent
        self.journal = journal
        """Its events have the types that the graph declares; the last one is `forked`."""
        overrides = journal[0].data.get("overrides")
        if overrides:
            self.override(overrides)

    async def _start(self, inputs: Mapping[str, Any]) -> Result:
        store, durability = self.graph.store, self.plan.spec.durability
        began, forked = self.journal[0], self.journal[-1]
        if self.deadline is None:
            self.deadline = self.plan.spec.deadline
        else:
            began.data = {**began.data, "deadline": self.deadline}
        self.whole = self.deadline
        record = RunRecord(self.run_id, self.thread_id, self.plan.spec.name, "running", self.user, self.tenant)
        bundle = ""
        if not store.live:
            record.version, bundle = version_of(self.edition)
        record.parent = f"{self.parent.run_id}@{forked.path}"
        await store.begin(record, bundle, durability, in_turn=bool(self.thread_id))
        try:
            run = self._run()
            for event in self.journal:
                run.append(event.record())
            snapshot = fold_all(self.plan, self.journal)
        except BaseException:
            await uninterrupted(store.end(self.run_id, "failed"))
            raise
        if run.sink is not None:
            data = {"run_id": self.run_id, "parent": record.parent}
            run.sink.push(Event("run_started", data={**began.data, **data}))
        frames = standing(snapshot)
        ledger, ready = frames.pop("")
        run.restore(snapshot, frames)
        return await self._execute(run, ledger, ready)
