"""One adaptive batcher for each model: calls of all runs, threads and event loops are computed together.

While a batch is computed the next one fills; an idle model begins at once with what there is. Nothing waits for a
delay, so a lone call is as fast as a direct one and many calls share the cost that every batch has. A thread that has
to wait for its result anyway computes by itself where the model is idle, which saves two changes of threads.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakSet

from ragweave.orchestrator.errors import NodeError, RagweaveError

Item = TypeVar("Item")
Result = TypeVar("Result")

IDLE = 10.0
"""Seconds after which a thread without work ends; the next call starts another."""
EXIT = 2.0
"""Seconds that the end of the program waits for a batch that is being computed."""


class Batcher(Generic[Item, Result]):
    """Calls `compute(items)`, which gives one result an item in their order: one batch at a time.

    It runs in a worker thread of the batcher's own, or in that of a caller of `wait` or `wait_all`.

    - `max_batch`: items in a batch at most.
    - `size` and `max_size`: how long an item is, and how many units a batch may hold with every item padded to the
      longest of it. Items of about equal length are computed together then; one that is too long alone is computed
      alone. The oldest call is in every next batch, so none waits for ever.
    - `group`: only items of equal group are computed together.
    - `separable`: says of an exception of `compute` that a single item may be at fault. Then the items are computed one
      by one, and only those that fail by themselves raise. Other exceptions are raised by every call of the batch.

    Safe to use from any event loop and thread. A call that is cancelled leaves the others alone.
    """

    def __init__(
        self,
        compute: Callable[[list[Item]], Sequence[Result]],
        *,
        max_batch: int = 64,
        size: Callable[[Item], int] | None = None,
        max_size: int | None = None,
        group: Callable[[Item], Hashable] | None = None,
        separable: Callable[[Exception], bool] = lambda error: False,
        name: str = "model",
    ) -> None:
        if max_batch < 1 or (max_size is not None and max_size < 1):
            raise ValueError(f"a batch holds at least 1: max_batch is {max_batch}, max_size {max_size}")
        self._compute = compute
        self._max_batch = max_batch
        self._size = size
        self._max_size = max_size
        self._group = group
        self._separable = separable
        self.worker = Worker(self._serve, name)
        self._turn = threading.Lock()
        """Held by the thread that computes."""
        self._computing: int | None = None
        """The identifier of that thread."""
        _batchers.add(self)
        self._waiting: list[_Call] = []
        """Oldest first; guarded by the worker's lock."""

    async def call(self, item: Item) -> Result:
        """The result for one item. Raises what `compute` raises, and RagweaveError after `close`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._add([self._entry(item, future, loop)])
        return await future

    async def map(self, items: Iterable[Item]) -> list[Result]:
        """The results for several items, in their order; they share batches with each other and with other calls."""
        loop = asyncio.get_running_loop()
        entries = [self._entry(item, loop.create_future(), loop) for item in items]
        if not entries:
            return []
        self._add(entries)
        try:
            return [await entry.future for entry in entries]
        finally:
            for entry in entries:
                entry.future.cancel()
                if not entry.future.cancelled():
                    entry.future.exception()  # the first that failed is raised, the others are looked at

    def wait(self, item: Item) -> Result:
        """The result for one item, for a worker thread: blocks."""
        return self.wait_all([item])[0]

    def wait_all(self, items: Iterable[Item]) -> list[Result]:
        """The results for several items, in their order, for a worker thread: blocks."""
        if self._computing == threading.get_ident():
            raise RagweaveError("a batch waits for a call of its own batcher", hint="compute it before")
        entries = [self._entry(item, concurrent.futures.Future(), None) for item in items]
        if not entries:
            return []
        mine = self._turn.acquire(blocking=False)
        try:
            self._add(entries, ring=not mine)
            while mine and not all(entry.future.done() for entry in entries):
                self._compute_next()
        finally:
            if mine:
                self._turn.release()
        return [entry.future.result() for entry in entries]

    async def close(self) -> None:
        """Wait until every call that was made has its result; further calls are refused."""
        await self.worker.close()
        if self._turn.locked():  # by a caller that computes by itself
            await asyncio.to_thread(self._turn.acquire)
            self._turn.release()

    def _entry(self, item: Item, future: Any, loop: asyncio.AbstractEventLoop | None) -> _Call:
        size = self._size(item) if self._size is not None else 1
        return _Call(item, size, self._group(item) if self._group is not None else None, future, loop)

    def _add(self, entries: list[_Call], *, ring: bool = True) -> None:
        self.worker.give(lambda: self._waiting.extend(entries), ring=ring)

    def _serve(self) -> bool:
        """Compute one batch, in the worker thread; False if there was nothing to do."""
        with self._turn:  # a caller may be computing; what it leaves is for this thread
            return self._compute_next()

    def _compute_next(self) -> bool:
        """Compute one batch, in the thread whose turn it is; False if there was nothing to do."""
        with self.worker.lock:
            self._waiting = [entry for entry in self._waiting if not entry.future.cancelled()]
            batch = self._choose()
            if batch:
                taken = set(map(id, batch))
                self._waiting = [entry for entry in self._waiting if id(entry) not in taken]
        if not batch:
            return False
        self._computing = threading.get_ident()
        try:
            settle(zip(batch, self._outcomes(batch), strict=True))
        except KeyboardInterrupt:  # of a program that computes in its main thread
            failure = NodeError(f"{self.worker.name} was interrupted")
            settle((entry, Outcome(error=failure)) for entry in batch)
            raise
        finally:
            self._computing = None
        return True

    def _choose(self) -> list[_Call]:
        """The oldest call, and those that fit beside it: the nearest in length, older ones first."""
        if not self._waiting:
            return []
        first = self._waiting[0]
        fitting = [entry for entry in self._waiting if entry.group == first.group]
        if self._max_size is None:
            return fitting[: self._max_batch]
        if len(fitting) <= self._max_batch and len(fitting) * max(one.size for one in fitting) <= self._max_size:
            return fitting
        by_size = sorted(fitting, key=lambda entry: entry.size)
        low = high = next(place for place, entry in enumerate(by_size) if entry is first)
        while high - low + 1 < self._max_batch:
            longest = by_size[high].size
            room = (high - low + 2) * longest <= self._max_size
            down = longest - by_size[low - 1].size if low and room else None
            up = None
            if high + 1 < len(by_size) and (high - low + 2) * by_size[high + 1].size <= self._max_size:
                up = by_size[high + 1].size - longest
            if down is None and up is None:
                break
            if up is None or (down is not None and down <= up):
                low -= 1
            else:
                high += 1
        return by_size[low : high + 1]

    def _outcomes(self, batch: list[_Call]) -> list[Outcome]:
        try:
            results = self._compute([entry.item for entry in batch])
            if len(results) != len(batch):
                raise NodeError(f"{self.worker.name}: {len(results)} results for {len(batch)} items of a batch")
        except Exception as error:
            if len(batch) > 1 and self._separable(error):
                return [outcome for entry in batch for outcome in self._outcomes([entry])]
            return [Outcome(error=_own(error, entry, batch)) for entry in batch]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit of a library: the thread goes on, the callers learn of it
            failure = NodeError(f"{self.worker.name} raised {type(error).__name__}: {error}")
            return [Outcome(error=failure) for _ in batch]
        return [Outcome(result) for result in results]


class Outcome(NamedTuple):
    """What a call comes to."""

    result: Any = None
    error: Exception | None = None


class _Call:
    """One item that waits, and whom to tell."""

    __slots__ = ("future", "group", "item", "loop", "size")

    def __init__(
        self, item: Any, size: int, group: Hashable, future: Any, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        self.item = item
        self.size = size
        self.group = group
        self.future = future
        self.loop = loop


def _own(error: Exception, entry: _Call, batch: list[_Call]) -> Exception:
    """The error for one of several callers: each gets a copy, since raising one adds to its traceback."""
    if entry is batch[0]:
        return error
    try:
        made = type(error)(*error.args)
        made.__dict__.update(error.__dict__)
        made.__cause__ = error.__cause__ or error
        return made
    except Exception:  # an exception that cannot be made again from its arguments
        return error


def settle(outcomes: Iterable[tuple[_Call, Outcome]]) -> None:
    """Tell every caller; those of one event loop with one wake-up."""
    by_loop: dict[Any, list[tuple[Any, Outcome]]] = defaultdict(list)
    for entry, outcome in outcomes:
        by_loop[entry.loop].append((entry.future, outcome))
    for loop, told in by_loop.items():
        if loop is None:
            _tell(told)
            continue
        in_loop(loop, _tell, told)


def in_loop(loop: asyncio.AbstractEventLoop, function: Callable[..., Any], *args: Any) -> None:
    """Call a function in an event loop, from any thread; where the loop is closed nobody waits any more."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise


