"""What a node can do through its resources, as far as that is declared: no server is asked, nothing is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ragweave.orchestrator.approvals import Rule
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.state import ORIGINS

PRIVATE = 1 << len(ORIGINS)
"""Beside the origins: that a value may be made of data which not everybody may see."""
_UNKNOWN = "\uffff"
"""Stands for the tools of a server that no rule names."""


class Offer(NamedTuple):
    """A tool that a node may call."""

    resource: str
    name: str
    effects: str
    parameters: Mapping[str, Any] | None = None
    """None where only the server knows them."""
    leaves: bool = False
    """True if what it is given goes to others."""
    read_only: tuple[str, ...] = ()
    """Of a server whose tools are not known, those that change nothing."""

    @property
    def changes(self) -> bool:
        """True if a call changes something."""
        return self.effects in ("write", "external")

    @property
    def shown(self) -> str:
        """Its name for people."""
        return self.name.replace(_UNKNOWN, "*")

    @property
    def asked(self) -> str:
        """Its name as a rule has it."""
        return f'"{self.shown}"' if "*" in self.shown else self.shown

    def escapes(self, rules: Sequence[Rule] | None, made_from: Sequence[str]) -> bool:
        """True if a call that was made from untrusted text would have to be refused at the last moment: it is allowed
        by no rule but those that leave an argument open, and no person is asked."""
        if rules is None:
            return bool(Rule("allow", (self.name,)).loose(self.parameters))
        return any(_escapes(rules, name, self.parameters, made_from) for name in self._names(rules))

    def always_asked(self, rules: Sequence[Rule] | None) -> bool:
        """True if no call of it is made without a person."""
        fitting = [rule for rule in rules or () if rule.is_for(self.name)]
        return rules is not None and not any(rule.action == "allow" for rule in fitting)

    def _names(self, rules: Sequence[Rule]) -> list[str]:
        if not self.name.endswith(_UNKNOWN):
            return [self.name]
        named = {tool for rule in rules for tool in rule.tools if tool.startswith(f"{self.resource}_")}
        own = {tool for tool in named if "*" not in tool and not self._reads(tool)}
        return [self.name, *sorted(own)]

    def _reads(self, tool: str) -> bool:
        return any(fnmatchcase(tool.removeprefix(f"{self.resource}_"), one) for one in self.read_only)


def _escapes(rules: Sequence[Rule], name: str, parameters: Mapping[str, Any] | None, made_from: Sequence[str]) -> bool:
    loose = False
    for rule in rules:
        if not rule.is_for(name):
            continue
        if rule.action == "allow" and set(made_from) - set(rule.accepts) and rule.loose(parameters):
            loose = True
        elif rule.always:
            return loose and rule.action == "deny"
    return loose


class Reachable(NamedTuple):
    """What a node can do."""

    offers: tuple[Offer, ...] = ()
    private: bool = False
    """True if it may bring data that not everybody may see."""


def reachable(node: Any, resources: Resources) -> Reachable:
    """What a node can do through the tools or the retriever that its settings name."""
    if not node.calls_tools:
        return Reachable((), _guarded(getattr(node, "retriever", ""), resources))
    offers: list[Offer] = []
    private = False
    for name in getattr(node, "tools", ()):
        tool = resources.built("tools", name) or resources.as_declared("tools", name)
        offers += _offers(name, tool)
        private = private or getattr(tool, "private", False) or _guarded(getattr(tool, "retriever", ""), resources)
    return Reachable(tuple(offers), private)


def _offers(name: str, tool: Any) -> list[Offer]:
    leaves = getattr(tool, "leaves", False)
    specs = tool.specs() if hasattr(tool, "specs") else ()
    if specs:
        return [
            Offer(name, f"{name}_{one.name}" if one.name else name, one.effects, one.parameters,
                  leaves or one.effects == "external")
            for one in specs
        ]  # fmt: skip
    read_only = tuple(getattr(tool, "read_only", ()))
    listed = getattr(tool, "allow", None) or getattr(tool, "operations", None) or ["*"]
    reads = all(one in read_only or "*" in read_only for one in listed)
    return [Offer(name, f"{name}_{_UNKNOWN}", "read" if reads else "external", None, True, read_only)]


def _guarded(name: Any, resources: Resources) -> bool:
    """True if this is a retriever that shows passages only to those whom they are for."""
    if not isinstance(name, str) or not name:
        return False
    retriever = resources.built("retrievers", name) or resources.as_declared("retrievers", name)
    return getattr(retriever, "access", None) is not None
