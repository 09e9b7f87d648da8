"""From inputs to a Result: one run with its thread's turn, its journal, its deadline and its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.answers import check_answers
from ragweave.orchestrator.errors import RunError
from ragweave.orchestrator.events import Event
from ragweave.orchestrator.fold import fold_all, standing
from ragweave.orchestrator.ledger import Ledger, Ready
from ragweave.orchestrator.run import Run, new_run_id
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.stream import Sink
from ragweave.orchestrator.walker import CallFailed, Walker, describe, first_state
from ragweave.orchestrator.wrappers import Parked

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph, Result


class Execution:
    """One run of a graph, from its start or from where it stopped."""

    __slots__ = ("deadline", "graph", "run", "run_id", "sink", "thread_id")

    def __init__(
        self, graph: Graph, run_id: str | None, thread_id: str, deadline: float | None, sink: Sink | None
    ) -> None:
        self.graph = graph
        self.run_id = run_id if run_id is not None else new_run_id()
        self.thread_id = thread_id
        self.deadline = deadline
        self.sink = sink

    async def start(self, inputs: Mapping[str, Any]) -> Result:
        """A new run on these inputs."""
        if not self.thread_id:
            return await self._start(inputs)
        async with self.graph._threads.turn(self.thread_id):
            return await self._start(inputs)

    async def resume(self, answers: Mapping[str, Any]) -> Result:
        """Go on from the journal. `answers` are by call path."""
        async with self.graph._threads.turn(self.thread_id):
            plan = self.graph.plan
            snapshot = fold_all(plan, await self.graph.store.events(self.run_id))
            check_answers(snapshot.asks, answers)
            run = Run(self.run_id, self.thread_id, self.graph.store, self.sink)
            run.journal(Event("run_resumed"))
            for path, answer in answers.items():
                run.journal(Event("answered", data={"path": path, "answer": answer}))
            snapshot = fold_all(plan, await self.graph.store.events(self.run_id))
            await self.graph.store.end(self.run_id, "running")
            run.answers, run.finished_items = snapshot.answers, snapshot.items
            run.effect_results = {path: writes for path, writes in snapshot.effects.items() if writes is not None}
            frames = standing(snapshot)
            ledger, ready = frames.pop("")
            run.children = frames
            final = snapshot.frames[""].final
            return await self._execute(run, ledger, [(1, dict(final))] if final is not None else ready)

    async def stream(self, inputs: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
        """The events of a new run. Raises RunError after the last one if it fails."""
        sink = self.sink
        assert sink is not None
        task = asyncio.ensure_future(self._watched(inputs, sink))
        try:
            while True:
                event = sink.pop()
                if event is not None:
                    yield event
                elif not await sink.more():
                    break
            await task
        finally:
            sink.close()
            if not task.done():
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    async def _watched(self, inputs: Mapping[str, Any], sink: Sink) -> None:
        try:
            await self.start(inputs)
        finally:
            sink.close()

    async def _start(self, inputs: Mapping[str, Any]) -> Result:
        graph = self.graph
        await graph.store.begin(RunRecord(self.run_id, self.thread_id, graph.plan.spec.name, "running", inputs))
        run = Run(self.run_id, self.thread_id, graph.store, self.sink)
        run.journal(Event("run_started", data={"inputs": inputs}))
        ledger = Ledger(graph.plan)
        return await self._execute(run, ledger, ledger.start(first_state(graph.plan, inputs)))

    async def _execute(self, run: Run, ledger: Ledger, ready: Ready) -> Result:
        graph = self.graph
        walker = Walker(graph.plan, run, graph.resources, ledger=ledger)
        task = asyncio.current_task()
        if task is not None:
            graph._active[self.run_id] = (asyncio.get_running_loop(), task)
        try:
            outcome = await walker.execute(ready, self.deadline)
        except asyncio.CancelledError:
            await self._end(run, Event("run_cancelled"), "cancelled")
            raise
        except CallFailed as failure:
            cause = failure.__cause__ or failure
            data = {"path": failure.path, "error": describe(cause), "type": type(cause).__name__}
            await self._end(run, Event("run_failed", data=data), "failed")
            error = RunError(
                f"run {self.run_id} failed at {failure.path}: {describe(cause)}", run_id=self.run_id, path=failure.path
            )
            raise error from cause
        finally:
            graph._active.pop(self.run_id, None)
        from ragweave.orchestrator.graph import Result  # the module that imports this one

        if isinstance(outcome, Parked):
            result = Result({}, "parked", self.run_id, self.thread_id, dict(outcome.asks), run.usage)
            await self._end(run, Event("run_parked", data={"result": result}), "parked")
        else:
            result = Result(outcome, "done", self.run_id, self.thread_id, {}, run.usage)
            await self._end(run, Event("run_done", data={"result": result}), "done")
        return result

    async def _end(self, run: Run, event: Event, status: Any) -> None:
        run.journal(event)
        await run.flush()
        await self.graph.store.end(self.run_id, status)
