"""A graph as it was written: what the loader reads out of YAML or Python, with the place of everything, before any
check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from ragweave.orchestrator.approvals import Rule
from ragweave.orchestrator.language.policies import NO_POLICIES, BudgetPolicy, NodePolicies
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.types import Type

Place = tuple[str | int, ...]
"""The way to a key or item from the root of the file: `("nodes", "answer", "top_k")`, `("edges", 3, "routes", 0,
"to")`."""


class Mark(NamedTuple):
    """A position in the file, 1-based; line 0 if the graph was built in Python."""

    line: int = 0
    column: int = 0


NOWHERE = Mark()


class KeySpec(NamedTuple):
    """A state key that the file declares under `inputs` or `state`."""

    name: str
    type: Type | None = None
    default: Any = None
    has_default: bool = False
    merge: str | None = None
    accumulate: bool = False
    description: str = ""
    mark: Mark = NOWHERE
    choices: tuple[str, ...] = ()
    """Of an input: the only texts that it may be, or have if it is a list; empty if any will do."""
    optional: bool = False
    """Of an input of a shipped graph: that it may be left out, and is then not there."""

    @property
    def shown(self) -> str:
        """What a caller gives, in a word: the type, or the choices."""
        listed = " | ".join(self.choices) or str(self.type)
        return f"list of {listed}" if self.choices and self.type is not None and self.type.item else listed


class RouteSpec(NamedTuple):
    """One way on from a node: its targets, taken together when `when` holds. Plain edges of a node are one such
    route."""

    targets: tuple[str, ...]
    when: str | None = None
    max_iterations: int | None = None
    place: Place = ()
    """Of the route's entry in the file; for plain edges, of the first."""
    target_marks: tuple[Mark, ...] = ()
    """Where each target is written, in the order of `targets`."""
    orders: tuple[int, ...] = ()
    """The position of each edge among all edges of the file: joins go by it."""


class Target(NamedTuple):
    """A setting of a node that a call may give anew, and where the file says so."""

    node: str
    setting: str
    place: Place = ()


class ExitSpec(NamedTuple):
    """All ways on from one node: either one route of plain edges, or a `routes` block."""

    source: str
    routes: tuple[RouteSpec, ...]
    plain: bool
    mark: Mark = NOWHERE
    """Of the `from` block, or of the node's first mention as a source."""


class NodeSpec(NamedTuple):
    """A node: its type (a registered name, or in Python a function, a Node class or a Node), settings and policies."""

    name: str
    type: str
    settings: Mapping[str, Any] = MappingProxyType({})
    policies: NodePolicies = NO_POLICIES
    implementation: Any = None
    """A function, Node class or Node given in Python instead of a type's name."""
    node: Node | None = None
    """The built node, once the checker has validated its settings."""
    mark: Mark = NOWHERE


@dataclass(slots=True)
class Spec:
    """A whole graph file. `marks` has the position of every key (or list item), `value_marks` that of every value."""

    file: str = "graph"
    text: str = ""
    folder: Path = field(default_factory=Path)
    name: str = "graph"
    description: str = ""
    version: str = ""
    inputs: dict[str, KeySpec] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    loose: frozenset[str] = frozenset()
    """Outputs of a shipped graph that may be absent."""
    state: dict[str, KeySpec] = field(default_factory=dict)
    resources: dict[tuple[str, str], ResourceSpec] = field(default_factory=dict)
    nodes: dict[str, NodeSpec] = field(default_factory=dict)
    exits: dict[str, ExitSpec] = field(default_factory=dict)
    defaults: NodePolicies = NO_POLICIES
    """Policies of every node that says nothing else and can take them."""
    deadline: float | None = 600.0
    budget: BudgetPolicy | None = None
    """What a run of this graph may use."""
    durability: Literal["sync", "async", "exit"] = "async"
    overrides: dict[str, tuple[Target, ...]] = field(default_factory=dict)
    """The settings that a call may give anew, by the name under which it gives them."""
    approval: tuple[Rule, ...] | None = None
    """What becomes of calls of tools; None if the graph does not say, and what a node lists may be called."""
    settings: dict[str, tuple[Target, ...]] = field(default_factory=dict)
    """Of a graph that is a node type: where its settings go, by name."""
    prices: str = ""
    """The file that says what models cost; empty if there is none."""
    marks: dict[Place, Mark] = field(default_factory=dict)
    value_marks: dict[Place, Mark] = field(default_factory=dict)

    def mark(self, *place: str | int) -> Mark:
        """Where this key stands, or the nearest thing around it."""
        while place and place not in self.marks:
            place = place[:-1]
        return self.marks.get(place, NOWHERE)

    def value_mark(self, *place: str | int) -> Mark:
        """Where this key's value stands, or the nearest thing around it."""
        while place and place not in self.value_marks:
            place = place[:-1]
        return self.value_marks.get(place, NOWHERE)
