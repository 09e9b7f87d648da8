"""What files looked like when they were read: one that looks the same is not read again.

A stamp is the size, the times and the number of a file. It is only kept of a file that had not been written for two
seconds when it was read: a file system may give two writes within its grain, which is two seconds on some, one time.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from ragweave.retrievers.loaders import version_of

_FILE = "seen.json"
_VERSION = 1
_GRAIN = 2_000_000_000


class Stamps:
    """The stamps beside an index; nothing is lost with them but time."""

    def __init__(self, index: Path) -> None:
        self._path = index / _FILE
        self._known: dict[str, list[object]] = {}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(self._path.read_bytes())
            if told["version"] == _VERSION:
                self._known = dict(told["files"])
        self._now: dict[str, list[object]] = {}
        self._moment = 0

    def is_same(self, source: str, status: os.stat_result, digest: str) -> bool:
        """True if the file that was read with this digest still looks the same."""
        row = [digest, *_row(source, status)]
        if self._known.get(source) != row:
            self._moment = time.time_ns()
            return False
        self._now[source] = row
        return True

    def keep(self, source: str, status: os.stat_result, digest: str) -> None:
        """Remember how a file looked just before it was read, which was after `is_same` was asked for it."""
        if max(status.st_mtime_ns, status.st_ctime_ns) < self._moment - _GRAIN:
            self._now[source] = [digest, *_row(source, status)]

    def write(self) -> None:
        """Keep those of this time beside the index, if they are others than before."""
        if self._now == self._known:
            return
        draft = self._path.with_suffix(".draft")
        try:
            draft.write_text(json.dumps({"version": _VERSION, "files": self._now}), encoding="utf-8")
            draft.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()


def _row(source: str, status: os.stat_result) -> list[object]:
    times = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    return [*times, version_of(source)]
