"""Where replies are kept: bounded, for a limited time, in memory or in a SQLite file."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ragweave.orchestrator.contracts import ChatChunk
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.localdata import make_file
from ragweave.orchestrator.values import ToolCall


class Kept(NamedTuple):
    """A reply as it was streamed, and the question that it answers: its words, and its vector where one was made."""

    pieces: tuple[str, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str = ""
    confidence: float | None = None
    question: str = ""
    vector: tuple[float, ...] = ()

    def to_json(self) -> str:
        """As text, of JSON types only."""
        calls = [call.model_dump(mode="json") for call in self.tool_calls]
        return json.dumps([list(self.pieces), calls, self.finish, self.confidence, self.question, list(self.vector)])

    @classmethod
    def from_json(cls, text: str) -> Kept:
        """Back from `to_json`. Raises ValueError for anything else."""
        try:
            pieces, calls, finish, confidence, question, vector = json.loads(text)
            return cls(
                tuple("" + piece for piece in pieces),
                tuple(ToolCall.model_validate(call) for call in calls),
                "" + finish,
                None if confidence is None else float(confidence),
                "" + question,
                tuple(float(one) for one in vector),
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"not a kept reply: {error}") from None

    def chunks(self) -> list[ChatChunk]:
        """The reply as a model streams it, without the last chunk's usage."""
        last = ChatChunk(tool_calls=self.tool_calls, finish=self.finish, confidence=self.confidence)
        return [*(ChatChunk(text=piece) for piece in self.pieces), last]


class Answers(Protocol):
    """Keeps replies by key. Replies of one `group` can stand for one another if their questions mean the same."""

    def get(self, key: str) -> Kept | None:
        """The reply of this key, if it is not too old."""

    def group(self, group: str) -> Sequence[Kept]:
        """The replies of a group that are not too old, the latest first."""

    def put(self, key: str, group: str, reply: Kept) -> None:
        """Keep a reply; beyond the size, those that were not used for the longest time are dropped."""

    def close(self) -> None:
        """Let go of files."""


class MemoryAnswers:
    """Replies in memory. Thread-safe."""

    def __init__(self, size: int, ttl: float, clock: Callable[[], float] | None = None) -> None:
        self._size, self._ttl, self._clock = size, ttl, clock or time.monotonic
        self._entries: OrderedDict[str, tuple[float, str, Kept]] = OrderedDict()
        self._groups: dict[str, dict[str, None]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Kept | None:
        """See Answers."""
        with self._lock:
            entry = self._fresh(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry[2] if entry is not None else None

    def group(self, group: str) -> Sequence[Kept]:
        """See Answers."""
        with self._lock:
            entries = [self._fresh(key) for key in reversed(list(self._groups.get(group, ())))]
            return [entry[2] for entry in entries if entry is not None]

    def put(self, key: str, group: str, reply: Kept) -> None:
        """See Answers."""
        with self._lock:
            self._drop(key)
            self._entries[key] = (self._clock(), group, reply)
            self._groups.setdefault(group, {})[key] = None
            while len(self._entries) > self._size:
                self._drop(next(iter(self._entries)))

    def close(self) -> None:
        """Nothing to do."""

    def _fresh(self, key: str) -> tuple[float, str, Kept] | None:
        entry = self._entries.get(key)
        if entry is not None and self._clock() - entry[0] >= self._ttl:
            self._drop(key)
            return None
        return entry

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            group = self._groups[entry[1]]
            del group[key]
            if not group:
                del self._groups[entry[1]]


_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, grp TEXT NOT NULL, made REAL NOT NULL, used REAL NOT NULL, reply TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_group ON answers (grp, made);
CREATE INDEX IF NOT EXISTS by_use ON answers (used);
"""


class FileAnswers:
    """Replies in a SQLite file, as JSON, for several processes. Thread-safe; raises sqlite3.Error for a broken file.

    Ages are of the wall clock, which outlives the process; a reply from the future is as old as one can be.
    """

    def __init__(self, path: Path, size: int, ttl: float, clock: Callable[[], float] = time.time) -> None:
        self._size, self._ttl, self._clock = size, ttl, clock
        self._lock = threading.Lock()
        try:
            make_file(path)
            self._file = sqlite3.connect(path, timeout=5.0, check_same_thread=False, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise ResourceError(f"the answers cannot be kept in {str(path)!r}: {error}") from None
        try:
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.executescript(_TABLE)
        except (OSError, sqlite3.Error) as error:
            self._file.close()
            raise ResourceError(
                f"the answers cannot be kept in {str(path)!r}: {error}", hint="delete the file, or name another"
            ) from None

    def __len__(self) -> int:
        with self._lock:
            return int(self._file.execute("SELECT count(*) FROM answers").fetchone()[0])

    def get(self, key: str) -> Kept | None:
        """See Answers."""
        with self._lock:
            now = self._clock()
            sql = "SELECT reply FROM answers WHERE key = ? AND made > ? AND made <= ?"
            row = self._file.execute(sql, (key, now - self._ttl, now)).fetchone()
            if row is None:
                return None
            reply = _decoded(row[0])
            sql = "DELETE FROM answers WHERE key = ?1" if reply is None else "UPDATE answers SET used=?2 WHERE key=?1"
            self._file.execute(sql, (key,) if reply is None else (key, now))
            return reply

    def group(self, group: str) -> Sequence[Kept]:
        """See Answers."""
        with self._lock:
            now = self._clock()
            sql = "SELECT reply FROM answers WHERE grp = ? AND made > ? AND made <= ? ORDER BY made DESC"
            rows = self._file.execute(sql, (group, now - self._ttl, now)).fetchall()
        replies = (_decoded(row[0]) for row in rows)
        return [reply for reply in replies if reply is not None]

    def put(self, key: str, group: str, reply: Kept) -> None:
        """See Answers."""
        with self._lock:
            now = self._clock()
            row = (key, group, now, now, reply.to_json())
            self._file.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)
            self._file.execute("DELETE FROM answers WHERE made <= ? OR made > ?", (now - self._ttl, now))
            extra = int(self._file.execute("SELECT count(*) FROM answers").fetchone()[0]) - self._size
            if extra > 0:
                sql = "DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY used, made LIMIT ?)"
                self._file.execute(sql, (extra,))

    def close(self) -> None:
        """Close the file."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._file.close()


def _decoded(text: Any) -> Kept | None:
    try:
        return Kept.from_json(text)
    except ValueError:
        return None
