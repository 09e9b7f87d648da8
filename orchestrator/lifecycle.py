"""How a graph lives: it is read, warmed up, read again while runs go on, and closed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import ClassVar, Self

from ragweave.orchestrator.checking.bound import Checked
from ragweave.orchestrator.edition import CLOSED, Edition, idle
from ragweave.orchestrator.errors import Problem, RagweaveError
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.plan import Plan
from ragweave.orchestrator.running.threads import ThreadQueues, Turns, check_turns
from ragweave.orchestrator.running.walker import Walker
from ragweave.orchestrator.stores import Store


class Lifecycle:
    """What a graph has of its life, beside its runs."""

    _active: ClassVar[dict[str, tuple[asyncio.AbstractEventLoop, Walker]]] = {}
    """The runs that go on in this process, of all graphs."""

    def _set_up(self, edition: Edition, store: Store | None, turns: Turns) -> None:
        self._threads = ThreadQueues(check_turns(turns))
        self._edition = edition
        self._older: list[Edition] = []
        """Editions that a newer one has replaced, and whose runs may still go on."""
        self._versions: dict[str, Edition] = {}
        """Older versions of the graph, by their hashes, that were read again for runs which were begun with them."""
        self._store = store
        self._making = threading.Lock()

    @property
    def store(self) -> Store:
        """Where its runs are kept: what was given, else what its file names, else a file beside it; of a graph without
        a file, this process's memory."""
        if self._store is None:
            with self._making:
                self._store = self._store or self._edition.make_store()
        return self._store

    @property
    def plan(self) -> Plan:
        """Everything that the graph alone decides."""
        return self._edition.plan

    @property
    def checked(self) -> Checked:
        """What the check found out."""
        return self._edition.checked

    @property
    def resources(self) -> Resources:
        """Its models, retrievers and other resources."""
        return self._edition.resources

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What the check found; of a graph that loads these are warnings."""
        return self._edition.problems

    # --- reading it again ---

    def reload(self) -> tuple[Problem, ...]:
        """Read the graph's file again, with its prompts, inner graphs and `.env`: runs that go on finish as they began,
        new ones go by the new file. Resources whose settings and files are the same are kept open. Gives the warnings.

        Raises GraphError, or ResourceError for a graph that is warmed up; then everything stays as it was. Plugins are
        Python modules, and are not read again.
        """
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        return wait_for(self.areload())

    async def areload(self) -> tuple[Problem, ...]:
        """`reload` for async callers."""
        old = self._edition
        if old.source is None:
            raise RagweaveError("this graph was not read from a file", hint="Graph.load gives one that can be reloaded")
        new = await asyncio.to_thread(Edition.read, *old.source)
        new.resources.adopt(old.resources)
        try:
            if old.warm:
                await new.warm_up()
        except BaseException:
            await new.resources.disown()
            raise
        if self._edition is not old:  # another reload was faster
            await new.resources.disown()
            return await self.areload()
        self._edition = new
        new.resources.succeed(old.resources)
        self._older = [edition for edition in self._older if edition.runs]
        if old.retire():
            await old.resources.close()
        else:
            self._older.append(old)
        versions, self._versions = self._versions, {}
        for one in versions.values():  # they share what the old one has opened
            if one.retire():
                await one.resources.close()
            else:
                self._older.append(one)
        return new.problems

    @contextlib.asynccontextmanager
    async def watch(self, *, every: float = 1.0, tell: Callable[[str], None] | None = None) -> AsyncIterator[Self]:
        """Within this block, reload the graph whenever its file, or a file that it names, changes; looked at `every` so
        many seconds. `tell` is told of each reload and of what is wrong with a file; without it, the log `ragweave` is.

        >>> async with graph.watch():
        ...     await serve(graph)
        """
        from ragweave.orchestrator.watching import keep_up  # for those who watch

        task = asyncio.create_task(keep_up(self, every, tell))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})

    # --- its beginning and its end ---

    def warm_up(self) -> None:
        """Build now whatever runs can come to use, so that the first one does not wait for it: declared resources,
        those that nodes name without a declaration, those of inner graphs; and nodes that learn get ready.

        Raises ResourceError, or what else a resource raises that cannot be opened.
        """
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        wait_for(self.awarm_up())

    async def awarm_up(self) -> None:
        """`warm_up` for async callers."""
        await self._edition.warm_up()

    async def aclose(self) -> None:
        """Cancel the runs that go on, wait for them, and close models, retrievers, the store and inner graphs."""
        editions = [*self._versions.values(), *self._older, self._edition]
        self._threads.interrupt_all(CLOSED)
        resources = [edition.resources for edition in editions]
        for loop, walker in list(self._active.values()):
            if any(walker.resources is one for one in resources) and not loop.is_closed():
                loop.call_soon_threadsafe(walker.cancel, CLOSED)
        await idle(editions)
        for one in resources:
            await one.close()
        if self._store is not None:
            await self._store.close()

    def close(self) -> None:
        """`aclose` for callers without an event loop."""
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        wait_for(self.aclose())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