def _tell(told: list[tuple[Any, Outcome]]) -> None:
    for future, outcome in told:
        if future.done():  # its caller gave up
            continue
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.result)


class Worker:
    """A thread that calls `serve` as long as that returns True, sleeps until it is given work, and ends when idle.

    `serve` runs in that thread only, so what it uses needs no lock, except for what `give` changes: that is done under
    `lock`.
    """

    def __init__(self, serve: Callable[[], bool], name: str) -> None:
        self.name = name
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None
        self._serve = serve
        self._bell = threading.Lock()
        """Held while there is nothing new; a plain lock wakes a thread faster than a Condition."""
        self._bell.acquire()
        self._work = False
        self._closed = False
        _workers.add(self)

    def give(self, change: Callable[[], Any], *, ring: bool = True) -> None:
        """Make a change under the lock and see that it is looked at, unless `ring` is false.

        Raises RagweaveError after `close`.
        """
        with self.lock:
            if self._closed:
                raise RagweaveError(f"{self.name} is closed", hint="its graph was closed; load the graph again")
            change()
            if not ring:
                return
            self._work = True
            # A thread does not survive a fork: the child starts its own.
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._run, name=f"ragweave {self.name}", daemon=True)
                self.thread.start()
        self._ring()

    async def close(self) -> None:
        """Refuse further work, and wait until what was given is done and the thread has ended."""
        with self.lock:
            self._closed = True
            thread = self.thread
        self._ring()
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            await asyncio.to_thread(thread.join)

    def end(self, seconds: float) -> None:
        """At the end of the program: begin nothing more, and wait so long for what is being done."""
        with self.lock:
            self._closed, self._work = True, False
            self._serve = lambda: False
            thread = self.thread
        self._ring()
        if thread is not None:
            thread.join(seconds)

    def _ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # it rings already
            self._bell.release()

    def _run(self) -> None:
        idle = False
        while True:
            with self.lock:
                work, self._work = self._work, False
                if not work and (self._closed or idle):
                    self.thread = None
                    return
            if not work:
                idle = not self._bell.acquire(timeout=IDLE)
                continue
            idle = False
            while self._serve():
                pass


_workers: WeakSet[Worker] = WeakSet()
_batchers: WeakSet[Batcher[Any, Any]] = WeakSet()


@atexit.register
def _end_all() -> None:
    """A thread that computes while the interpreter is taken down may crash it."""
    for worker in list(_workers):
        worker.end(EXIT)


def _renew_all() -> None:
    """A fork copies a lock that is held, but not the thread that would release it."""
    for batcher in list(_batchers):
        batcher._turn, batcher._computing = threading.Lock(), None


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew_all)
