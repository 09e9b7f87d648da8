"""A checked graph: what the checker hands to the plan. Names are resolved, nodes are built, types are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ragweave.orchestrator.checking.shape import Shape
from ragweave.orchestrator.checking.structure import Structure
from ragweave.orchestrator.errors import Problem
from ragweave.orchestrator.language.policies import NodePolicies
from ragweave.orchestrator.language.spec import Spec
from ragweave.orchestrator.node import Node, Signature
from ragweave.orchestrator.types import Type, list_of

if TYPE_CHECKING:
    from ragweave.orchestrator.checking.condition import Condition


class Member(NamedTuple):
    """One thing that a node may call: the node itself, one of its fallbacks, or one of its race."""

    node: Node
    signature: Signature
    policies: NodePolicies
    """Its own: a fallback inherits what it does not give, except fallback, race and map."""
    reads: Mapping[str, str] = MappingProxyType({})
    """Parameter to state key, without the parameter that `map` fills."""
    writes: Mapping[str, str] = MappingProxyType({})
    """Name in what the call returns to state key."""


class BoundNode(NamedTuple):
    """A node of a checked graph. `members[0]` is the node itself, then its fallbacks or its race."""

    name: str
    members: tuple[Member, ...]
    racing: bool = False
    required: frozenset[str] = frozenset()
    """State keys without which it cannot be called; with `map`, the key that it maps over is one."""
    optional: frozenset[str] = frozenset()
    """State keys that it reads if they are there."""
    certain: frozenset[str] = frozenset()
    """State keys that every successful call writes."""
    written: Mapping[str, Type] = MappingProxyType({})
    """Every state key that it may write, with the type that state then has (with `map`, the list or its merge)."""
    values: Mapping[str, frozenset[str]] = MappingProxyType({})
    """Of those keys, the ones that can only be certain texts, or lists of certain texts."""
    unless: Mapping[str, str] = MappingProxyType({})
    """Of the keys that are not certain, those that it writes wherever a list is empty that it writes: that list."""

    @property
    def read(self) -> dict[str, Type]:
        """The state keys that a call gets, with the types that it takes."""
        rule = self.policies.map
        found = {} if rule is None else {rule.over: list_of(self.members[0].signature.reads[rule.as_].type)}
        for member in self.members:
            for parameter, key in member.reads.items():
                found.setdefault(key, member.signature.reads[parameter].type)
        return found

    @property
    def policies(self) -> NodePolicies:
        """The policies of the node itself."""
        return self.members[0].policies


@dataclass(slots=True)
class Checked:
    """The outcome of a check. Only if no problem is an error may it be planned."""

    spec: Spec
    shape: Shape | None = None
    structure: Structure | None = None
    nodes: dict[str, BoundNode] = field(default_factory=dict)
    keys: dict[str, Type] = field(default_factory=dict)
    """Every state key with its type; an `accumulate` key has the type of its list."""
    values: dict[str, frozenset[str]] = field(default_factory=dict)
    """State keys that can only be certain texts, or lists of certain texts, whoever writes them."""
    conditions: dict[tuple[int, int], Condition] = field(default_factory=dict)
    """Compiled `when`s by node number and route index."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if nothing but warnings was found."""
        return all(problem.severity != "error" for problem in self.problems)
