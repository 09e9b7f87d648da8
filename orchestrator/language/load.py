"""A graph as it is written, in YAML or in Python, becomes a `Spec`, with every fault of the language at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragweave.orchestrator.errors import Problem
from ragweave.orchestrator.interop import adopted, kind_of
from ragweave.orchestrator.language.edges import edges_are_sound, read_edges, shape_of
from ragweave.orchestrator.language.given import implementation, type_name
from ragweave.orchestrator.language.keys import is_id, read_inputs, read_outputs, read_state
from ragweave.orchestrator.language.policies import NO_POLICIES, NodePolicies, seconds
from ragweave.orchestrator.language.policytext import read_budget, read_policies
from ragweave.orchestrator.language.report import Report, path, shown, surely
from ragweave.orchestrator.language.spec import NodeSpec, Place, Spec
from ragweave.orchestrator.language.yamltext import read
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.node import RESERVED

__all__ = ["GRAPH_KEYS", "SCHEMA", "SECTIONS", "edges_are_sound", "load_data", "load_text", "shape_of"]

SCHEMA = "ragweave/v1"
SECTIONS = ("models", "embedders", "retrievers", "rerankers", "tools", "memories", "checks", "prompts")
GRAPH_KEYS = (
    "schema", "name", "version", "description", "inputs", "outputs", "state", "defaults", *SECTIONS,
    "prices", "overrides", "settings", "approval", "budget", "limits", "store", "durability", "nodes", "edges",
)  # fmt: skip
STORE = "store"
"""The name of the one resource that the key `store` declares."""
DURABILITY = ("async", "sync", "exit")


def load_text(text: str | bytes, *, file: str = "graph", folder: Path | None = None) -> tuple[Spec, list[Problem]]:
    """The graph that a YAML text declares, and all problems of its language, in the order of the file.

    Nothing is raised. Where there are errors, the Spec holds what could be read; names that were surely misspelt count
    as what was meant, so that no second problem follows from the first. `folder` is where relative paths start.
    """
    reading = read(text, file)
    spec = Spec(file, reading.text, folder or Path(), marks=reading.marks, value_marks=reading.value_marks)
    stem = Path(file).stem
    spec.name = stem if is_id(stem) else spec.name
    report = Report(spec, reading.problems)
    if reading.readable:
        _graph(report, reading.data, from_file=True)
    return spec, report.sorted()


def load_data(data: Mapping[str, Any], *, folder: Path | None = None) -> tuple[Spec, list[Problem]]:
    """The same for a graph built in Python, of dicts and lists.

    A node may also be a function, a Node class or a Node; or its `type` may be one of these. Problems have no position.
    """
    spec = Spec(folder=folder or Path())
    report = Report(spec)
    _graph(report, data, from_file=False)
    return spec, report.sorted()


def _graph(report: Report, data: Any, *, from_file: bool) -> None:
    if not isinstance(data, Mapping):
        report.wrong_kind((), "the keys of a graph (inputs, nodes, edges, …)", data, code="RW113")
        return
    data = _known_keys(report, data)
    _schema(report, data, required=from_file)
    _about(report, data)
    _prices(report, data)
    read_inputs(report, data.get("inputs"))
    read_outputs(report, data.get("outputs"))
    read_state(report, data.get("state"))
    _limits(report, data)
    if "budget" in data:
        report.spec.budget = read_budget(report, data["budget"])
    if "defaults" in data:
        report.spec.defaults = _defaults(report, data["defaults"])
    for section in SECTIONS:
        _resources(report, section, data.get(section))
    if "store" in data:
        _resource(report, "stores", STORE, data["store"], ("store",))
    known = _nodes(report, data)
    if "approval" in data:
        from ragweave.orchestrator.language.approvals import read_approval  # for graphs with a policy

        read_approval(report, data["approval"])
    if "overrides" in data:
        from ragweave.orchestrator.language.overrides import read_overrides  # for graphs that allow any

        read_overrides(report, data["overrides"])
    if "settings" in data:
        from ragweave.orchestrator.language.recipes import read_settings  # for graphs that are node types

        read_settings(report, data["settings"])
    if "edges" not in data:
        report.value((), "RW113", "'edges' is missing: the way from start to end, such as '- start -> answer -> end'")
    elif known:
        read_edges(report, data["edges"])


def _known_keys(report: Report, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data without unknown keys; those that were surely misspelt count as what was meant."""
    return report.known_keys((), data, GRAPH_KEYS)


