"""One call with other settings: the plan of a graph in which some nodes are made anew, as the graph allows by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.checking.bound import BoundNode
from ragweave.orchestrator.errors import InputError, did_you_mean
from ragweave.orchestrator.language.environment import references
from ragweave.orchestrator.language.members import bind_node
from ragweave.orchestrator.language.report import Report
from ragweave.orchestrator.language.settings import Builder
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.running.plan import Plan, with_nodes

if TYPE_CHECKING:
    from ragweave.orchestrator.edition import Edition

KEPT = 64
"""Plans that are kept for later calls with equal overrides."""


def plan_with(edition: Edition, given: Any) -> Plan:
    """The plan of a call with these overrides, by name. Raises InputError for a name that the graph does not allow and
    a value that the setting does not take."""
    key = _key(given)
    plan = edition.varied.get(key)
    if plan is None:
        plan = _make(edition, given)
        while len(edition.varied) >= KEPT:
            edition.varied.pop(next(iter(edition.varied)), None)
        edition.varied[key] = plan
    return plan


def _key(given: Any) -> str:
    """Equal for equal overrides. Raises InputError for what is no JSON: it could not be journaled."""
    if not isinstance(given, Mapping):
        raise InputError(
            f"overrides are given as a dict by name, not as {given!r}", hint='write overrides={"top_k": 3}'
        )
    for name, value in given.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise InputError(f"override {name!r}: {value!r} is no JSON value") from None
    return json.dumps(given, sort_keys=True)


def _make(edition: Edition, given: Mapping[str, Any]) -> Plan:
    spec = edition.plan.spec
    anew: dict[str, dict[str, Any]] = {}
    names: dict[tuple[str, str], str] = {}
    for name, value in given.items():
        if name not in spec.overrides:
            hint = "" if spec.overrides else "name it in the graph, such as overrides: {top_k: rerank.top_k}"
            known = did_you_mean(str(name), spec.overrides) or " at all"
            raise InputError(f"{spec.name!r} allows no override {name!r}{known}", hint=hint)
        if next(references(value), None) is not None:
            raise InputError(f"override {name!r}: a call cannot refer to the environment", hint="give the value itself")
        for target in spec.overrides[name]:
            twice = names.setdefault((target.node, target.setting), name)
            if twice != name:
                raise InputError(f"overrides {twice!r} and {name!r} are both {target.node}.{target.setting}")
            anew.setdefault(target.node, {})[target.setting] = value
    return with_nodes(edition.plan, {node: _bound(edition, node, settings, names) for node, settings in anew.items()})


def _bound(edition: Edition, name: str, settings: Mapping[str, Any], names: Mapping[tuple[str, str], str]) -> BoundNode:
    """A node with other settings, checked as those of the file are."""
    spec, before = edition.plan.spec, edition.checked.nodes[name]
    builder = Builder(Report(spec), edition.resources)
    entry = spec.nodes[name]
    given = entry.implementation
    if isinstance(given, Node):
        inherited = {field: getattr(given, field) for field in given.model_fields_set}
        node = builder.build(type(given), settings, ("nodes", name), inherited=inherited)
    else:
        entry = entry._replace(settings={**entry.settings, **settings})
        node = builder.node(entry)[1]
    bound = None if node is None else bind_node(builder, entry, node)
    mine = ", ".join(repr(names[name, setting]) for setting in settings)
    which = f"override{'s' if len(settings) > 1 else ''} {mine}"
    problems = [one.message for one in builder.report.problems if one.severity == "error"]
    if bound is None or problems:
        said = problems[0] if problems else "it cannot be used"
        for setting in settings:
            at = f"nodes.{name}.{setting}: "
            if said.startswith(at):
                which, said = f"override {names[name, setting]!r}", said.removeprefix(at)
        raise InputError(f"{which}: {said.removeprefix(f'nodes.{name}: ')}")
    if _keys(bound) != _keys(before):
        raise InputError(f"{which}: with this the node {name!r} would read or write other keys of the state")
    return bound


def _keys(bound: BoundNode) -> tuple[Any, ...]:
    return bound.required, bound.optional, bound.certain, dict(bound.written)
