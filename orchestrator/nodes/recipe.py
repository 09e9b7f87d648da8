"""Node types that are graphs: a shipped file, run with the models, tools and prompts of the graph that names it.

A type of this kind is a graph file and a class. The class says what may be set:

    class Clerk(Recipe, type="clerk"):
        '''Look a question up, and answer.'''

        file = Path(__file__).with_name("clerk.yaml")

        model: ModelName = Field("auto", description="The model that answers.")
        rounds: PositiveInt = Field(3, description="How often it may search again.")

The file says where in the graph each setting goes, so that a run which keeps its file keeps that too:

    settings: {model: answer.model, rounds: check -> search}

`answer.model` is a setting of a node; `check -> search` the `max_iterations` of a way back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ragweave.orchestrator.errors import GraphError, PluginError, Problem, ResourceError
from ragweave.orchestrator.lending import GRAPHS, Lent
from ragweave.orchestrator.node import Remark, Signature, Write
from ragweave.orchestrator.nodes.graph import Subgraph
from ragweave.orchestrator.resources import Resources

if TYPE_CHECKING:
    from ragweave.orchestrator.checking.bound import BoundNode
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.language.spec import KeySpec, Spec, Target

Name = tuple[str, str]
"""A resource by kind and name."""


class Recipe(Subgraph):
    """A node that is a graph file of its own, with settings. The module says how to write one.

    What its nodes read and none of them writes are its reads; its writes are the outputs of the file and
    `more_outputs`. A setting that is not given leaves the file as it is. A name that a setting gives means a resource
    of the graph around it; what the file names otherwise are the file's own, such as its prompts.
    """

    file: ClassVar[Path]
    """The graph file. Files that it names lie in its folder."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if "file" in vars(cls):
            cls.home = cls.file.resolve().parent
        super().__pydantic_init_subclass__(**kwargs)

    def more_outputs(self) -> Mapping[str, Write]:
        """State keys that it writes with these settings, beside the outputs of its file."""
        return {}

    def signature(self, resources: Resources) -> Signature:
        """What its graph reads and writes; what is wrong with that, as faults of the settings."""
        try:
            return super().signature(resources)
        except GraphError as error:
            return Signature(faults=self._faults(error.problems))

    def given(self) -> dict[str, Any]:
        """The settings that are put into the graph."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if value is not None and value not in ({}, [], "")}

    def _load(self, resources: Resources) -> Graph:
        graph: Graph | None = self._graph
        if graph is None or getattr(graph.resources, "lender", None) is not resources:  # or it serves another graph too
            key = f"{self.type_name} {json.dumps(self.given(), default=repr, sort_keys=True)}"
            loaded = resources.built(GRAPHS, key)
            if loaded is None:
                loaded = _Made(self._expand(resources))
                resources.put(GRAPHS, key, loaded)
            self._graph = graph = loaded.graph
        return graph

    def _expand(self, resources: Resources) -> Graph:
        """The graph of the file with these settings. Raises GraphError."""
        from ragweave.orchestrator.checking.check import check
        from ragweave.orchestrator.edition import Edition
        from ragweave.orchestrator.graph import Graph
        from ragweave.orchestrator.graphfile import opening
        from ragweave.orchestrator.language.settings import bind

        with opening(self.file):
            spec, problems = self._read()
            given = {name: value for name, value in self.given().items() if self._goes(spec, name)}
            mine = _names(type(self), given)
            needed = _needed(spec, [target for name in given for target in spec.settings[name]])
            for kind, name in mine & needed:
                raise ResourceError(
                    f"{kind}.{name}: the graph of {self.type_name!r} has one of this name too",
                    hint="give yours another name",
                )
            for name, value in given.items():
                for target in spec.settings[name]:
                    _put(spec, target, value)
            own = [one for key, one in spec.resources.items() if key in needed]
            spec.resources = {(one.kind, one.name): one for one in own} | {one: _lent(*one) for one in mine}
            lent = Lent(own, folder=spec.folder, lender=resources)
            bound, _ = bind(spec, lent)
            spec.inputs = _inputs(spec, bound)
            more = self.more_outputs()
            spec.outputs = tuple(dict.fromkeys([*spec.outputs, *more]))
            spec.loose = frozenset(key for key, write in more.items() if not write.certain)
            graph = Graph.__new__(Graph)
            graph._set_up(Edition(check(spec, problems, lent), lent), None, "queue")
            return graph

    def _read(self) -> tuple[Spec, list[Problem]]:
        """The file as it is."""
        from ragweave.orchestrator import sources
        from ragweave.orchestrator.language.load import load_text

        try:
            data = sources.read_bytes(self.file)
        except OSError as error:
            raise ResourceError(f"the graph of {self.type_name!r} cannot be read: {error}") from None
        return load_text(data, file=self.file.name, folder=self.file.resolve().parent)

    def _goes(self, spec: Spec, name: str) -> bool:
        """True if the file has a place for a setting. Raises PluginError if it has none for one that was given."""
        if name not in spec.settings and name in self.model_fields_set:
            where = f"`settings` of {self.file.name} does not say where it goes"
            raise PluginError(f"node type {self.type_name!r}: the setting {name!r}: {where}")
        return name in spec.settings  # an older file has no place for what is new

    def _faults(self, problems: Iterable[Problem]) -> tuple[Remark, ...]:
        """What is wrong inside, each at the setting that was put there."""
        spec, _ = self._read()
        marks: dict[tuple[int, int], str] = {}
        for name in self.given():
            for target in spec.settings.get(name, ()):
                place = ("nodes", target.node, target.setting)
                for mark in (known[place] for known in (spec.marks, spec.value_marks) if place in known):
                    marks[mark.line, mark.column] = name
        return tuple(
            Remark(
                f"in the graph of {self.type_name!r}, {one.place}: {one.message}",
                (marks[one.line, one.column],) if (one.line, one.column) in marks else (),
            )
            for one in problems
            if one.severity == "error"
        )


class _Made:
    """A graph among the resources of the one that it serves, with which it is closed."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    async def close(self) -> None:
        await self.graph.resources.close()