def _schema(report: Report, data: Mapping[str, Any], *, required: bool) -> None:
    value = data.get("schema")
    if "schema" not in data:
        if required:
            first = report.spec.mark(str(next(iter(data)))) if data else report.spec.value_mark()
            message = f"'schema' is missing; the file starts with schema: {SCHEMA}"
            report.at(first, "RW108", message, old="", new=f"schema: {SCHEMA}\n")
    elif value != SCHEMA:
        message = f"schema: expected {SCHEMA}, found {shown(value)}"
        report.at(report.spec.value_mark("schema"), "RW108", message, old=str(value), new=SCHEMA)


def _about(report: Report, data: Mapping[str, Any]) -> None:
    spec = report.spec
    for key in ("name", "description", "version"):
        value = data.get(key)
        if key not in data:
            continue
        if not isinstance(value, str):
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            report.wrong_kind((key,), "text", value, "quote it" if number else "")
        elif key == "name" and (not value.strip() or "\n" in value):
            report.wrong_kind((key,), "a name on one line", value)
        else:
            setattr(spec, key, value)


def _prices(report: Report, data: Mapping[str, Any]) -> None:
    """The price file is read now: what is wrong with it is known before anything runs."""
    if "prices" not in data:
        return
    value = data["prices"]
    if not isinstance(value, str) or not value.strip():
        report.wrong_kind(("prices",), "the path of a price file", value)
        return
    from ragweave.orchestrator.models.prices import load_prices  # for graphs that have prices

    report.spec.prices = value
    for fault in load_prices(report.spec.folder / value, value)[1]:
        report.value(("prices",), "RW311", f"prices: {fault}")


def _limits(report: Report, data: Mapping[str, Any]) -> None:
    limits = data.get("limits", {})
    if not isinstance(limits, Mapping):
        report.wrong_kind(("limits",), "a map", limits, "such as {deadline: 10m}")
        limits = {}
    limits = report.known_keys(("limits",), limits, ("deadline",))
    if "deadline" in limits:
        _deadline(report, limits["deadline"])
    durability = data.get("durability", report.spec.durability)
    if durability in DURABILITY:
        report.spec.durability = durability
    else:
        message = f"durability: {shown(durability)} is unknown"
        report.unknown(report.spec.value_mark("durability"), "RW105", message, str(durability), DURABILITY)


def _deadline(report: Report, value: Any) -> None:
    try:
        deadline = seconds(value)
    except ValueError:
        deadline = 0
    if value is None:
        report.spec.deadline = None
    elif isinstance(deadline, (int, float)) and not isinstance(deadline, bool) and deadline > 0:
        report.spec.deadline = float(deadline)
    else:
        report.wrong_kind(("limits", "deadline"), "a time such as 10m or 90s", value)


def _defaults(report: Report, data: Any) -> NodePolicies:
    place: Place = ("defaults",)
    allowed = ("retry", "timeout", "cache")
    if not isinstance(data, Mapping):
        report.wrong_kind(place, "a map of policies", data, "such as {retry: 2, timeout: 30s}")
        return NO_POLICIES
    taken = {}
    for key, value in data.items():
        if key in allowed:
            taken[key] = value
        elif key in RESERVED:
            where = "on a node or the graph" if key == "budget" else "on a node"
            reason = f"belongs {where}; defaults are retry, timeout and cache"
            report.key((*place, key), "RW125", f"defaults: {key!r} {reason}")
        else:
            message = f"defaults: unknown setting {key!r}"
            report.unknown_key((*place, key), "RW103", message, allowed)
    return read_policies(report, taken, place)


def _resources(report: Report, section: str, data: Any) -> None:
    if data is None:
        return
    if not isinstance(data, Mapping):
        report.wrong_kind((section,), "a map of names", data, "such as NAME: {type: …}")
        return
    for name, entry in data.items():
        place = (section, str(name))
        if not is_id(name):
            _not_an_id(report, place, str(name))
        if section == "prompts" and isinstance(entry, str):
            entry = {"type": "template", "file": entry}
        _resource(report, section, str(name), entry, place)


