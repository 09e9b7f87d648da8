"""A graph to run: loaded from YAML or built in Python, checked, planned, and run as often as you like, many runs at
once."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragweave.orchestrator import registry
from ragweave.orchestrator.concurrency import call_each, refuse_none_at_once
from ragweave.orchestrator.edition import Edition
from ragweave.orchestrator.errors import Problem, RunError
from ragweave.orchestrator.graphfile import Plugins, read_file
from ragweave.orchestrator.history import History
from ragweave.orchestrator.language.load import load_data, load_text
from ragweave.orchestrator.result import Result
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.execution import Execution, whose
from ragweave.orchestrator.running.inputs import (
    OPTIONS,
    check_deadline,
    check_inputs,
    check_rows,
    check_text,
    gathered,
)  # fmt: skip
from ragweave.orchestrator.running.stream import Sink
from ragweave.orchestrator.running.threads import Turns
from ragweave.orchestrator.stores import RunRecord, Store
from ragweave.orchestrator.values import BlobPart

if TYPE_CHECKING:
    from langchain_core.tools import StructuredTool

    from ragweave.orchestrator.blobs import Blobs
    from ragweave.orchestrator.interop.chained import GraphRunnable
    from ragweave.orchestrator.interop.offered import GraphRetriever
    from ragweave.orchestrator.nodes.graph import GivenGraph
    from ragweave.orchestrator.running.speech import Piece
    from ragweave.orchestrator.stores.waiting import Waiting

__all__ = ["Deadline", "Graph", "Overrides", "Plugins", "Result", "read_file"]

Deadline = float | str | timedelta | None
"""Seconds, or a text such as `30s` or `1m30s`; None for the graph's own."""
Overrides = Mapping[str, Any] | None
"""Settings of nodes for one call, by the names under which the graph allows that."""


