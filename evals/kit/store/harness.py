"""What the tests of stores have in common."""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from pydantic import BaseModel

from ragweave.orchestrator.running.events import Event, Record
from ragweave.orchestrator.stores import Status, Store

LONG = "A text that is long enough to be stored by itself, and that several runs have in common. " * 8


class MakeStore(Protocol):
    """What the fixture `make_store` gives."""

    def __call__(self, *, lease: float = 30.0, keep_days: float = 30.0) -> Store:
        """One more store on the place of this test."""


class Stores:
    """The stores of one test: opened as it likes, and closed at its end."""

    def __init__(self, make: MakeStore) -> None:
        self._make = make
        self._open: list[Store] = []

    def __call__(self, **settings: float) -> Store:
        """One more."""
        store = self._make(**settings)
        self._open.append(store)
        return store

    async def reopened(self, **settings: float) -> Store:
        """Close all of them; a new one, which knows only what was kept."""
        await self.close()
        return self(**settings)

    async def close(self) -> None:
        """Close all of them."""
        closing, self._open = self._open, []
        for store in closing:
            await store.close()

    def stored_bytes(self) -> bytes | None:
        """All that is kept, if it can be told."""
        found: Callable[[], bytes] | None = getattr(self._make, "stored_bytes", None)
        return None if found is None else found()


def on_stores(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test of `stores` that pytest runs with the fixture `make_store`, and without a plugin for asyncio."""

    def run(make_store: MakeStore, **others: Any) -> None:
        async def do() -> None:
            stores = Stores(make_store)
            try:
                await test(stores, **others)
            finally:
                await stores.close()

        asyncio.run(do())

    first, *others = inspect.signature(test).parameters.values()
    fixture = first.replace(name="make_store", annotation=inspect.Parameter.empty)
    run.__signature__ = inspect.Signature([fixture, *others])  # type: ignore[attr-defined]
    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    run.__qualname__ = test.__qualname__
    return run


def step(number: int = 0, /, **data: Any) -> Record:
    """What the engine writes when a call is done: `data` are its writes."""
    return ("finished", "", "node", number, data, None, 0, -1, 0, time.time())


async def begun(
    store: Store, run_id: str, *steps: Record, durability: Any = "async", bundle: str = "", **known: Any
) -> Store:
    """A run that goes on, with these steps committed; `known` is what its record says. The store again."""
    from ragweave.orchestrator.stores import RunRecord

    await store.begin(RunRecord(run_id, **known), bundle, durability)
    write = store.writer(run_id)
    for one in steps:
        write(one)
    await store.flush(run_id)
    return store


async def ended(store: Store, run_id: str, *steps: Record, status: Status = "done", **known: Any) -> Store:
    """A run that has stopped, after these steps. The store again."""
    await begun(store, run_id, *steps, **known)
    await store.end(run_id, status)
    return store


async def data_of(store: Store, run_id: str) -> list[Any]:
    """What the steps of a run have written, as plain JSON."""
    return [plain(event.data) for event in await store.events(run_id)]


def plain(value: Any) -> Any:
    """A value as the JSON that a store gives back."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return value


def same(one: Any, other: Any) -> bool:
    """True for values that are equal and of the same types; NaN is equal to itself, and 0.0 is not -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (one == other and math.copysign(1, one * other) == 1)
    return bool(one == other)


def as_written(events: Iterable[Event], records: Iterable[Record]) -> bool:
    """True if these events are these records, to the microsecond."""
    found = [event.record() for event in events]
    wanted = list(records)
    return len(found) == len(wanted) and all(
        one[:4] == other[:4]
        and one[5:9] == other[5:9]
        and abs(one[9] - other[9]) < 2e-6
        and same(plain(one[4]), plain(other[4]))
        for one, other in zip(found, wanted, strict=True)
    )


async def eventually(true: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> bool:
    """True as soon as something holds; False if it does not within this time."""
    until = time.monotonic() + seconds
    while not await true():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.02)
    return True


def ids(records: Iterable[Any]) -> list[str]:
    """The names of runs, in order."""
    return [record.run_id for record in records]
