"""Graph files as the commands find and open them, with the plugins that belong to them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from fnmatch import fnmatchcase as fnmatch
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragweave.orchestrator.checking.bound import Checked
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.stores import Store

_MARK = b"schema: ragweave/"
_SUFFIXES = (".yaml", ".yml")
_FOREIGN = ("node_modules", "__pycache__", "site-packages", "build", "dist")
"""Folders that hold what tools wrote or installed."""
_KEYS = ("plugins", "exclude")
"""Of [tool.ragweave] in pyproject.toml."""
_named: dict[str, None] = {}
"""What `--plugin` named in this process, which is one command."""


def graph_files(paths: Sequence[Path]) -> list[Path]:
    """The files among the paths, and the graph files below the folders. Raises RagweaveError if a folder has none.

    Left out below a folder: hidden folders, virtual environments, folders of tools, and what the pyproject.toml beside
    or above it excludes.
    """
    from ragweave.orchestrator.errors import RagweaveError

    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        home, patterns = _excluded(path)
        found = [file for file in _walk(path, home, patterns) if _is_graph(file)]
        if not found:
            but = f"; {str(home / 'pyproject.toml')!r} excludes {', '.join(patterns)}" if patterns else ""
            raise RagweaveError(
                f"there is no graph file in {str(path)!r}{but}",
                hint="one is a .yaml file that has `schema: ragweave/v1`",
            )
        files += found
    return list(dict.fromkeys(files))


def _walk(folder: Path, home: Path, patterns: Sequence[str]) -> list[Path]:
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name in _FOREIGN:
            continue
        if patterns and any(
            fnmatch((entry.parent.resolve() / entry.name).relative_to(home).as_posix(), pattern) for pattern in patterns
        ):
            continue
        if entry.is_dir() and not entry.is_symlink():
            if not os.path.isfile(entry / "pyvenv.cfg"):  # noqa: PTH113  # pathlib's raises for a folder that is closed
                found += _walk(entry, home, patterns)
        elif entry.suffix.lower() in _SUFFIXES:
            found.append(entry)
    return found


def _excluded(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """What the pyproject.toml beside or above a folder excludes, and the folder that it is in."""
    home = _home(folder.resolve())
    return (home, _listed(home / "pyproject.toml", "exclude")) if home is not None else (folder, ())


def _home(folder: Path) -> Path | None:
    """This folder, or the nearest above it, that has a pyproject.toml."""
    return next((home for home in (folder, *folder.parents) if (home / "pyproject.toml").is_file()), None)


def _is_graph(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(65536)
    except OSError:
        return False
    return any(line.startswith(_MARK) for line in head.removeprefix(b"\xef\xbb\xbf").splitlines())


def load_plugins(plugins: Sequence[str], graph: Path | None = None) -> None:
    """Register what plugins define: those of `--plugin`, and those of the pyproject.toml beside or above the graph.

    Raises PluginError.
    """
    from ragweave.orchestrator import registry

    folder = (graph.parent if graph is not None else Path()).resolve()
    home = _home(folder)
    if home is not None:
        registry.load_plugins(_listed(home / "pyproject.toml", "plugins"), home)
    registry.load_plugins(plugins, Path.cwd())
    _named.update(dict.fromkeys(plugins))


def plugin_options() -> str:
    """The `--plugin` options of this command as it was called, to be repeated in one that it suggests."""
    return "".join(f" --plugin {shlex.quote(name)}" for name in _named)


def _listed(path: Path, key: str) -> tuple[str, ...]:
    """A list of names under [tool.ragweave]. Raises PluginError if it is none, or another key is there."""
    from ragweave.orchestrator.errors import PluginError

    listed = _table(path).get(key, [])
    if not (isinstance(listed, list) and all(isinstance(name, str) for name in listed)):
        raise PluginError(f"{str(path)!r}: tool.ragweave.{key} must be a list of names, found {listed!r}")
    return tuple(name.rstrip("/") if key == "exclude" else name for name in listed)


@cache
def _table(path: Path) -> dict[str, Any]:
    import tomllib

    from ragweave.orchestrator.errors import PluginError, did_you_mean

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("ragweave", {})
    except (OSError, ValueError) as error:
        raise PluginError(f"{str(path)!r} cannot be read: {error}") from None
    if not isinstance(table, dict):
        raise PluginError(f"{str(path)!r}: tool.ragweave must be a table, found {table!r}")
    for key in table:
        if key not in _KEYS:
            raise PluginError(f"{str(path)!r}: tool.ragweave has no key {key!r}{did_you_mean(key, _KEYS)}")
    return table


def check_file(path: Path, plugins: Sequence[str] = ()) -> Checked:
    """A graph file with everything that is wrong with it. Raises GraphError if it cannot be read, PluginError."""
    from ragweave.orchestrator.checking.check import check
    from ragweave.orchestrator.resources import Resources

    _refuse_what_is_no_file(path)
    load_plugins(plugins, path)
    from ragweave.orchestrator.graph import read_file

    spec, problems, environ = read_file(path)
    return check(spec, problems, Resources(spec.resources.values(), folder=spec.folder, environ=environ))


def open_graph(path: Path, plugins: Sequence[str] = (), *, store: Store | None = None) -> Graph:
    """A graph that can be run, over its own store unless another is given. Raises GraphError, PluginError."""
    from ragweave.orchestrator.graph import Graph

    _refuse_what_is_no_file(path)
    load_plugins(plugins, path)
    return Graph.load(path, store=store)


def _refuse_what_is_no_file(path: Path) -> None:
    """Raise an error that names the nearest graph if there is no file, or the graphs in it if it is a folder."""
    from ragweave.orchestrator.errors import GraphError, Problem, RagweaveError, did_you_mean

    if not path.exists() and path.parent.is_dir():
        beside = [file.name for file in path.parent.iterdir() if file.suffix.lower() in _SUFFIXES]
        raise GraphError([Problem("RW129", f"the file does not exist{did_you_mean(path.name, beside)}", str(path))])
    if not path.is_dir():
        return
    inside = [file for file in sorted(path.iterdir()) if file.suffix.lower() in _SUFFIXES and _is_graph(file)]
    there = f"; there is: {', '.join(str(file) for file in inside[:5])}" if inside else ""
    raise RagweaveError(f"{str(path)!r} is a folder, not a graph file{there}")
