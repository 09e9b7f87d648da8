"""The memory of the last turns of each conversation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ConfigDict, Field, PositiveInt, PrivateAttr, TypeAdapter

from ragweave.orchestrator.contracts import Memory, Scope
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.values import Message

if TYPE_CHECKING:
    from ragweave.orchestrator.memory.turns import Turns
    from ragweave.orchestrator.resources import Resources


KNOWN_SCOPES = 256
"""Conversations that are kept in memory as they were last read."""
_TURNS: TypeAdapter[list[tuple[Message, ...]]] = TypeAdapter(
    list[tuple[Message, ...]], config=ConfigDict(defer_build=True)
)


class _Known(NamedTuple):
    """A conversation as it was last read, and what the file was then."""

    seen: int
    turns: list[tuple[Message, ...]]


class Window(Memory, type="window"):
    """Keeps the turns of each conversation and shows its last `max_turns`, a question and its answer being one.

    They lie in a file beside the graph, so that a conversation goes on in another process; several may use it at once.
    Writing one costs no wait for the disk: after a power cut, the turns of the last moments may be missing.
    """

    max_turns: PositiveInt = Field(20, description="Turns that a run sees; older ones are dropped in time.")
    file: str = Field(
        ".ragweave/memory.sqlite",
        description='The SQLite file, relative to the graph; "" keeps turns in this process alone.',
    )
    collection: str = Field("history", min_length=1, description="Memories of one file with other names are apart.")
    max_threads: PositiveInt = Field(100_000, description="Conversations to keep; those unused longest are dropped.")

    _turns: Turns | None = PrivateAttr(default=None)
    _recent: dict[Scope, _Known] = PrivateAttr(default_factory=dict)
    _reading: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def open(self, resources: Resources) -> None:
        """Find the file's place; the file itself is made when the first turn is kept."""
        from ragweave.orchestrator.memory.turns import Turns  # sqlite3 is not for graphs that are only checked

        path = resources.folder / self.file if self.file else None
        if path is not None and path.is_dir():
            raise ResourceError(f"the memory file {self.file!r} is a folder", hint="name a file in it")
        self._turns = Turns(path, self.collection, self.max_threads)

    async def add(self, scope: Scope, messages: Sequence[Message], *, key: str) -> bool:
        """Keep a turn; False if it was kept before with this `key`. Raises ResourceError if the file cannot be used."""
        return await asyncio.to_thread(self._add, scope, tuple(messages), key)

    async def history(self, scope: Scope) -> list[Message]:
        """The messages of the last `max_turns` turns. Raises ResourceError if the file cannot be used."""
        return await asyncio.to_thread(self._history, scope)

    async def delete(self, scope: Scope) -> int:
        """Forget a conversation, also on the disk; the number of turns that were there."""
        self._recent.pop(scope, None)
        count = await asyncio.to_thread(self._opened().delete, scope)
        self._recent.pop(scope, None)
        return count

    async def close(self) -> None:
        """Let go of the file."""
        if self._turns is not None:
            await asyncio.to_thread(self._turns.close)

    def _add(self, scope: Scope, messages: tuple[Message, ...], key: str) -> bool:
        turns = self._opened()
        with self._reading:
            known = self._recent.get(scope)
            if not turns.add(scope, messages, key, self.max_turns):
                return False
            if known is not None:
                known.turns.append(messages)
                del known.turns[: -self.max_turns]
        return True

    def _history(self, scope: Scope) -> list[Message]:
        """From the file if it holds what this process has not seen yet; a long conversation is not read every time."""
        turns = self._opened()
        with self._reading:
            seen = turns.seen()
            known = self._recent.pop(scope, None)
            if known is None or known.seen != seen or seen < 0:
                known = _Known(seen, turns.last(scope, self.max_turns, _TURNS.validate_python))
            self._recent[scope] = known
            while len(self._recent) > KNOWN_SCOPES:
                self._recent.pop(next(iter(self._recent)))
            return [message for turn in known.turns for message in turn]

    def _opened(self) -> Turns:
        if self._turns is None:
            from ragweave.orchestrator.resources import Resources  # only where a memory is used without a graph

            self.open(Resources())
        assert self._turns is not None
        return self._turns