def _resource(report: Report, section: str, name: str, entry: Any, place: Place) -> None:
    """Read one resource, which stands at `place`."""
    declared, folder = report.spec.resources, report.spec.folder
    entry = adopted(section, entry)
    own = getattr(entry, "kind", None) or kind_of(entry)
    if own in (*SECTIONS, "stores") and own != section:
        wanted = f"one of the {section}"
        report.wrong_kind(place, wanted, entry, f"{type_name(entry)} is one of the {own}")
    elif own == section:  # a Resource that was made in Python
        declared[section, name] = ResourceSpec(section, name, type_name(entry), folder=folder, implementation=entry)
    elif not isinstance(entry, Mapping):
        hint = f"write {{type: {entry}}}" if isinstance(entry, str) else "such as {type: …}"
        report.wrong_kind(place, "a map", entry, hint)
        # The name stands, so that nodes which use it are not blamed too.
        declared[section, name] = ResourceSpec(section, name, "", folder=folder)
    else:
        kind: Any = entry.get("type")
        settings = {str(key): value for key, value in entry.items() if key != "type"}
        if "type" not in entry and section == "prompts":
            kind = "template"
        given = None
        if getattr(kind, "kind", None) == section:
            kind, given = type_name(kind), kind
        elif not isinstance(kind, str):
            _no_type(report, place, entry)
            kind = ""
        declared[section, name] = ResourceSpec(section, name, kind, settings, folder, given)


def _nodes(report: Report, data: Mapping[str, Any]) -> bool:
    """Read `nodes`; False if the names of the nodes cannot be known."""
    nodes = data.get("nodes")
    if "nodes" not in data:
        report.value((), "RW113", "'nodes' is missing: the steps of the graph, by name")
        return False
    if not isinstance(nodes, Mapping):
        report.wrong_kind(
            ("nodes",), "a map of names", nodes, "such as answer: {type: generator, model: chat}", "RW113"
        )
        return False
    for name, entry in nodes.items():
        place = ("nodes", str(name))
        if name in ("start", "end"):
            report.key(place, "RW109", f"{path(place)}: {name!r} is a mark of every graph; give the node another name")
        elif not is_id(name):
            _not_an_id(report, place, str(name))
        report.spec.nodes[str(name)] = _node(report, str(name), entry)
    return True


def _node(report: Report, name: str, entry: Any) -> NodeSpec:
    place: Place = ("nodes", name)
    mark = report.spec.mark(*place)
    given = implementation(entry)
    if given is not None:
        return NodeSpec(name, type_name(given), implementation=given, mark=mark)
    if not isinstance(entry, Mapping):
        hint = f"write {{type: {entry}}}" if isinstance(entry, str) else "such as {type: generator, model: chat}"
        report.wrong_kind(place, "a map with a type", entry, hint)
        return NodeSpec(name, "", mark=mark)
    kind = entry.get("type")
    given = implementation(kind)
    if given is not None:
        kind = type_name(given)
    elif not isinstance(kind, str):
        _no_type(report, place, entry)
        kind = ""
    settings, policies = {}, {}
    for key, value in entry.items():
        if key == "type":
            continue
        if key in NodePolicies.model_fields:
            policies[key] = value
        elif key in RESERVED:
            report.key((*place, key), "RW112", f"{path(place)}: {key!r} is not available in this version; delete it")
        else:
            settings[str(key)] = value
    read = read_policies(report, policies, place) if policies else NO_POLICIES
    return NodeSpec(name, kind, settings, read, given, mark=mark)


def _no_type(report: Report, place: Place, entry: Mapping[str, Any]) -> None:
    if "type" in entry:
        report.wrong_kind((*place, "type"), "the name of a type", entry["type"])
        return
    meant = next((key for key in entry if surely(str(key), ["type"])), None)
    message = f"{path(place)}: 'type' is missing"
    if meant is None:
        report.key(place, "RW122", message)
    else:
        at = report.spec.mark(*place, meant)
        report.at(at, "RW122", f"{message}; did you mean 'type' with {meant!r}?", old=meant, new="type")


def _not_an_id(report: Report, place: Place, name: str) -> None:
    better = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")
    hint = f", such as {better!r}" if name.isascii() and is_id(better) else ""
    report.key(place, "RW109", f"{path(place)}: a name is of a-z, 0-9 and _, and starts with a letter{hint}")