def _lent(kind: str, name: str) -> Any:
    """The place of a resource that another graph declares, and has been asked for there."""
    from ragweave.orchestrator.naming import ResourceSpec

    return ResourceSpec(kind, name, "")


def _names(kind: Any, settings: Mapping[str, Any]) -> set[Name]:
    from ragweave.orchestrator.language.names import names_in

    return {(one.kind, one.name) for one in names_in(kind, settings)}


def _put(spec: Spec, target: Target, value: Any) -> None:
    """Put a value into its place, if there is one: that there is none is a problem of the file."""
    from ragweave.orchestrator.language.recipes import ARROW, way_back

    if not target.setting.startswith(ARROW):
        entry = spec.nodes.get(target.node)
        if entry is not None:
            spec.nodes[target.node] = entry._replace(settings={**entry.settings, target.setting: value})
        return
    exits = spec.exits.get(target.node)
    at = way_back(exits, target)
    if exits is not None and at is not None:
        routes = list(exits.routes)
        routes[at] = routes[at]._replace(max_iterations=value)
        spec.exits[target.node] = exits._replace(routes=tuple(routes))


def _needed(spec: Spec, without: Iterable[Target]) -> set[Name]:
    """The resources of a file that its nodes name, apart from those settings; and those that these name."""
    from ragweave.orchestrator import registry

    left_out = {(one.node, one.setting) for one in without}
    found: set[Name] = set()
    for name, entry in spec.nodes.items():
        kind = registry.find("nodes", entry.type)
        others = [one for part in (entry.policies.fallback, entry.policies.race) for one in part]
        for settings in (entry.settings, *others):
            made = registry.find("nodes", settings["type"]) if settings.get("type") else kind
            kept = {key: value for key, value in settings.items() if (name, key) not in left_out}
            if isinstance(made, type):
                found |= _names(made, kept)
    waiting = list(found & set(spec.resources))
    while waiting:
        one = spec.resources[waiting.pop()]
        inside = _names(registry.find(one.kind, one.type), one.settings) & set(spec.resources)
        waiting += inside - found
        found |= inside
    return found & set(spec.resources)


def _inputs(spec: Spec, nodes: Mapping[str, BoundNode]) -> dict[str, KeySpec]:
    """What nodes, conditions and outputs read and no node writes; optional where all of them can do without."""
    from ragweave.orchestrator.checking.usage import condition_reads
    from ragweave.orchestrator.language.spec import KeySpec
    from ragweave.orchestrator.types import JSON

    written = {key for node in nodes.values() for key in node.written}
    written |= {name for name, key in spec.state.items() if key.has_default or key.accumulate}
    written |= {"error"} if any(entry.policies.on_error is not None for entry in spec.nodes.values()) else set()
    needed = {key for node in nodes.values() for key in node.required}
    needed |= {key for _, key, _ in condition_reads(spec)} | set(spec.outputs)
    kinds = {key: kind for node in nodes.values() for key, kind in node.read.items()}
    found = {}
    for key in dict.fromkeys([*spec.inputs, *kinds, *needed]):
        if key in written or (key not in kinds and key not in needed):
            continue
        declared = spec.inputs.get(key)
        kind = declared.type if declared is not None else kinds.get(key, JSON)
        plain = KeySpec(key, kind) if declared is None else declared
        found[key] = plain._replace(optional=key not in needed and not plain.has_default)
    return found
