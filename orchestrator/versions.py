"""Versions of a graph: what a run keeps of the graph with which it was begun, and how that is read again.

The *hash* names a version: equal hashes mean equal files and equal code. The *bundle* is one JSON text with

    entry     the name of the graph file
    files     the texts of every file that decides what the graph is, by path from the graph's folder: the graph file,
              graph files inside it, prompts, files with labels or examples, price files; those that come with a node
              type as `type:path`
    code      by type, the class that a plugin gives for it and a print of its code
    outline   the nodes and resources by name, each with a print of its settings, and where the ways on from them lead

Not kept: the `.env` file and environment variables; indexes, models, memories, folders of documents, and whatever else
runs read; the code of plugins; and the files of a graph in which a secret stands (`held` names it). A graph that was
built in Python has no files, and goes on as the program builds it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ragweave.orchestrator import registry, sources
from ragweave.orchestrator.errors import JournalError, RagweaveError
from ragweave.orchestrator.running.codeprint import code_print, digest, is_foreign

if TYPE_CHECKING:
    from ragweave.orchestrator.approvals import Rule
    from ragweave.orchestrator.checking.bound import Member
    from ragweave.orchestrator.edition import Edition
    from ragweave.orchestrator.graphfile import Plugins
    from ragweave.orchestrator.node import Node

FORMAT = 1
SECRET = "RW303"
"""The problem that says that a secret stands in a file."""
_SHORT = 16
_MOST = 8
"""Differences that a message names."""


class Version(NamedTuple):
    """What a run keeps of its graph."""

    hash: str
    bundle: str


def version_of(edition: Edition) -> Version:
    """The version of an edition; made at the first call, from the files as they were when it was read."""
    if edition.version is None:
        edition.version = _version(edition)
    return edition.version


def _version(edition: Edition) -> Version:
    files, code, outline = _texts(edition), _code(edition), outline_of(edition)
    held = next((problem.file for one in editions(edition) for problem in one.problems if problem.code == SECRET), "")
    entry = edition.source[0].name if edition.source is not None else ""
    made_of: Any = [entry, files] if files else [_described(edition), outline]
    bundle = {
        "format": FORMAT,
        "entry": entry,
        "files": {} if held else files,
        "code": code,
        "outline": outline,
    }
    if held:
        bundle["held"] = held
    return Version(digest([made_of, code]), json.dumps(bundle, ensure_ascii=True, separators=(",", ":")))


def _texts(edition: Edition) -> dict[str, str]:
    """The files, by path from the graph's folder; bytes that are no UTF-8 come back as they were."""
    if edition.source is None:
        return {}
    folder = edition.source[0].resolve().parent
    homes: dict[Path, str] = {}  # wherever these are installed
    for one in editions(edition):
        for member in _members(one):
            home = getattr(member.node, "home", None) if member.node.nested else None
            if home is not None:
                homes[home] = member.node.type_name
    return {_path(file, folder, homes): data.decode("utf-8", "surrogateescape") for file, data in edition.files.items()}


def _path(file: Path, folder: Path, homes: Mapping[Path, str]) -> str:
    for home, kind in homes.items():
        if file.is_relative_to(home) and not file.is_relative_to(folder):
            return f"{kind}:{file.relative_to(home).as_posix()}"
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # it lies on another drive
        return file.as_posix()


def editions(edition: Edition) -> Iterator[Edition]:
    """This one and those of the graphs inside it."""
    yield edition
    for _, _, inner in _inner(edition):
        yield from editions(inner)


def _inner(edition: Edition) -> Iterator[tuple[str, int, Edition]]:
    for name, bound in edition.checked.nodes.items():
        for at, member in enumerate(bound.members):
            graph = getattr(member.node, "_graph", None) if member.node.nested else None
            if graph is not None:
                yield name, at, graph._edition


