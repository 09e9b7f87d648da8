"""`overrides`: the settings of nodes that a call may give anew, each under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragweave.orchestrator.errors import did_you_mean
from ragweave.orchestrator.language.keys import is_id
from ragweave.orchestrator.language.references import secret_fields
from ragweave.orchestrator.language.report import Report, path
from ragweave.orchestrator.language.spec import Place, Target
from ragweave.orchestrator.node import POLICIES, Node


def read_overrides(report: Report, data: Any) -> None:
    """What `overrides` says, into the spec; whether these nodes and settings exist is looked at later."""
    if data is None:
        return
    if not isinstance(data, Mapping):
        report.wrong_kind(("overrides",), "a map", data, "such as {top_k: rerank.top_k}")
        return
    for name, value in data.items():
        place: Place = ("overrides", str(name))
        if not is_id(name):
            rule = "a name is of a-z, 0-9 and _, and starts with a letter"
            report.key(place, "RW109", f"{path(place)}: {name!r} cannot be the name of an override; {rule}")
        listed = isinstance(value, list)
        targets = []
        for index, text in enumerate(value if listed else [value]):
            where = (*place, index) if listed else place
            node, dot, setting = text.partition(".") if isinstance(text, str) else ("", "", "")
            if not (node and dot and setting):
                report.wrong_kind(where, "a node and one of its settings", text, "such as rerank.top_k")
                continue
            targets.append(Target(node.strip(), setting.strip(), where))
        if listed and not value:
            report.wrong_kind(place, "a node and one of its settings", value, "such as rerank.top_k")
        report.spec.overrides[str(name)] = tuple(targets)


def check_overrides(report: Report) -> None:
    """Say which overrides lead to no setting. Nodes that could not be built are not judged."""
    spec = report.spec
    for target in (target for targets in spec.overrides.values() for target in targets):
        where, mark = path(target.place), spec.value_mark(*target.place)
        entry = spec.nodes.get(target.node)
        if entry is None:
            message = f"{where}: there is no node {target.node!r}"
            report.unknown(mark, "RW131", message, target.node, spec.nodes)
        elif entry.node is not None:
            fault, candidates = _fault(entry.node, target)
            if candidates:
                mark = report.within(mark, f"{target.node}.{target.setting}", len(target.node) + 1)
                report.unknown(mark, "RW131", f"{where}: {fault}", target.setting, candidates)
            elif fault:
                report.at(mark, "RW131", f"{where}: {fault}")


def _fault(node: Node, target: Target) -> tuple[str, list[str]]:
    """Why a setting cannot be overridden, and which could have been meant; nothing if it can."""
    settings = settings_of(type(node))
    if target.setting in settings:
        if target.setting in secret_fields(type(node)):
            return f"{target.setting!r} is a secret; overrides are journaled, so it cannot be one", []
        if node.nested:
            return f"{target.node!r} runs a graph; which one, and how, cannot be chosen anew for a call", []
        return "", []
    if target.setting in POLICIES:
        return f"{target.setting!r} is a policy; overrides are settings{did_you_mean('', settings)}", []
    if not settings:
        return f"node {target.node!r} has no settings", []
    return f"node {target.node!r} has no setting {target.setting!r}", settings


def settings_of(kind: type[Node]) -> list[str]:
    """The settings of a node type, as they are written."""
    return [info.alias or name for name, info in kind.model_fields.items()]
