"""The worker threads of blocking calls: one pool per process, apart from asyncio's own, which is the program's."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

THREADS = 40
"""Blocking calls at a time, in the whole process; further ones wait for a thread."""


class Pool:
    """Threads that are started when they are needed, up to `size`, and then kept.

    They are daemons: a call that was abandoned because it ignores its cancel does not keep the process from ending.
    """

    def __init__(self, size: int = THREADS, name: str = "ragweave-node") -> None:
        self._size = size
        self._name = name
        self._lock = threading.Lock()
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._threads = self._idle = self._waiting = self._started = 0
        self._mine = threading.local()

    def submit(self, work: Callable[[], None]) -> None:
        """Have `work`, which raises nothing, called by a thread, as soon as one is free."""
        with self._lock:
            self._waiting += 1
            self._grow()
        self._work.put(work)

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """While a thread of the pool waits for a run, that run may need threads itself: one more may start."""
        if not getattr(self._mine, "works", False):
            yield
            return
        with self._lock:
            self._size += 1
            self._grow()
        try:
            yield
        finally:
            with self._lock:
                self._size -= 1

    def _grow(self) -> None:
        if self._waiting > self._idle and self._threads < self._size:
            self._threads += 1
            self._started += 1
            self._idle += 1  # it will take its first work at once
            name = f"{self._name}-{self._started}"
            threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        self._mine.works = True
        while True:
            work = self._work.get()
            with self._lock:
                self._idle -= 1
                self._waiting -= 1
            work()
            del work  # what it holds is not kept until the next one comes
            with self._lock:
                if self._threads > self._size:
                    self._threads -= 1
                    self._grow()
                    return
                self._idle += 1


_pool = Pool()


def pool() -> Pool:
    """The pool of this process."""
    return _pool


def _anew() -> None:
    """A forked child has the pool but not its threads."""
    global _pool
    _pool = Pool()


os.register_at_fork(after_in_child=_anew)
