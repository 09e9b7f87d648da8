"""How runs of a graph outlive a process and a change of the graph: resume, recovery at start, migration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from ragweave.orchestrator.concurrency import call_each, refuse_none_at_once
from ragweave.orchestrator.edition import Edition
from ragweave.orchestrator.errors import InputError, JournalError, RagweaveError, RunError, RunTaken, unknown_run
from ragweave.orchestrator.lifecycle import Lifecycle
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.execution import Execution
from ragweave.orchestrator.running.inputs import check_deadline, check_resume
from ragweave.orchestrator.running.stream import Sink
from ragweave.orchestrator.stores import RunRecord

if TYPE_CHECKING:
    from ragweave.orchestrator.forgetting import Forgotten
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.migrating import Trial
    from ragweave.orchestrator.result import Result

Deadline = float | str | timedelta | None
On = Literal["own", "current"]
"""Which version of its graph a run goes on with: that with which it was begun, or the graph as it is now."""


class Surviving(Lifecycle):
    """What becomes of runs that did not end."""

    def resume(
        self,
        run_id: str,
        *,
        answers: Mapping[str, Any] | None = None,
        by: str = "",
        deadline: Deadline = None,
        on: On = "own",
    ) -> Result:
        """Go on with a parked, failed, cancelled or crashed run; what finished is not run again. See `aresume`."""
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        return wait_for(self.aresume(run_id, answers=answers, by=by, deadline=deadline, on=on))

    async def aresume(
        self,
        run_id: str,
        *,
        answers: Mapping[str, Any] | None = None,
        by: str = "",
        deadline: Deadline = None,
        on: On = "own",
    ) -> Result:
        """Go on with a run. `answers` are by call path, as in `result.asks`: calls that ask and get none stay as they
        are; `by` says who gives them, which the journal keeps. The run has what is left of its deadline; a `deadline`
        given here counts from now.

        It goes on with the version of the graph with which it was begun, even if the files have changed since then;
        with `on="current"` it is moved to the graph as it is now, if it fits. Raises JournalError for an unknown run,
        and for one whose version cannot be had or that does not fit; InputError for one that is done, whose deadline is
        used up, or that goes on in this process; RunTaken for one that goes on in another.
        """
        execution = await self._resumed(run_id, answers, by, deadline, on, None)
        return await execution.resume(answers or {})

    async def stream_resume(
        self,
        run_id: str,
        *,
        answers: Mapping[str, Any] | None = None,
        by: str = "",
        deadline: Deadline = None,
        on: On = "own",
    ) -> AsyncGenerator[Event, None]:
        """`aresume`, with the events of the run as they happen from there on; `stream` says more of them."""
        execution = await self._resumed(run_id, answers, by, deadline, on, Sink())
        events = execution.stream_on(answers or {})
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()

    async def _resumed(
        self,
        run_id: str,
        answers: Mapping[str, Any] | None,
        by: str,
        deadline: Deadline,
        on: On,
        sink: Sink | None,
    ) -> Execution:
        check_resume(run_id, answers)
        if not isinstance(by, str):
            raise InputError(f"by is {by!r}", hint="give the name of the person who answers")
        if on not in ("own", "current"):
            raise InputError(
                f"on is {on!r}", hint="a run goes on with its 'own' version of the graph, or the 'current'"
            )
        seconds = None if deadline is None else check_deadline(deadline)
        record = await self.store.record(run_id)
        if record is None:
            raise unknown_run(run_id)
        if on == "current":
            await self._move(record)
            record.version = ""
        edition = await self.edition_for(record) if record.status != "done" else self._edition
        execution = Execution(cast("Graph", self), run_id, record.thread_id, seconds, sink, record.user, record.tenant)
        execution.by = by
        if edition is not self._edition:
            execution.keep_to(edition)
        return execution

    # --- versions ---

    async def edition_for(self, record: RunRecord, *, exact: bool = True) -> Edition:
        """The version of the graph with which a run was begun: the one that is there now, or one that is read from what
        the run has kept. Raises JournalError, which names what has changed since, if it cannot be had.

        For a run that is only looked at it need not be `exact`: then code may have changed, and where the version
        cannot be had at all, it is the graph as it is now.
        """
        from ragweave.orchestrator.versions import version_of  # where runs are kept, it is there

        current = self._edition
        if not record.version or self.store.live or record.version == version_of(current).hash:
            return current
        key = record.version if exact else f"{record.version} or near"
        found = self._versions.get(record.version) or self._versions.get(key)
        if found is None:
            try:
                found = await self._read_version(record, current, exact)
            except JournalError:
                if exact:
                    raise
                return current
            kept = self._versions.setdefault(key, found)
            if kept is not found:  # somebody else was faster
                await found.resources.disown()
                found = kept
        return found

    async def _read_version(self, record: RunRecord, current: Edition, exact: bool) -> Edition:
        from ragweave.orchestrator import versions

        bundle = await self.store.bundle(record.run_id)
        try:
            if current.source is None:
                raise JournalError("it was built in Python, which is not kept with runs")
            file, plugins = current.source
            edition = await asyncio.to_thread(versions.edition_of, bundle, file.resolve().parent, plugins, exact=exact)
        except Exception as error:  # a plugin may raise anything
            why = versions.reason(error) if isinstance(error, RagweaveError) else f"{type(error).__name__}: {error}"
            told = versions.between(versions.opened(bundle), current)
            raise JournalError(
                f"run {record.run_id!r} was begun with another version of {record.graph!r}, which cannot be had: {why}"
                + (f"; {told}" if told else ""),
                hint='take it over to the graph as it is now, if it fits: resume(run_id, on="current"), or '
                "`ragweave migrate GRAPH` for all such runs",
            ) from error
        edition.resources.adopt(self._edition.resources)
        edition.resources.borrows = True
        return edition

    async def _move(self, record: RunRecord) -> None:
        """Let a run belong to the graph as it is now. Raises JournalError with every reason why it does not fit."""
        from ragweave.orchestrator.migrating import trial
        from ragweave.orchestrator.versions import version_of

        store = self.store
        events, bundle = await store.events(record.run_id), await store.bundle(record.run_id)
        tried = trial(record, record.status, events, bundle, self._edition, store.live)
        if tried.fate == "breaks":
            raise JournalError(
                f"run {record.run_id!r} does not fit the graph as it is now: {'; '.join(tried.reasons)}",
                hint="it can go on with its own version: resume(run_id)",
            )
        if tried.fate == "fits":
            await store.adopt(record.run_id, *version_of(self._edition))

    def migrate(self, *, check: bool = False, graph: str = "") -> list[Trial]:
        """Move the runs that wait to the graph as it is now. See `amigrate`."""
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        return wait_for(self.amigrate(check=check, graph=graph))

    async def amigrate(self, *, check: bool = False, graph: str = "") -> list[Trial]:
        """Try every run that is parked, failed, was cancelled or crashed on the graph as it is now, and move those that
        fit; the others stay on the version with which they were begun. With `check`, nothing is moved.

        One Trial for each such run of this store, oldest first, also for those that go on in another worker; `graph` is
        the name under which they ran, by default this graph's. A run fits if its whole journal does: nodes that ran and
        the ways that they took are there, what they wrote has its type, what comes next has what it reads, and who asks
        still does.
        """
        from ragweave.orchestrator.migrating import tried  # few graphs are migrated
        from ragweave.orchestrator.versions import version_of

        found = await tried(self.store, self._edition, graph or self.plan.spec.name)
        if check:
            return found
        moved = []
        for one in found:
            if one.fate == "fits":
                try:
                    await self.store.adopt(one.run_id, *version_of(self._edition))
                    one = one.told("moved")
                except RunTaken:
                    one = one.told("goes on")
            moved.append(one)
        return moved

    # --- recovery ---

    def recover(self, *, max_concurrency: int = 8) -> list[Result | RunError]:
        """Go on with every run of this graph whose process is gone. See `arecover`."""
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        return wait_for(self.arecover(max_concurrency=max_concurrency))

    async def arecover(self, *, max_concurrency: int = 8) -> list[Result | RunError]:
        """Go on with every run of this graph that crashed, each on its own version, so many at a time.

        Results in the order in which the runs were begun; one that fails, or cannot go on, gives its RunError in its
        place. What another worker took meanwhile is left out. To be called when a server starts: `asyncio.create_task`
        lets it serve at once.
        """
        refuse_none_at_once(max_concurrency)
        crashed = [record for record in await self.store.crashed() if record.graph == self.plan.spec.name]
        results = await call_each(self._recovered, crashed, max_concurrency=max_concurrency)
        return [result for result in results if result is not None]

    async def _recovered(self, record: RunRecord) -> Result | RunError | None:
        try:
            return await self.aresume(record.run_id)
        except RunError as error:
            return error
        except RunTaken:
            return None
        except RagweaveError as error:
            now = await self.store.record(record.run_id)
            if now is None or now.status != "running":
                return None  # another worker has ended it
            failed = RunError(
                f"run {record.run_id} cannot go on: {error.message}", run_id=record.run_id, hint=error.hint
            )
            failed.__cause__ = error
            return failed

    # --- deletion ---

    def forget(
        self,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        user: str | None = None,
        tenant: str | None = None,
    ) -> Forgotten:
        """Delete a run, a conversation, or all of a tenant. See `aforget`."""
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        return wait_for(self.aforget(run_id=run_id, thread_id=thread_id, user=user, tenant=tenant))

    async def aforget(
        self,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        user: str | None = None,
        tenant: str | None = None,
    ) -> Forgotten:
        """Delete a run; a conversation (of one `user`, or of all that had one of this id); or all of a tenant. Gives
        what was removed.

        Journals, values that no other run uses and cached results go from the store, turns of conversations from the
        memories of this graph, and the bytes from the files. Raises RunTaken if one of the runs goes on; then nothing
        is deleted.
        """
        from ragweave.orchestrator.forgetting import Meant, forget  # few processes delete anything

        return await forget(self.store, [self._edition], Meant(run_id, thread_id, user, tenant))
