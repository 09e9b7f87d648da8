"""Graph files on disk: read with the `.env` beside them, and never one within itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

from ragweave.orchestrator import registry, sources
from ragweave.orchestrator.errors import GraphError, Problem, ResourceError
from ragweave.orchestrator.language.environment import read_dotenv
from ragweave.orchestrator.language.load import load_text
from ragweave.orchestrator.language.spec import Spec

Plugins = str | Path | Iterable[str | Path]
"""Modules or files that register node types and other things."""

_open: ContextVar[tuple[Path, ...]] = ContextVar("graph files that are being loaded", default=())


@contextlib.contextmanager
def opening(path: Path) -> Iterator[None]:
    """While a graph file is being loaded, meeting it again means that it contains itself (R22)."""
    file, before = path.resolve(), _open.get()
    if file in before:
        circle = " -> ".join(one.name for one in (*before[before.index(file) :], file))
        raise ResourceError(f"a graph cannot contain itself: {circle}")
    token = _open.set((*before, file))
    try:
        yield
    finally:
        _open.reset(token)


def read_file(path: Path, plugins: Plugins = ()) -> tuple[Spec, list[Problem], Mapping[str, str]]:
    """A graph file, unchecked: its spec, the problems of loading, and the environment with the `.env` beside it."""
    folder = path.resolve().parent
    registry.load_plugins(plugins, folder)
    try:
        data = sources.read_bytes(path)
    except OSError as error:
        from ragweave.orchestrator.language.inner import missing_file  # for a file that is not there

        absent = isinstance(error, FileNotFoundError)
        message = missing_file(path) if absent else f"the file cannot be read: {error.strerror}"
        raise GraphError([Problem("RW129", message, str(path))]) from None
    spec, problems = load_text(data, file=str(path), folder=folder)
    return spec, problems, {**read_dotenv(folder), **os.environ}
