"""Runs of one conversation go one after the other (R23), whichever event loop they run in. What becomes of a run that
comes while another goes on is the graph's choice: it waits, is refused, or takes the other's place."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar, get_args

from ragweave.orchestrator.errors import InputError, RunError, ThreadBusy, ThreadTaken, did_you_mean

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds between looks whether the run of another process has ended."""
_T = TypeVar("_T")
Turns = Literal["queue", "reject", "interrupt"]
"""What a run does whose thread is busy: wait for its turn, fail with ThreadBusy, or cancel what goes on and waits."""


def check_turns(value: Any) -> Turns:
    """The choice, if it is one. Raises InputError with the candidates."""
    if value in get_args(Turns):
        return value  # type: ignore[no-any-return]
    raise InputError(f"turns: {value!r} is unknown{did_you_mean(str(value), get_args(Turns))}")


async def among_workers(turn: Turn, thread_id: str, turns: Turns, go: Callable[[], Awaitable[_T]]) -> _T:
    """What `go` gives, once no run of this thread goes on in another process: until then it raises ThreadTaken, and is
    called again. Who comes first is chance. A run elsewhere cannot be interrupted from here: it is waited for.

    Raises ThreadBusy where runs are refused, RunError if a newer run took the turn away.
    """
    task = asyncio.current_task()
    cancels = task.cancelling() if task is not None else 0
    pause = FIRST_PAUSE
    while True:
        try:
            return await go()
        except ThreadTaken as taken:
            if turns == "reject":
                raise ThreadBusy(thread_id, taken.run_id) from None
        if task is not None and task.cancelling() > cancels:  # cancelled while it was being refused
            raise asyncio.CancelledError
        turn.keep()
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        turn.keep()
        pause = min(1.5 * pause, LONGEST_PAUSE)


class Turn:
    """The turn of one run: waited for, held, or taken away by a newer run."""

    __slots__ = ("_cancel", "interrupted", "loop", "ready", "run_id")

    def __init__(self, run_id: str, loop: asyncio.AbstractEventLoop) -> None:
        self.run_id = run_id
        self.loop = loop
        self.ready: asyncio.Future[None] = loop.create_future()
        self.interrupted = ""
        """Why it was taken away; empty if it was not."""
        self._cancel: Callable[[str], Any] | None = None

    def begun(self, cancel: Callable[[str], Any]) -> None:
        """The run has begun; `cancel` ends it in its event loop, and says why."""
        self._cancel = cancel
        if self.interrupted:
            self._tell(cancel)

    def interrupt(self, reason: str) -> None:
        """Take the turn away: a run that waits for it ends at once, one that goes on is cancelled."""
        if not self.interrupted:
            self.interrupted = reason
            if self._cancel is not None:
                self._tell(self._cancel)

    def keep(self) -> None:
        """Raise RunError if the turn was taken away before the run began."""
        if self.interrupted:
            raise RunError(
                f"run {self.run_id} was cancelled: {self.interrupted}", run_id=self.run_id, status="cancelled"
            )

    def wake(self) -> bool:
        """Let whoever waits go on; False if its event loop is closed."""
        try:
            self.loop.call_soon_threadsafe(_wake, self.ready)
        except RuntimeError:
            return False
        return True

    def _tell(self, cancel: Callable[[str], Any]) -> None:
        try:
            self.loop.call_soon_threadsafe(cancel, self.interrupted)
        except RuntimeError:  # that event loop is closed: nothing of its runs goes on
            return


_Whose = tuple[str, str]
"""A user and the id of a thread: equal ids of two users are two threads."""


class ThreadQueues:
    """First come, first served, for each thread of each user. Waiting costs nothing but a future."""

    def __init__(self, turns: Turns = "queue") -> None:
        self.turns = turns
        self._lock = threading.Lock()
        self._holding: dict[_Whose, Turn] = {}
        self._waiting: dict[_Whose, deque[Turn]] = {}

    @asynccontextmanager
    async def turn(
        self, thread_id: str, run_id: str = "", turns: Turns | None = None, *, user: str = ""
    ) -> AsyncIterator[Turn]:
        """Inside, no other run of this user's thread goes on. `turns` replaces the choice of the graph.

        Raises ThreadBusy where runs are refused, RunError if a newer run took the turn away.
        """
        whose = user, thread_id
        mine = Turn(run_id, asyncio.get_running_loop())
        if not self._enter(whose, mine, turns or self.turns):
            try:
                await mine.ready
            except asyncio.CancelledError:
                self._give_up(whose, mine)
                raise
            if self._holding.get(whose) is not mine:
                mine.keep()
        try:
            mine.keep()
            yield mine
        finally:
            self._next(whose)

    def interrupt(self, thread_id: str, reason: str, *, user: str = "") -> bool:
        """Take their turns away from all runs of this user's thread; False if there are none."""
        with self._lock:
            whose = user, thread_id
            if whose not in self._holding:
                return False
            self._interrupt(whose, reason)
            return True

    def interrupt_all(self, reason: str) -> None:
        """Take every turn away."""
        with self._lock:
            for whose in list(self._waiting):
                self._interrupt(whose, reason)

    def _enter(self, whose: _Whose, mine: Turn, turns: Turns) -> bool:
        """Join the queue; True if it is one's turn already."""
        with self._lock:
            holder = self._holding.get(whose)
            if holder is None:
                self._holding[whose] = mine
                self._waiting[whose] = deque()
                return True
            if turns == "reject":
                raise ThreadBusy(whose[1], holder.run_id)
            if turns == "interrupt":
                self._interrupt(whose, f"run {mine.run_id} of the same thread took its place")
            self._waiting[whose].append(mine)
            return False

    def _interrupt(self, whose: _Whose, reason: str) -> None:
        """Take their turns away from all who hold and wait; the lock is held."""
        self._holding[whose].interrupt(reason)
        queue = self._waiting[whose]
        while queue:
            turn = queue.popleft()
            turn.interrupt(reason)
            turn.wake()

    def _give_up(self, whose: _Whose, mine: Turn) -> None:
        """A waiting turn was cancelled: leave the queue, or hand on the turn that came at the same moment."""
        with self._lock:
            queue = self._waiting.get(whose)
            if queue is not None and mine in queue:
                queue.remove(mine)
            holds = self._holding.get(whose) is mine
        if holds:
            self._next(whose)

    def _next(self, whose: _Whose) -> None:
        with self._lock:
            queue = self._waiting[whose]
            while queue:
                turn = queue.popleft()
                self._holding[whose] = turn
                if turn.wake():  # else its event loop is gone, and nobody takes it
                    return
            del self._waiting[whose], self._holding[whose]


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
