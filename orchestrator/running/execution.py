"""From inputs to a Result: one run with its thread's turn, its journal, its deadline and its end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, cast, get_args

from ragweave.orchestrator import sources
from ragweave.orchestrator.errors import InputError, JournalError, RunError
from ragweave.orchestrator.result import Result
from ragweave.orchestrator.running.events import Event, overrides_of
from ragweave.orchestrator.running.failures import CallFailed, describe
from ragweave.orchestrator.running.ledger import Ledger, Ready
from ragweave.orchestrator.running.run import Parked, Run, new_run_id
from ragweave.orchestrator.running.stream import Sink
from ragweave.orchestrator.running.waiting import uninterrupted
from ragweave.orchestrator.running.walker import RunCancelled, Walker, first_state
from ragweave.orchestrator.stores import RunRecord, Status

if TYPE_CHECKING:
    from ragweave.orchestrator.edition import Edition
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.running.fold import Snapshot
    from ragweave.orchestrator.running.threads import Turn
    from ragweave.orchestrator.stores import Store
    from ragweave.orchestrator.versions import Version


class Execution:
    """One run of a graph, from its start or from where it stopped; with the edition of the graph that is there now."""

    __slots__ = (
        "base", "by", "deadline", "edition", "graph", "overrides", "plan", "run_id", "sink", "tenant", "thread_id",
        "turn", "user", "whole",
    )  # fmt: skip

    def __init__(
        self,
        graph: Graph,
        run_id: str | None,
        thread_id: str,
        deadline: float | None,
        sink: Sink | None,
        user: str = "",
        tenant: str = "",
    ) -> None:
        self.graph = graph
        self.edition = graph._edition
        self.base = self.edition
        """Whose resources it shares: those of the graph as it is now."""
        self.plan = self.edition.plan
        self.run_id = run_id if run_id is not None else new_run_id()
        self.thread_id = thread_id
        self.user = user
        self.tenant = tenant
        self.deadline = deadline
        """Seconds from the start or the resume; None for the graph's own, or what is left of it."""
        self.whole = deadline
        """What the deadline was before a part of it was spent."""
        self.sink = sink
        self.turn: Turn | None = None
        self.overrides: Mapping[str, Any] = {}
        self.by = ""
        """Who gives the answers with which the run goes on."""

    def override(self, given: Any) -> None:
        """Go by a plan with other settings. Raises InputError."""
        from ragweave.orchestrator.running.overrides import plan_with  # most calls override nothing

        self.plan = plan_with(self.edition, given)
        self.overrides = given

    def keep_to(self, edition: Edition) -> None:
        """Go by another version of the graph than the one that is there now."""
        self.edition, self.plan = edition, edition.plan

    async def start(self, inputs: Mapping[str, Any]) -> Result:
        """A new run on these inputs."""
        edition = self.edition
        if edition is not self.base:
            return await self._kept_to(self._begin(inputs))
        edition.enter()
        try:
            return await self._begin(inputs)
        finally:
            if edition.leave():
                await uninterrupted(edition.resources.close())

    async def resume(self, answers: Mapping[str, Any]) -> Result:
        """Go on from the journal. `answers` are by call path."""
        return await self._kept_to(self._go_on(answers))

    async def _kept_to(self, going: Coroutine[Any, Any, Result]) -> Result:
        """What goes by an edition whose files may stand in for those on the disk."""
        editions = dict.fromkeys((self.edition, self.base))
        for edition in editions:
            edition.enter()
        try:
            with sources.as_were(self.edition.resources.files):
                return await going
        finally:
            for edition in editions:
                if edition.leave():
                    await uninterrupted(edition.resources.close())

    async def _begin(self, inputs: Mapping[str, Any]) -> Result:
        if not self.thread_id:
            return await self._start(inputs)
        owner = whose(self.tenant, self.user)
        async with self.graph._threads.turn(self.thread_id, self.run_id, user=owner) as self.turn:
            return await self._among_workers(lambda: self._start(inputs))

    async def _go_on(self, answers: Mapping[str, Any]) -> Result:
        if not self.thread_id:
            async with self.graph._threads.turn(f"\0{self.run_id}", self.run_id, "queue") as self.turn:
                return await self._resume(answers)
        owner = whose(self.tenant, self.user)
        async with self.graph._threads.turn(self.thread_id, self.run_id, user=owner) as self.turn:
            return await self._among_workers(lambda: self._resume(answers))

    async def _among_workers(self, go: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """What goes on when it is the thread's turn also among those who share the store."""
        if self.graph.store.immediate:
            return await go()
        from ragweave.orchestrator.running.threads import among_workers

        assert self.turn is not None
        deadline = self.deadline

        async def again() -> Result:
            self.deadline = self.whole = deadline
            if self.sink is not None:
                self.sink.hold()  # if another worker was faster, what was shown would have to be taken back
            return await go()

        return await among_workers(self.turn, self.thread_id, self.graph._threads.turns, again)

    async def _resume(self, answers: Mapping[str, Any]) -> Result:
        from ragweave.orchestrator.running.answers import check_answers  # a run that starts anew needs neither
        from ragweave.orchestrator.running.fold import fold, standing

        graph, store = self.graph, self.graph.store
        record = await store.record(self.run_id)
        if self.run_id in graph._active:
            hint = "wait for it, or cancel it first: await graph.cancel(run_id)"
            raise InputError(f"run {self.run_id!r} is going on in this process", hint=hint)
        before: Status | None = record.status if record is not None else None
        self._refuse(before, answers)
        await store.take(self.run_id, self.plan.spec.durability, in_turn=bool(self.thread_id))
        try:
            snapshot = await self._snapshot()
            if snapshot.status != before and snapshot.status in get_args(Status):  # another worker was faster
                before = cast(Status, snapshot.status)
                self._refuse(before, answers)
            answers = check_answers(snapshot.asks, answers, snapshot.answers.keys() | snapshot.approvals)
            left, self.whole = self._left(snapshot)
            run = self._run()
            await self._restore(run)
        except BaseException:
            await uninterrupted(store.end(self.run_id, before or "failed"))
            raise
        who = {"by": self.by} if self.by else {}
        given = [Event("answered", data={"path": path, "answer": answer, **who}) for path, answer in answers.items()]
        told = {} if self.deadline is None else {"deadline": self.deadline}
        self.deadline = left
        for event in (Event("run_resumed", data=told), *given):
            run.journal(event)
            snapshot = fold(snapshot, event)
        frames = standing(snapshot)
        ledger, ready = frames.pop("")
        run.restore(snapshot, frames)
        return await self._execute(run, ledger, ready)

    def _refuse(self, status: Status | None, answers: Mapping[str, Any]) -> None:
        """Raise InputError for a run that cannot be taken up, or not by an answer."""
        if status is None or status == "done":
            shown = "gone" if status is None else status
            raise InputError(f"run {self.run_id!r} is {shown}: there is nothing to resume")
        if status == "cancelled" and answers:
            raise InputError(
                f"run {self.run_id!r} was cancelled, and what it asked with it",
                hint="take it up again without answers, graph.resume(run_id); then it asks anew",
            )

    async def _snapshot(self) -> Snapshot:
        """Where the run stands, by its journal."""
        from ragweave.orchestrator.running.fold import fold_all  # a run that starts anew needs it not

        store = self.graph.store
        events = await store.events(self.run_id)
        overrides = overrides_of(events)
        if overrides:
            self.override(overrides)
        snapshot = fold_all(self.plan, events, live=store.live)
        if "" not in snapshot.frames:
            raise JournalError(f"the journal of run {self.run_id!r} does not say how it started")
        return snapshot

    def _run(self) -> Run:
        store = self.graph.store
        held = None if store.live else self.edition.resources.held
        run = Run(self.run_id, self.thread_id, store, self.sink, self.user, self.tenant, held)
        run.unhurried = self.plan.spec.durability == "sync"
        if self.plan.budgeted:
            from ragweave.orchestrator.running.budgets.book import Budgets  # few graphs have a budget

            run.budgets = Budgets(self.plan, run)
        return run

    async def _restore(self, run: Run) -> None:
        """Charge to its budgets what the run has used before."""
        if run.budgets is not None:
            from ragweave.orchestrator.running.budgets.past import restore

            restore(run.budgets, await self.graph.store.events(self.run_id))

    def _left(self, snapshot: Snapshot) -> tuple[float | None, float | None]:
        """The seconds that a resumed run has, and of how many in all: what it was given now, else what is left."""
        if self.deadline is not None:
            return self.deadline, self.deadline
        whole = snapshot.deadline if snapshot.deadline is not None else self.plan.spec.deadline
        if whole is None:
            return None, None
        if snapshot.spent >= whole:
            raise InputError(
                f"run {self.run_id!r} has used up its deadline of {whole:g} s",
                hint="give it time from now on: resume(run_id, deadline=…)",
            )
        return whole - snapshot.spent, whole

    def stream(self, inputs: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
        """The events of a new run. Raises RunError after the last one if it fails."""
        return self._events(lambda: self.start(inputs))

    def stream_on(self, answers: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
        """The events of a run that goes on, from there."""
        return self._events(lambda: self.resume(answers))

    async def _events(self, go: Callable[[], Coroutine[Any, Any, Result]]) -> AsyncGenerator[Event, None]:
        sink = self.sink
        assert sink is not None
        task = asyncio.ensure_future(_watched(go(), sink))
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
                await uninterrupted(asyncio.wait({task}))

    async def _make_known(self, parent: str = "") -> dict[str, Any]:
        """Tell the store of a new run; what its first event says of the time that it was given."""
        store, spec = self.graph.store, self.plan.spec
        told = {} if self.deadline is None else {"deadline": self.deadline}
        self.whole = self.deadline = spec.deadline if self.deadline is None else self.deadline
        record = RunRecord(self.run_id, self.thread_id, spec.name, "running", self.user, self.tenant, parent=parent)
        bundle = ""
        if not store.live:
            record.version, bundle = self.edition.version or _version_of(self.edition)
        await store.begin(record, bundle, spec.durability, in_turn=bool(self.thread_id))
        return told

    async def _start(self, inputs: Mapping[str, Any]) -> Result:
        told = await self._make_known()
        run = self._run()
        data: dict[str, Any] = {"inputs": inputs, **told}
        if self.overrides:
            data["overrides"] = dict(self.overrides)
        run.append(Event("run_started", data=data).record())
        if run.sink is not None:
            run.sink.push(Event("run_started", data={**data, "run_id": self.run_id}))
        ledger = Ledger(self.plan)
        return await self._execute(run, ledger, ledger.start(first_state(self.plan, inputs)))

    async def _execute(self, run: Run, ledger: Ledger, ready: Ready) -> Result:
        graph = self.graph
        walker = Walker(self.plan, run, self.edition.resources, ledger=ledger)
        loop = asyncio.get_running_loop()
        graph._active[self.run_id] = (loop, walker)
        if self.turn is not None:
            self.turn.begun(walker.cancel)
        if not graph.store.immediate:
            graph.store.watch(self.run_id, functools.partial(_tell, loop, walker))
        began = loop.time()
        showing = asyncio.ensure_future(self._show(run.sink)) if run.sink is not None and run.sink.held else None
        try:
            with contextlib.nullcontext() if graph.store.live else _stored(graph.store, self.tenant):
                outcome = await walker.execute(ready, self.deadline, self.whole)
        except asyncio.CancelledError:
            await self._end(run, _cancelled(run, loop.time() - began), "cancelled")
            raise
        except RunCancelled as cancelled:
            await self._end(run, _cancelled(run, loop.time() - began), "cancelled")
            partial = run.partial()
            raise RunError(str(cancelled), run_id=self.run_id, status="cancelled", partial=partial) from None
        except CallFailed as failure:
            cause = failure.__cause__ or failure
            data: dict[str, Any] = {"path": failure.path, "error": describe(cause), "type": type(cause).__name__}
            data["seconds"] = loop.time() - began
            partial = run.partial(failure.path)
            if partial:
                data["partial"] = partial
            await self._end(run, Event("run_failed", data=data), "failed")
            message = f"run {self.run_id} failed at {failure.path}: {describe(cause)}"
            raise RunError(message, run_id=self.run_id, path=failure.path, partial=partial) from cause
        finally:
            graph._active.pop(self.run_id, None)
            if showing is not None:
                showing.cancel()
        if isinstance(outcome, Parked):
            result = Result({}, "parked", self.run_id, self.thread_id, dict(outcome.asks), run.usage, run.exceeded)
            await self._end(run, Event("run_parked", data={"seconds": loop.time() - began}), "parked", result)
        else:
            result = Result(outcome, "done", self.run_id, self.thread_id, {}, run.usage, run.exceeded)
            await self._end(run, Event("run_done", data={"outputs": outcome}), "done", result)
        return result

    async def _end(self, run: Run, event: Event, status: Status, result: Result | None = None) -> None:
        """Journal how the run ended, and then show it to whoever listens, with the Result."""
        run.append(event.record())
        if self.graph.store.immediate:
            await self._settle(run, status)  # nothing in it waits, so no cancel can break it off
        else:
            await uninterrupted(self._settle(run, status))
        if run.sink is not None:
            shown = {**event.data, "result": result} if result is not None else event.data
            run.sink.push(Event(event.kind, data=shown))
            run.sink.release()

    async def _show(self, sink: Sink) -> None:
        """Show events as soon as it is sure that they count."""
        with contextlib.suppress(JournalError):
            await self.graph.store.begun(self.run_id)
            sink.release()

    async def _settle(self, run: Run, status: Status) -> None:
        run.close()
        await self.graph.store.end(self.run_id, status)


def whose(tenant: str, user: str) -> str:
    """Whose threads these are: two tenants never share one, nor do two users of one tenant."""
    return f"{tenant}\0{user}" if tenant else user


def _stored(store: Store, tenant: str) -> contextlib.AbstractContextManager[None]:
    """Inside, images that are not in memory are found where the run is kept."""
    from ragweave.orchestrator.blobs import stored  # what is kept in memory is only there

    return stored(functools.partial(store.blob, tenant=tenant))


def _version_of(edition: Edition) -> Version:
    from ragweave.orchestrator.versions import version_of  # once per edition, where runs are kept

    return version_of(edition)


async def _watched(going: Coroutine[Any, Any, Result], sink: Sink) -> None:
    try:
        await going
    finally:
        sink.close()


def _tell(loop: asyncio.AbstractEventLoop, walker: Walker, reason: str) -> None:
    """End a run that can be written no more, from whichever thread says so."""
    with contextlib.suppress(RuntimeError):  # its event loop is closed
        loop.call_soon_threadsafe(walker.cancel, reason)


def _cancelled(run: Run, seconds: float) -> Event:
    partial = run.partial()
    return Event("run_cancelled", data={"seconds": seconds, **({"partial": partial} if partial else {})})
