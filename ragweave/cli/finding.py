"""Where runs are kept, and which run is meant: the graph, the store and the run of a command that looks back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ragweave.cli.files import near
from ragweave.cli.graphs import graph_files, load_plugins, open_graph
from ragweave.cli.terminal import note

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.stores import RunRecord, Store

RUNS = Path(".ragweave") / "runs.sqlite"
"""Where the runs of a graph file lie, beside it, unless the graph says otherwise."""
LAST = "last"
_SHOWN = 5


@dataclass(slots=True)
class Kept:
    """A place where runs are kept: its store, and the graph that was named or is the only one there.

    `async with kept:` closes both.
    """

    store: Store
    folder: Path
    """Where the graph files of its runs lie."""
    shown: str
    """How messages name it."""
    graph: Graph | None = None
    plugins: Sequence[str] = ()
    graphs: dict[Path, Graph] = field(default_factory=dict)
    """Those that were opened for its runs."""

    async def run(self, text: str) -> RunRecord:
        """The run of this id, the one whose id starts so, or the newest of all for `last`. Raises JournalError that
        names the runs that could be meant."""
        from ragweave.orchestrator.errors import JournalError

        found = await self.store.record(text)
        if found is not None:
            return found
        if text == LAST:
            name = self.graph.name if self.graph is not None else None
            newest = await self.store.runs(limit=1, graph=name)
            if not newest:
                raise JournalError(f"no run is kept in {self.shown}")
            return newest[-1]
        known = await self.store.runs()
        fitting = [one for one in known if one.run_id.startswith(text)] if text else list(known)
        if len(fitting) == 1:
            return fitting[0]
        if not fitting:
            raise JournalError(f"no run {text!r} is kept in {self.shown}{_nearest(text, known)}")
        some = ", ".join(one.run_id for one in fitting[-_SHOWN:])
        more = f" and {len(fitting) - _SHOWN} more" if len(fitting) > _SHOWN else ""
        raise JournalError(f"{len(fitting)} runs begin with {text!r}: {some}{more}", hint="write more of the id")

    async def graph_of(self, record: RunRecord) -> Graph:
        """The graph of a run: the one that was named, else the file with which the run was begun, opened over this
        store. Raises JournalError, GraphError."""
        from ragweave.orchestrator.errors import JournalError

        if self.graph is not None:
            return self.graph
        bundle = await self.store.bundle(record.run_id)
        file = entry_of(bundle)
        if not file:
            raise JournalError(
                f"the run {record.run_id!r} of {record.graph!r} does not say which file its graph is",
                hint="name it: --graph GRAPH",
            )
        path = self.folder / file
        if path not in self.graphs:
            if path.is_file():
                self.graphs[path] = open_graph(path, self.plugins, store=self.store)
            else:
                self.graphs[path] = self._as_it_was(path, bundle)
        return self.graphs[path]

    def _as_it_was(self, path: Path, bundle: str) -> Graph:
        """A graph whose file is not there any more, from what the run has kept of it. Raises GraphError."""
        from ragweave.orchestrator import sources
        from ragweave.orchestrator.graph import Graph
        from ragweave.orchestrator.versions import files_of

        note(f"{str(near(path))!r} is not there any more: the graph is read as the run has kept it")
        load_plugins(self.plugins, path)
        with sources.as_were(files_of(bundle, self.folder)):
            return Graph.load(path, store=self.store)

    async def __aenter__(self) -> Kept:
        return self

    async def __aexit__(self, *_: object) -> None:
        for graph in (self.graph, *self.graphs.values()):
            if graph is not None:
                await graph.aclose()
        await self.store.close()


def _nearest(text: str, known: Sequence[RunRecord]) -> str:
    """The end of a message: the run that was meant, or the newest ones."""
    from ragweave.orchestrator.errors import closest

    near = closest(text, [one.run_id for one in known])
    if near is not None:
        return f"; did you mean {near!r}?"
    newest = ", ".join(one.run_id for one in known[: -_SHOWN - 1 : -1])
    return f"; the newest are {newest}" if newest else ", which has none"


def entry_of(bundle: str) -> str:
    """The name of the file with which a bundle's graph begins; empty if it does not say."""
    try:
        data = json.loads(bundle) if bundle else {}
    except ValueError:
        return ""
    entry = data.get("entry", "") if isinstance(data, dict) else ""
    # A name alone: nobody who can write the store may choose the folder whose plugins are loaded.
    return entry if isinstance(entry, str) and entry == Path(entry).name else ""


def find(graph: Path | None, store: Path | None, plugins: Sequence[str] = ()) -> Kept:
    """The place where runs are kept: that of a graph file, a store's file, or what lies in this folder or above it.

    Raises RagweaveError if there is none, or if it is not clear which is meant.
    """
    from ragweave.orchestrator.errors import JournalError

    if store is not None:
        if not store.is_file():
            raise JournalError(f"there is no store {str(store)!r}", hint="name its file, or the graph: --graph GRAPH")
        opened = _sqlite(store)
        home = _home_of(store)
        if graph is None:
            return Kept(opened, home, f"{str(near(store))!r}", None, plugins)
        return Kept(opened, graph.parent, f"{str(near(store))!r}", open_graph(graph, plugins, store=opened), plugins)
    if graph is not None:
        named = open_graph(graph, plugins)
        return Kept(named.store, graph.parent, f"the store of {str(graph)!r}", named, plugins)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / RUNS).is_file():
            return Kept(_sqlite(folder / RUNS), folder, f"{str(near(folder / RUNS))!r}", None, plugins)
    return find(_only_graph(), None, plugins)


def _only_graph() -> Path:
    """The graph file of this folder. Raises JournalError if it has none or several."""
    from ragweave.orchestrator.errors import JournalError, RagweaveError

    hint = "name the graph, --graph GRAPH, or the store, --store FILE"
    try:
        files = [file for file in graph_files([Path()]) if file.parent == Path()]
    except RagweaveError:
        files = []
    if len(files) != 1:
        several = f"; its graphs are {', '.join(map(str, files[:_SHOWN]))}" if files else ""
        raise JournalError(f"no runs are kept in this folder{several}", hint=hint)
    return files[0]


def _sqlite(path: Path) -> Store:
    from ragweave.orchestrator.stores.durable import DurableStore
    from ragweave.orchestrator.stores.sqlite import SqliteDatabase

    return DurableStore(SqliteDatabase(path))


def _home_of(store: Path) -> Path:
    """The folder whose graphs keep their runs in this file: that of `.ragweave`, or else the file's own."""
    folder = store.resolve().parent
    return folder.parent if folder.name == RUNS.parent.name else folder
