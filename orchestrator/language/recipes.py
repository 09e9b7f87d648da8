"""`settings`: what a node type that is made of this graph may set, and where in the graph each of them goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragweave.orchestrator.language.keys import is_id
from ragweave.orchestrator.language.overrides import settings_of
from ragweave.orchestrator.language.report import Report, path
from ragweave.orchestrator.language.spec import ExitSpec, Place, Target

ARROW = "->"
_SUCH = "such as answer.model, or check -> search for the max_iterations of a way back"


def read_settings(report: Report, data: Any) -> None:
    """What `settings` says, into the spec; whether these places exist is looked at later."""
    if not isinstance(data, Mapping):
        report.wrong_kind(("settings",), "a map", data, "such as {model: answer.model}")
        return
    for name, value in data.items():
        place: Place = ("settings", str(name))
        if not is_id(name):
            rule = "a name is of a-z, 0-9 and _, and starts with a letter"
            report.key(place, "RW109", f"{path(place)}: {name!r} cannot be the name of a setting; {rule}")
        listed = isinstance(value, list) and bool(value)
        targets = []
        for index, text in enumerate(value if listed else [value]):
            where = (*place, index) if listed else place
            node, mark, rest = _parts(text)
            if not (node and rest):
                report.wrong_kind(where, "a place in the graph", text, _SUCH)
                continue
            targets.append(Target(node, f"{mark} {rest}" if mark == ARROW else rest, where))
        report.spec.settings[str(name)] = tuple(targets)


def way_back(exits: ExitSpec | None, target: Target) -> int | None:
    """The number of the route whose bound is meant; None if the target is no way back of this node."""
    to = (target.setting.removeprefix(ARROW).strip(),)
    routes = exits.routes if exits is not None else ()
    return next((at for at, one in enumerate(routes) if one.max_iterations is not None and one.targets == to), None)


def check_settings(report: Report) -> None:
    """Say which settings lead nowhere. Nodes that could not be built are not judged."""
    spec = report.spec
    for target in (target for targets in spec.settings.values() for target in targets):
        where, mark = path(target.place), spec.value_mark(*target.place)
        entry = spec.nodes.get(target.node)
        if entry is None:
            message = f"{where}: there is no node {target.node!r}"
            report.unknown(mark, "RW131", message, target.node, spec.nodes)
        elif target.setting.startswith(ARROW):
            if way_back(spec.exits.get(target.node), target) is None:
                report.at(mark, "RW131", f"{where}: no way with max_iterations leads there from {target.node!r}")
        elif entry.node is not None and target.setting not in settings_of(type(entry.node)):
            known = settings_of(type(entry.node))
            message = f"{where}: node {target.node!r} has no setting {target.setting!r}"
            report.unknown(mark, "RW131", message, target.setting, known)


def _parts(text: Any) -> tuple[str, str, str]:
    mark = ARROW if isinstance(text, str) and ARROW in text else "."
    node, found, rest = text.partition(mark) if isinstance(text, str) else ("", "", "")
    return node.strip(), found, rest.strip()
