"""`ragweave check --watch`: check again whenever something changes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from ragweave.cli.interrupts import unwinding
from ragweave.cli.terminal import note

_PAUSE = 0.3
_SUFFIXES = (".yaml", ".yml", ".py", ".toml", ".md", ".j2", ".env")


def watch_files(paths: Sequence[Path], plugins: Sequence[str], *, as_json: bool) -> NoReturn:
    """Check now and whenever a file beside a graph changes, until Ctrl-C.

    Each check is a process of its own, so that changed plugins are read anew.
    """
    command = [sys.executable, "-m", "ragweave", "check", *map(str, paths)]
    command += [part for plugin in plugins for part in ("--plugin", plugin)]
    command += ["--format", "json"] if as_json else []
    with unwinding():
        _watch(paths, command)


def _watch(paths: Sequence[Path], command: Sequence[str]) -> NoReturn:
    seen = stamps(paths)
    while True:
        subprocess.run(command, check=False)
        note("watching for changes; Ctrl-C ends")
        while (now := stamps(paths)) == seen:
            time.sleep(_PAUSE)
        changed = sorted(str(path) for path in now.keys() | seen.keys() if now.get(path) != seen.get(path))
        more = ", …" if len(changed) > 3 else ""
        note(f"{time.strftime('%H:%M:%S')}  changed: {', '.join(changed[:3])}{more}")
        seen = now


def stamps(paths: Sequence[Path]) -> dict[Path, tuple[int, int]]:
    """When each file was changed that a check may read: graphs, plugins, prompts, settings beside the graphs."""
    found = {}
    for path in _read_by(paths):
        try:
            status = path.stat()
        except OSError:
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found


def _read_by(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield path
        folder = path if path.is_dir() else path.parent
        pattern = folder.rglob("*") if path.is_dir() else folder.glob("*")
        yield from (file for file in pattern if file.suffix in _SUFFIXES or file.name == ".env")
