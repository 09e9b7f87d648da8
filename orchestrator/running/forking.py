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
        began, forked = self.journal[0], self.journal[-1]
        parent = f"{self.parent.run_id}@{forked.path}"
        began.data = {**began.data, **await self._make_known(parent)}
        try:
            run = self._run()
            for event in self.journal:
                run.append(event.record())
            snapshot = fold_all(self.plan, self.journal)
            if run.budgets is not None:
                from ragweave.orchestrator.running.budgets.past import restore  # few graphs have a budget

                restore(run.budgets, self.journal)
        except BaseException:
            await uninterrupted(self.graph.store.end(self.run_id, "failed"))
            raise
        if run.sink is not None:
            data = {"run_id": self.run_id, "parent": parent}
            run.sink.push(Event("run_started", data={**began.data, **data}))
        frames = standing(snapshot)
        ledger, ready = frames.pop("")
        run.restore(snapshot, frames)
        return await self._execute(run, ledger, ready)
