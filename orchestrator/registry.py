"""Where names in a graph file come from: one table of kinds and names, for built-ins, plugins and user code alike.

A built-in is a row of `builtin.TABLE`; a third party is an entry point of the group `ragweave` named `kind.name`, a
module given as a plugin, or a class that is defined (`class Rerank(Node, type="reranker")`). Nothing is imported
before its name is used.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ragweave.orchestrator.builtin import TABLE
from ragweave.orchestrator.errors import PluginError, did_you_mean

KINDS = (
    "nodes",
    "models",
    "embedders",
    "retrievers",
    "rerankers",
    "tools",
    "memories",
    "prompts",
    "checks",
    "stores",
    "merges",
    "loaders",
)

_added: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
_installed: dict[str, dict[str, Any]] | None = None


def add(kind: str, name: str, thing: Any) -> None:
    """Register `thing` as `name`. The same class may be defined again (a reload, a notebook cell); another may not."""
    old = _added[kind].get(name)
    if old is None and name in TABLE.get(kind, {}):
        old = TABLE[kind][name]
    if old is not None and _address(old) != _address(thing):
        raise PluginError(
            f"{kind} {name!r} is registered twice: by {_address(old)} and by {_address(thing)}",
            hint="give one of them another name",
        )
    _added[kind][name] = thing


def find(kind: str, name: str) -> Any | None:
    """The class or function registered as `name`, imported if need be; None if there is none."""
    thing = _added[kind].get(name)
    if thing is not None:
        return thing
    address = TABLE.get(kind, {}).get(name)
    if address is not None:
        module, attribute = address.split(":")
        return getattr(importlib.import_module(module), attribute)
    entry = _entry_points()[kind].get(name)
    return entry.load() if entry is not None else None


def get(kind: str, name: str) -> Any:
    """Like `find`, but an unknown name is a PluginError with the candidates."""
    thing = find(kind, name)
    if thing is None:
        raise PluginError(f"unknown {kind.rstrip('s')} type {name!r}{did_you_mean(name, names(kind))}")
    return thing


def names(kind: str) -> list[str]:
    """Every name of this kind, sorted; nothing is imported."""
    return sorted({*TABLE.get(kind, {}), *_added[kind], *_entry_points()[kind]})


def load_plugins(plugins: str | Path | Iterable[str | Path], folder: Path | None = None) -> None:
    """Import plugin modules, so that what they define is registered.

    A plugin is a module name (`my_nodes`, looked up on the path and in `folder`) or a file (`my_nodes.py`); one may
    stand without a list. Raises PluginError with the reason.
    """
    for plugin in plugin_names(plugins):
        try:
            if plugin.endswith(".py"):
                beside = folder is not None and (folder / plugin).is_file()
                _import_file(folder / plugin if beside and folder is not None else Path(plugin))
            elif folder is not None and (folder / f"{plugin.replace('.', '/')}.py").is_file():
                _import_file(folder / f"{plugin.replace('.', '/')}.py")
            else:
                importlib.import_module(plugin)
        except PluginError:
            raise
        except Exception as error:
            raise PluginError(f"plugin {plugin!r} cannot be loaded: {_told(error)}") from error


def plugin_names(plugins: str | Path | Iterable[str | Path]) -> list[str]:
    """Plugins as a list of module names and files. Raises PluginError for what is neither."""
    listed = [plugins] if isinstance(plugins, (str, Path)) or not isinstance(plugins, Iterable) else list(plugins)
    for plugin in listed:
        if not isinstance(plugin, (str, Path)) or not str(plugin):
            hint = 'give the name of a module or a file, such as plugins=["my_nodes"]'
            raise PluginError(f"{plugin!r} cannot be a plugin", hint=hint)
    return [str(plugin) for plugin in listed]


@contextmanager
def scope() -> Iterator[None]:
    """What is registered inside is forgotten at the end (for tests)."""
    saved = {kind: dict(table) for kind, table in _added.items()}
    try:
        yield
    finally:
        _added.update(saved)


def _address(thing: Any) -> str:
    if isinstance(thing, str):
        return thing
    return f"{getattr(thing, '__module__', '?')}:{getattr(thing, '__qualname__', thing)}"


def _import_file(path: Path) -> None:
    if not path.is_file():
        raise PluginError(f"plugin file {str(path)!r} does not exist")
    resolved = path.resolve()
    name = resolved.stem
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(resolved):
        return
    spec = importlib.util.spec_from_file_location(name, resolved)
    if spec is None or spec.loader is None:
        raise PluginError(f"plugin file {str(path)!r} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _entry_points() -> dict[str, dict[str, Any]]:
    """Entry points of the group `ragweave`, named `kind.name`; read once, when a name is not found elsewhere."""
    global _installed
    if _installed is None:
        from importlib.metadata import entry_points  # 10 to 50 ms, needed only for names of third parties

        _installed = {kind: {} for kind in KINDS}
        for entry in entry_points(group="ragweave"):
            kind, _, name = entry.name.partition(".")
            if kind in _installed and name:
                _installed[kind][name] = entry
    return _installed


def _told(error: Exception) -> str:
    from ragweave.orchestrator.language.reasons import told  # it finds types here

    return told(error)
