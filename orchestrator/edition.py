"""One reading of a graph: what was checked and planned, its resources, and the runs that go on with them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator import sources
from ragweave.orchestrator.checking.bound import Checked
from ragweave.orchestrator.checking.check import check
from ragweave.orchestrator.errors import GraphError, MissingExtra, Problem
from ragweave.orchestrator.graphfile import Plugins, opening, read_file
from ragweave.orchestrator.language.load import STORE
from ragweave.orchestrator.language.spec import Spec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.plan import Plan, make_plan
from ragweave.orchestrator.running.run import GRACE
from ragweave.orchestrator.stores import Store
from ragweave.orchestrator.stores.memory import MemoryStore

if TYPE_CHECKING:
    from ragweave.orchestrator.versions import Version

CLOSED = "its graph was closed"
_PATIENCE = 1.5 * GRACE
"""Seconds to wait for runs that were cancelled: more than they wait for their calls."""


class Edition:
    """A graph as it was when it was read. A run keeps to the edition with which it began, whatever is read later."""

    __slots__ = (
        "_lock", "checked", "files", "plan", "problems", "resources", "retired", "runs", "source", "varied", "version",
        "warm",
    )  # fmt: skip

    def __init__(self, checked: Checked, resources: Resources) -> None:
        self.problems: tuple[Problem, ...] = tuple(checked.problems)
        if not checked.ok:
            raise GraphError(checked.problems)
        self.checked = checked
        self.plan: Plan = make_plan(checked)
        self.resources = resources
        self.runs = 0
        """How many go on with it, or wait for their turn."""
        self.retired = False
        """True once a newer one has taken its place."""
        self.warm = False
        self.source: tuple[Path, Plugins] | None = None
        """From which file it was read, with which plugins; None if it was not."""
        self.files: sources.Files = {}
        """What was read of it, as it was then."""
        self.version: Version | None = None
        """What its runs keep of it, once one has asked: see `versions.version_of`."""
        self.varied: dict[str, Plan] = {}
        """Plans of calls with overrides, by these overrides as JSON."""
        self._lock = threading.Lock()

    @classmethod
    def of(cls, spec: Spec, problems: list[Problem], environ: Mapping[str, str]) -> Edition:
        """The edition of a graph that was read. Raises GraphError with every problem at once."""
        resources = Resources(spec.resources.values(), folder=spec.folder, environ=environ, prices=spec.prices)
        resources.approval = spec.approval
        return cls(check(spec, problems, resources), resources)

    @classmethod
    def read(cls, path: Path, plugins: Plugins = ()) -> Edition:
        """The edition of a file as it is now. Raises GraphError, PluginError."""
        plugins = plugins if isinstance(plugins, (str, Path)) else tuple(plugins)
        with opening(path), sources.noting() as files:
            spec, problems, environ = read_file(path, plugins)
            edition = cls.of(spec, problems, environ)
        edition.source = path, plugins
        edition.files = files
        edition.resources.files = sources.standing_in()
        edition.resources.note_files()
        return edition

    def make_store(self) -> Store:
        """Where the runs of this graph are to be kept. Raises ResourceError, MissingExtra."""
        if ("stores", STORE) in self.plan.spec.resources:
            made: Store = self.resources.get("stores", STORE).make()
            return made
        if self.source is None:
            return MemoryStore()
        from ragweave.orchestrator.stores.beside import store_beside  # graphs without a file need no database

        return store_beside(self.resources.folder, self.resources.environ)

    def enter(self) -> None:
        """One more run."""
        with self._lock:
            self.runs += 1

    def leave(self) -> bool:
        """One run less. True if it was the last of a retired edition, whose resources are then to be closed."""
        with self._lock:
            self.runs -= 1
            return self.retired and not self.runs

    def retire(self) -> bool:
        """No run begins with it any more. True if none goes on, so that its resources are to be closed."""
        with self._lock:
            self.retired = True
            return not self.runs

    async def warm_up(self) -> None:
        """Build every resource that runs can come to use, and let nodes get ready. Raises ResourceError and what else a
        resource raises that cannot be opened."""
        for kind, name in self.plan.spec.resources:
            await self._build(kind, name)
        for step in self.plan.steps:
            for member in step.bound.members if step.bound is not None else ():
                for kind, name in named_by(member.node):
                    try:
                        await self._build(kind, name)
                    except MissingExtra:
                        if (kind, name) in self.plan.spec.resources:
                            raise  # else it is a default that the node can do without, or will complain of itself
                await asyncio.to_thread(member.node.warm_up, self.resources)
        for inner in self.resources.inner_graphs():
            await inner.awarm_up()
        self.warm = True

    async def _build(self, kind: str, name: str) -> None:
        if self.resources.built(kind, name) is None:
            await asyncio.to_thread(self.resources.get, kind, name)


async def idle(editions: Iterable[Edition]) -> None:
    """Wait until no run of these goes on. They may be in other event loops: so this looks again and again, and gives up
    on those whose loop stands still."""
    clock = asyncio.get_running_loop().time
    until = clock() + _PATIENCE
    pause = 0.0
    while any(edition.runs for edition in editions) and clock() < until:
        await asyncio.sleep(pause)
        pause = min(pause + 0.001, 0.02)


def named_by(node: Any) -> dict[tuple[str, str], None]:
    """The resources that a node's settings name, defaults included."""
    from ragweave.orchestrator.language.names import names_in  # a run needs it not

    settings: Mapping[str, Any] = {name: getattr(node, name, None) for name in type(node).model_fields}
    return dict.fromkeys((one.kind, one.name) for one in names_in(type(node), settings))