def _code(edition: Edition) -> dict[str, list[str]]:
    """By kind and type, the class and its print, of all that neither ragweave nor a file gives."""
    found: dict[str, list[str]] = {}
    for one in editions(edition):
        things: list[tuple[str, str, Any]] = [
            ("nodes", member.node.type_name, type(member.node)) for member in _members(one)
        ]
        spec = one.plan.spec
        things += [
            (kind, declared.type, declared.implementation or registry.find(kind, declared.type))
            for (kind, _), declared in spec.resources.items()
        ]
        merges = [key.merge for key in spec.state.values()]
        merges += [bound.policies.map.merge for bound in one.checked.nodes.values() if bound.policies.map is not None]
        things += [("merges", name, registry.find("merges", name)) for name in merges if name]
        for kind, name, thing in things:
            if thing is None:
                continue
            made = thing if hasattr(thing, "__qualname__") else type(thing)
            if is_foreign(made):
                address = f"{made.__module__}:{made.__qualname__}"
                found[f"{kind}.{name or address}"] = [address, code_print(made)[:_SHORT]]
    return dict(sorted(found.items()))


def _members(edition: Edition) -> Iterator[Member]:
    for bound in edition.checked.nodes.values():
        yield from bound.members


def _described(edition: Edition) -> Any:
    """What a graph that has no files says of itself, apart from its nodes, resources and ways."""
    spec = edition.plan.spec
    keys = {
        part: {
            name: [str(key.type), key.default, key.has_default, key.merge, key.accumulate, key.choices]
            for name, key in all_.items()
        }
        for part, all_ in (("inputs", spec.inputs), ("state", spec.state))
    }
    overrides = {name: [(one.node, one.setting) for one in targets] for name, targets in spec.overrides.items()}
    said = [spec.name, spec.text, keys, spec.outputs, overrides, spec.deadline, spec.durability, spec.prices]
    if spec.approval is None:
        return said
    return [*said, [_rule(one) for one in spec.approval]]


def _rule(rule: Rule) -> list[object]:
    said: list[object] = [rule.action, rule.tools, rule.condition.text if rule.condition else ""]
    return [*said, rule.named, rule.accepts] if rule.named or rule.accepts else said


# --- outlines ---


def outline_of(edition: Edition) -> dict[str, Any]:
    """The parts of a graph by name, each with a print of what it says, and where its ways lead, by node and route."""
    plan, checked = edition.plan, edition.checked
    names = plan.shape.names
    resources = plan.spec.resources
    return {
        "nodes": {
            name: [bound.members[0].node.type_name, _node(bound.members)] for name, bound in checked.nodes.items()
        },
        "resources": {
            f"{kind}.{name}": digest([declared.type, declared.settings])[:_SHORT]
            for (kind, name), declared in resources.items()
        },
        "ways": {
            name: [[names[plan.shape.edges[edge].target] for edge in route.edges] for route in plan.shape.routes[at]]
            for at, name in enumerate(names)
        },
        "when": {
            name: digest([[route.when, route.bound, route.error] for route in plan.shape.routes[at]])[:_SHORT]
            for at, name in enumerate(names)
        },
        "inner": {f"{name}/{at}": outline_of(inner) for name, at, inner in _inner(edition)},
    }


def _node(members: Sequence[Member]) -> str:
    said = []
    for member in members:
        node: Node = member.node
        code = code_print(type(node)) if is_foreign(type(node)) else ""
        policies = {name: getattr(member.policies, name) for name in type(member.policies).model_fields}
        said.append([node.type_name, code, node, policies])
    return digest(said)[:_SHORT]


