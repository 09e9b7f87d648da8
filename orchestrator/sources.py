"""The files that say what a graph is: read from the disk, or as they were when a run began.

Graph files, inner graph files, prompts, label and price files are read here and nowhere else. So what a graph was made
of can be kept with its runs, and a run can go on with it after the files have changed. A type of a plugin that reads a
file while its graph is checked does the same by `read_bytes`. Indexes, models, memories and folders of documents are
not read here: they stay where they are, and are used as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

Files = Mapping[Path, bytes]
"""Contents by resolved path."""

_as_were: ContextVar[Files | None] = ContextVar("files that stand in for those on the disk", default=None)
_noted: ContextVar[dict[Path, bytes] | None] = ContextVar("files that were read", default=None)


def read_bytes(path: Path) -> bytes:
    """The contents of a file, as it was if a run goes on with how its graph was. Raises OSError."""
    files, noted = _as_were.get(), _noted.get()
    if files is None and noted is None:
        return path.read_bytes()
    file = path.resolve()
    data = files.get(file) if files is not None else None
    if data is None:
        data = path.read_bytes()
    if noted is not None:
        noted[file] = data
    return data


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, its lines ended by `\\n`. Raises OSError, UnicodeDecodeError."""
    return read_bytes(path).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def is_file(path: Path) -> bool:
    """True if `read_bytes` would find a file."""
    files = _as_were.get()
    return (files is not None and path.resolve() in files) or path.is_file()


def standing_in() -> Files | None:
    """The files that stand in for those on the disk here; None if none do."""
    return _as_were.get()


@contextlib.contextmanager
def as_were(files: Files | None) -> Iterator[None]:
    """Inside, and in calls and tasks that begin there, these files are as they were; None changes nothing."""
    if files is None:
        yield
        return
    token = _as_were.set(files)
    try:
        yield
    finally:
        _as_were.reset(token)


@contextlib.contextmanager
def noting() -> Iterator[dict[Path, bytes]]:
    """Gives the files that are read inside, in the order of reading; what reads within it tells both."""
    around, files = _noted.get(), dict[Path, bytes]()
    token = _noted.set(files)
    try:
        yield files
    finally:
        _noted.reset(token)
        if around is not None:
            around.update(files)