class Graph(History):
    """A checked graph. Raises GraphError with every problem at once; runs are started by `run`, `arun`, `stream`,
    `batch`.

    >>> graph = Graph.load("cookbook.yaml")
    >>> graph.run(question="How long do the lemon peels infuse?")["answer"]

    In Python: `Graph(inputs={"n": "int"}, outputs=["n"], nodes={"a": function}, edges=["start -> a -> end"])`; the
    keys are those of a file. A node may be a function, a Node, another Graph, or a mapping whose `type` is one of
    these; a model (retriever, …) may be an object, which is opened at its first use and closed with the graph.
    """

    def __init__(
        self, *, store: Store | None = None, plugins: Plugins = (), turns: Turns = "queue", **data: Any
    ) -> None:
        registry.load_plugins(plugins)
        spec, problems = load_data(data)
        self._set_up(Edition.of(spec, problems, os.environ), store, turns)

    @classmethod
    def load(
        cls, path: str | Path, *, plugins: Plugins = (), store: Store | None = None, turns: Turns = "queue"
    ) -> Graph:
        """The graph of a file. `plugins` are modules or files that register node types, looked up beside the file
        first. Raises GraphError, PluginError.

        `turns` says what becomes of a run whose thread is busy: it waits (`queue`), fails with ThreadBusy (`reject`),
        or takes over, and what goes on or waits in the thread is cancelled (`interrupt`).
        """
        graph = cls.__new__(cls)
        graph._set_up(Edition.read(Path(path), plugins), store, turns)
        return graph

    @classmethod
    def parse(cls, text: str, *, plugins: Plugins = (), store: Store | None = None, turns: Turns = "queue") -> Graph:
        """The graph of a YAML text; paths in it are relative to the working directory. Raises GraphError,
        PluginError."""
        registry.load_plugins(plugins)
        graph = cls.__new__(cls)
        graph._set_up(Edition.of(*load_text(text), os.environ), store, turns)
        return graph

    @property
    def name(self) -> str:
        """The graph's name."""
        return self.plan.spec.name

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes, in the order of the file."""
        return tuple(self.plan.spec.nodes)

    @property
    def overrides(self) -> dict[str, list[str]]:
        """What a call may set anew: by name, the settings, as `node.setting`."""
        declared = self.plan.spec.overrides.items()
        return {name: [f"{one.node}.{one.setting}" for one in targets] for name, targets in declared}

    def check(self) -> tuple[Problem, ...]:
        """The warnings of this graph; its errors were raised when it was loaded."""
        return self.problems

    def draw(self, style: Literal["mermaid", "text", "svg"] = "mermaid") -> str:
        """A picture of the graph."""
        from ragweave.orchestrator.drawing import draw  # only those who look need it

        return draw(self.checked, style)

    # --- running ---

    def run(
        self,
        given: Mapping[str, Any] | None = None,
        /,
        *,
        thread_id: str = "",
        user: str = "",
        tenant: str = "",
        deadline: Deadline = None,
        overrides: Overrides = None,
        **inputs: Any,
    ) -> Result:
        """One run, waited for. Works with and without a running event loop around it. Raises RunError, InputError.

        Inputs are given by name; those whose names Python or `run` itself has taken (`deadline`), as a dict.
        """
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        return wait_for(
            self.arun(
                given, thread_id=thread_id, user=user, tenant=tenant, deadline=deadline, overrides=overrides, **inputs
            )
        )

    async def arun(
        self,
        given: Mapping[str, Any] | None = None,
        /,
        *,
        thread_id: str = "",
        user: str = "",
        tenant: str = "",
        deadline: Deadline = None,
        overrides: Overrides = None,
        **inputs: Any,
    ) -> Result:
        """One run. If the caller is cancelled, so is the run; it returns with nothing left running.

        Runs of one thread go one after the other. `user` says for whom the run is, and `tenant` whose data it works on:
        two users or tenants never share a thread, its turns or what is remembered of it, even if their `thread_id` is
        the same; what is stored for one tenant is never seen by another. `deadline` (seconds, or a text such as
        `30s`) replaces the graph's own; `overrides` replace settings of nodes for this run, by the names under which
        the graph allows that.
        """
        execution = self._execution(thread_id, deadline, None, user=user, tenant=tenant, overrides=overrides)
        return await execution.start(check_inputs(execution.plan, gathered(given, inputs), options=OPTIONS))

    def stream(
        self,
        given: Mapping[str, Any] | None = None,
        /,
        *,
        thread_id: str = "",
        user: str = "",
        tenant: str = "",
        deadline: Deadline = None,
        overrides: Overrides = None,
        **inputs: Any,
    ) -> AsyncGenerator[Event, None]:
        """The events of one run as they happen: tokens, nodes that start and finish, at last how it ended.

        Leaving the iterator early cancels the run. A run that fails raises RunError after its last event. The reader
        may be slow: a full queue makes the run wait. `run_done` has the Result as `event.data["result"]`.
        """
        execution = self._execution(thread_id, deadline, Sink(), user=user, tenant=tenant, overrides=overrides)
        return execution.stream(check_inputs(execution.plan, gathered(given, inputs), options=OPTIONS))

    def stream_sync(
        self,
        given: Mapping[str, Any] | None = None,
        /,
        *,
        thread_id: str = "",
        user: str = "",
        tenant: str = "",
        deadline: Deadline = None,
        overrides: Overrides = None,
        **inputs: Any,
    ) -> Iterator[Event]:
        """`stream` for callers without an event loop."""
        from ragweave.orchestrator.running.bridge import iterate  # async callers never start its thread

        return iterate(
            self.stream(
                given, thread_id=thread_id, user=user, tenant=tenant, deadline=deadline, overrides=overrides, **inputs
            )
        )

    def chat(
        self,
        given: Mapping[str, Any] | None = None,
        /,
        *,
        thread_id: str = "",
        user: str = "",
        tenant: str = "",
        deadline: Deadline = None,
        overrides: Overrides = None,
        **inputs: Any,
    ) -> AsyncGenerator[Piece, None]:
        """One run as a chat window shows it: the answer as it comes, at last the whole of it with its sources.

        Each Piece is plain data, to be sent as JSON or as a server-sent event. Nothing of this library is raised: that
        inputs are wrong or the run failed is the last piece. Leaving early cancels the run.
        """
        from ragweave.orchestrator.running.speech import pieces  # for those who chat

        return pieces(
            self,
            lambda: self.stream(
                given, thread_id=thread_id, user=user, tenant=tenant, deadline=deadline, overrides=overrides, **inputs
            ),
        )

    def batch(
        self, inputs: Iterable[Mapping[str, Any]], *, max_concurrency: int = 16, overrides: Overrides = None
    ) -> list[Result | RunError]:
        """Many runs, results in the order of their inputs; a run that fails gives its RunError in its place.

        All inputs are checked first: InputError names the row that is wrong, counted from 0.
        """
        from ragweave.orchestrator.running.bridge import wait_for  # async callers never start its thread

        return wait_for(self.abatch(inputs, max_concurrency=max_concurrency, overrides=overrides))

    async def abatch(
        self, inputs: Iterable[Mapping[str, Any]], *, max_concurrency: int = 16, overrides: Overrides = None
    ) -> list[Result | RunError]:
        """`batch` for async callers."""
        refuse_none_at_once(max_concurrency)
        self._execution("", None, None, overrides=overrides)  # what is wrong with the overrides is no fault of a run

        async def started(row: Mapping[str, Any]) -> Result | RunError:
            try:
                return await self._execution("", None, None, overrides=overrides).start(row)
            except RunError as error:
                return error

        return await call_each(started, check_rows(self.plan, inputs), max_concurrency=max_concurrency)

    async def cancel(self, run_id: str = "", *, thread_id: str = "", user: str = "", tenant: str = "") -> bool:
        """Cancel a run that goes on in this process, whoever started it: whoever waits for it gets a RunError; or one
        that is parked, whose questions are then asked no longer. False if there is none of this id.

        With a `thread_id` instead: the runs that go on or wait in this thread of the `user` and the `tenant`.
        """
        if thread_id:
            return self._threads.interrupt(thread_id, "its thread was told to stop", user=whose(tenant, user))
        active = self._active.get(run_id)
        if active is None:
            from ragweave.orchestrator.stores.waiting import withdraw  # for those who ask

            return await withdraw(self.store, run_id)
        loop, walker = active
        loop.call_soon_threadsafe(walker.cancel)
        return True

    async def runs(self, **filters: Any) -> Sequence[RunRecord]:
        """What the store knows of runs; `thread_id` and `status` filter."""
        return await self.store.runs(**filters)

    async def waiting(self, **filters: Any) -> list[Waiting]:
        """The open questions of the parked runs in this graph's store, of other graphs too: which run asks, at which
        path, what, and what an answer has to be. `thread_id`, `tenant` and `graph` filter."""
        from ragweave.orchestrator.stores.waiting import waiting  # for those who answer

        return await waiting(self.store, **filters)

    def _execution(
        self,
        thread_id: str,
        deadline: Deadline,
        sink: Sink | None,
        run_id: str | None = None,
        *,
        user: str = "",
        tenant: str = "",
        overrides: Overrides = None,
    ) -> Execution:
        if thread_id.__class__ is not str:
            check_text("thread_id", thread_id)
        if user.__class__ is not str:
            check_text("user", user)
        if tenant.__class__ is not str:
            check_text("tenant", tenant)
        seconds = None if deadline is None else check_deadline(deadline)
        execution = Execution(self, run_id, thread_id, seconds, sink, user, tenant)
        if overrides is not None:
            execution.override(overrides)
        return execution

    @property
    def __ragweave_node__(self) -> GivenGraph:
        """This graph as a node of another one."""
        from ragweave.orchestrator.nodes.graph import GivenGraph  # for those who put graphs into graphs

        return GivenGraph.of(self)

    # --- LangChain ---

    def as_runnable(self, *, output: str = "") -> GraphRunnable:
        """This graph as a Runnable of LangChain: a dict of inputs in, a dict of outputs out, or `output` alone.

        Raises MissingExtra if LangChain is not installed.
        """
        from ragweave.orchestrator.interop.offering import as_runnable  # loads LangChain

        return as_runnable(self, output=output)

    def as_tool(self, *, name: str = "", description: str = "", output: str = "") -> StructuredTool:
        """This graph as a tool for agents of LangChain, with its own name and description unless others are given.

        The agent's model reads all outputs, or `output` alone. Raises MissingExtra if LangChain is not installed.
        """
        from ragweave.orchestrator.interop.offering import as_tool  # loads LangChain

        return as_tool(self, name=name, description=description, output=output)

    def as_retriever(self, *, output: str = "documents") -> GraphRetriever:
        """This graph as a retriever of LangChain, for what it writes as `output`: a list of documents.

        Raises MissingExtra if LangChain is not installed, OutputError for an output that is none, InputError if the
        graph needs more than one text.
        """
        from ragweave.orchestrator.interop.offering import graph_as_retriever  # loads LangChain

        return graph_as_retriever(self, output)

    # --- images, sounds and files ---

    @property
    def blobs(self) -> Blobs:
        """Where the bytes of attached images, sounds and files are; in memory, unless its `folder` is set."""
        return self.resources.blobs

    def attach(self, source: str | Path | bytes, *, media_type: str = "", name: str = "") -> BlobPart:
        """A part of a message from a file or from bytes, for an input of type `Part`, `list[Part]` or `Message`.

        >>> graph.run(question="What is in the picture?", picture=graph.attach("cat.png"))

        What it is, is told by `media_type`, else by its bytes and its name. Raises InputError for a file that cannot be
        read or that is too large (20 MB).
        """
        return self.blobs.attach(source, media_type=media_type, name=name)

    def __repr__(self) -> str:
        return f"<Graph {self.name!r}: {len(self.nodes)} nodes>"