def differences(old: Mapping[str, Any], new: Mapping[str, Any], place: str = "") -> list[str]:
    """What differs between two outlines, each difference as a few words that name the part."""
    found: list[str] = []
    for kind in ("nodes", "resources"):
        shown = "node" if kind == "nodes" else "resource"
        before, now = _table(old, kind), _table(new, kind)
        found += [f"{shown} {place + name!r} is new" for name in now if name not in before]
        found += [f"{shown} {place + name!r} is gone" for name in before if name not in now]
        found += [
            f"{shown} {place + name!r} has changed" for name in now if name in before and now[name] != before[name]
        ]
    for name, ways in _table(new, "ways").items():
        before_ways = _table(old, "ways").get(name)
        if before_ways is not None and (
            before_ways != ways or _table(old, "when").get(name) != _table(new, "when").get(name)
        ):
            found.append(f"the ways on from {place + name!r} have changed")
    for name, outline in _table(new, "inner").items():
        if name in _table(old, "inner"):
            found += differences(_table(old, "inner")[name], outline, f"{place}{name.partition('/')[0]}/")
    return found


def _table(outline: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    found = outline.get(part)
    return found if isinstance(found, Mapping) else {}


def between(bundle: Mapping[str, Any], edition: Edition) -> str:
    """What differs between the version of a bundle and an edition, as one sentence; empty if nothing is known."""
    outline = bundle.get("outline")
    if not isinstance(outline, Mapping):
        return ""
    found = differences(outline, outline_of(edition))
    if not found:
        mine = _texts(edition)
        found = [f"{name!r} has changed" for name, text in _table(bundle, "files").items() if mine.get(name) != text]
    more = f", and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"since then, {', '.join(found[:_MOST])}{more}" if found else ""


# --- reading a version again ---


def opened(bundle: str) -> dict[str, Any]:
    """A bundle as data; empty for one that is none."""
    try:
        data = json.loads(bundle) if bundle else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) and data.get("format") == FORMAT else {}


def files_of(bundle: str, folder: Path) -> sources.Files:
    """The files of a bundle, as they stand in for those of a folder."""
    texts = _table(opened(bundle), "files")
    return {_place(name, folder): str(text).encode("utf-8", "surrogateescape") for name, text in texts.items()}


def _place(name: str, folder: Path) -> Path:
    """Where a file of a bundle would be here."""
    kind, colon, path = name.partition(":")
    home = getattr(registry.find("nodes", kind), "home", None) if colon and kind in registry.names("nodes") else None
    return (folder / name if home is None else home / path).resolve()


def edition_of(bundle: str, folder: Path, plugins: Plugins = (), *, exact: bool = True) -> Edition:
    """The edition of a bundle, its files in the place of those in the graph's folder. Raises JournalError that says why
    it cannot be had, GraphError, PluginError.

    Code comes from `plugins` alone: what a store says is never imported. Unless the edition is to be `exact`, code may
    be other than it was: enough for a run that is only looked at.
    """
    from ragweave.orchestrator.edition import Edition

    data = opened(bundle)
    texts, entry = _table(data, "files"), data.get("entry")
    if not texts or not isinstance(entry, str) or entry not in texts:
        raise JournalError(_why_not(data))
    with sources.as_were(files_of(bundle, folder)):
        edition = Edition.read(folder / entry, plugins)
        edition.version = _version(edition)
    then, now = _table(data, "code"), _code(edition)
    changed = [
        f"{name!r} ({now.get(name, then.get(name, ['?']))[0]})"
        for name in {**then, **now}
        if then.get(name) != now.get(name)
    ]
    if changed and exact:
        raise JournalError(f"the code of {', '.join(changed)} has changed, and code is not kept with runs")
    return edition


def _why_not(data: Mapping[str, Any]) -> str:
    if data.get("held"):
        return f"a secret stands in {data['held']!r}, so that its files were not kept"
    if data and not data.get("entry"):
        return "it was built in Python, which is not kept with runs"
    return "its files were not kept"


def reason(error: RagweaveError) -> str:
    """Why a version cannot be read, in one line."""
    from ragweave.orchestrator.errors import GraphError

    if isinstance(error, GraphError):
        wrong = [problem for problem in error.problems if problem.severity == "error"]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return f"{wrong[0]}{more}" if wrong else str(error)
    return error.message
