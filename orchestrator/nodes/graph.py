"""A graph as a node (R22): its inputs are read, its outputs written, and everything in it counts toward the caller's
run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.node import Node, Read, Signature, Write
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.inputs import check_inputs
from ragweave.orchestrator.running.ledger import Ledger
from ragweave.orchestrator.types import JSON

if TYPE_CHECKING:
    from ragweave.orchestrator.edition import Edition
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.running.plan import Plan
    from ragweave.orchestrator.running.run import Run


class Subgraph(Node):
    """A node that runs a graph, which `_load` gives."""

    nested: ClassVar[bool] = True
    wants_context: ClassVar[bool] = True
    home: ClassVar[Path | None] = None
    """The folder of the graph's files, where they come with the node's type."""
    _graph: Any = PrivateAttr(default=None)

    def signature(self, resources: Resources) -> Signature:
        """Declared inputs as reads, outputs as writes. Raises GraphError of the inner file, ResourceError for a
        circle."""
        graph = self._load(resources)
        spec, keys = graph.plan.spec, graph.plan.keys
        reads = {
            name: Read(key.type or JSON, not (key.has_default or key.optional)) for name, key in spec.inputs.items()
        }
        values = graph.checked.values
        writes = {name: Write(keys.get(name, JSON), name not in spec.loose, values.get(name)) for name in spec.outputs}
        return Signature(reads, writes)

    @property
    def plan(self) -> Plan:
        """The plan of the inner graph."""
        plan: Plan = self._graph.plan
        return plan

    @property
    def inner_resources(self) -> Resources:
        """The resources of the inner graph."""
        resources: Resources = self._graph.resources
        return resources

    async def __call__(self, *, ctx: Context, **inputs: Any) -> Mapping[str, Any]:
        """The outputs of the inner graph."""
        return await self.enter(inputs, ctx, {})

    async def enter(self, inputs: Mapping[str, Any], ctx: Context, origins: Mapping[str, int]) -> Mapping[str, Any]:
        """Run the inner graph in the caller's run, or go on with it; `origins` are those of its inputs. Gives its
        outputs, or Parked."""
        graph: Graph = self._load(ctx.resources or Resources())
        run = ctx.run
        if run is None:
            result = await graph.arun(**inputs)
            return result.outputs
        edition = graph._edition
        edition.enter()
        try:
            return await self._run(edition, run, inputs, ctx, origins)
        finally:
            if edition.leave():  # the graph was reloaded meanwhile, by the program that also holds it
                await edition.resources.close()

    async def _run(
        self, edition: Edition, run: Run, inputs: Mapping[str, Any], ctx: Context, origins: Mapping[str, int]
    ) -> Mapping[str, Any]:
        from ragweave.orchestrator.running.walker import (  # they import the plan, which imports nodes
            Walker,
            first_state,
        )

        plan, frame = edition.plan, ctx.path + "/"
        known = run.children.pop(frame, None)
        if known is not None:
            ledger, ready = known
        else:
            values = check_inputs(plan, inputs)
            data = {"inputs": values, "origins": origins}
            run.entered(frame)
            run.journal(Event("entered", ctx.frame, ctx.node, ctx.visit, data, ctx.item, ctx.member))
            ledger = Ledger(plan)
            ready = ledger.start(first_state(plan, values, origins))
        walker = Walker(plan, run, edition.resources, frame, ledger)
        try:
            outcome: Any = await walker.execute(ready)
        except Exception:
            ctx.emitted += 1  # whatever was streamed within is withdrawn with this attempt
            raise
        return outcome  # type: ignore[no-any-return]

    def _load(self, resources: Resources) -> Graph:
        """The graph, with its resources."""
        raise NotImplementedError


class GraphNode(Subgraph, type="graph"):
    """Run another graph file as one step. Its inputs are read from the state, its outputs are written to it."""

    path: str
    """The graph file, relative to the folder of the file that names it."""

    example: ClassVar[str] = "research: {type: graph, path: research.yaml}"

    def _load(self, resources: Resources) -> Graph:
        if self._graph is None:
            from ragweave.orchestrator.graph import Graph  # a graph holds nodes, and this node holds a graph

            path = (resources.folder / self.path).resolve()
            loaded = resources.built("graphs", str(path))
            if loaded is None:
                from ragweave.orchestrator.language.inner import near  # for graphs in graphs

                loaded = _Loaded(Graph.load(near(path)))
                loaded.graph.resources.borrow(resources)
                resources.put("graphs", str(path), loaded)
            self._graph = loaded.graph
        return self._graph  # type: ignore[no-any-return]


class GivenGraph(GraphNode):
    """A graph that was built in Python as one step of another."""

    path: str = ""

    @classmethod
    def of(cls, graph: Graph) -> GivenGraph:
        """The node that runs this graph."""
        made = cls()
        made._graph = graph
        return made

    def signature(self, resources: Resources) -> Signature:
        """Declared inputs as reads, outputs as writes."""
        resources.put("graphs", f"<{id(self._graph)}>", _Given(self._graph))
        self._graph.resources.borrow(resources)
        return super().signature(resources)


class _Given:
    """A graph object among the resources of the graph that holds it: with that, its resources are closed, not its
    store; what it needs again it opens again."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    async def close(self) -> None:
        await self.graph.resources.close()


class _Loaded:
    """A graph file among the resources of the graph that names it, with which it is closed."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    async def close(self) -> None:
        await self.graph.aclose()
