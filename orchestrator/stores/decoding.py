"""From what a journal stores to events with plain JSON in them. Everything that is read is held for damaged or forged
until it has proved otherwise: nothing in a row says what code to run, and what does not fit is a JournalError."""

from __future__ import annotations

import json
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.running.events import JOURNALED, Event
from ragweave.orchestrator.stores.encoding import DEPTH, HASH, Digest

Fetch = Callable[[list[bytes]], Mapping[bytes, bytes]]
"""The bodies of stored values, by hash; those that are not there are left out. May wait for a disk or a network."""


class Decoder:
    """Reads events; values that several of them name are read once."""

    def __init__(self, fetch: Fetch, digest: Digest, shown: str = "") -> None:
        self._fetch = fetch
        self._digest = digest
        self._shown = shown
        """What is read, for messages."""
        self._bodies: dict[bytes, tuple[str, Any]] = {}
        self._values: dict[bytes, Any] = {}

    def events(self, texts: Iterable[str]) -> list[Event]:
        """The events of these lines, in order. Raises JournalError for the first thing that is not right."""
        try:
            lines = [json.loads(text) for text in texts]
            for line in lines:
                self._check(line)
            self._gather({ref for line in lines for slot in line[9].values() for ref in refs_of(slot)})
            return [self._event(line) for line in lines]
        except JournalError:
            raise
        except (ValueError, TypeError, KeyError, IndexError, RecursionError, AttributeError) as error:
            raise self._damaged(f"{type(error).__name__}: {error}") from None

    def value(self, text: str) -> Any:
        """The value of one slot."""
        try:
            slot = json.loads(text)
            self._gather(set(refs_of(slot)))
            return self._read(slot, 0)
        except (ValueError, TypeError, KeyError, IndexError, RecursionError, AttributeError) as error:
            raise self._damaged(f"{type(error).__name__}: {error}") from None

    def _check(self, line: Any) -> None:
        if not isinstance(line, list) or len(line) != 10:
            raise self._damaged("an event of it is no list of ten")
        kind, frame, node, visit, item, member, route, origin, at, data = line
        numbers = (visit, member, route, origin, *([] if item is None else [item]))
        texts = isinstance(frame, str) and isinstance(node, str)
        if kind not in JOURNALED or not texts or not isinstance(data, dict) or not isinstance(at, (int, float)):
            raise self._damaged(f"an event of it is {str(line)[:80]!r}")
        if any(not isinstance(number, int) or isinstance(number, bool) for number in numbers):
            raise self._damaged(f"an event of it is {str(line)[:80]!r}")

    def _event(self, line: Any) -> Event:
        kind, frame, node, visit, item, member, route, origin, at, data = line
        found = {key: self._read(slot, 0) for key, slot in data.items()}
        return Event(kind, frame, node, visit, found, item, member, route, origin, at)

    def _gather(self, wanted: set[bytes]) -> None:
        """Read stored values, and those that they name, a layer at a time."""
        for _ in range(DEPTH):
            wanted -= self._bodies.keys()
            if not wanted:
                return
            found = self._fetch(list(wanted))
            inner: set[bytes] = set()
            for name in wanted:
                body = found.get(name)
                if body is None:
                    raise self._damaged(f"the value {name.hex()} is not there")
                if self._digest(body) != name:
                    raise self._damaged(f"the value {name.hex()} is not what it was")
                tag, content = body[:1].decode("ascii", "replace"), json.loads(body[1:])
                self._bodies[name] = tag, content
                if tag == "S":
                    inner.update(refs_of(content))
                elif tag != "J":
                    raise self._damaged(f"the value {name.hex()} is of the unknown kind {tag!r}")
            wanted = inner
        raise self._damaged("its values are nested too deep")

    def _read(self, slot: Any, depth: int) -> Any:
        if depth > 2 * DEPTH:
            raise self._damaged("its values are nested too deep")
        if isinstance(slot, list) and len(slot) == 1:
            return slot[0]
        if isinstance(slot, str):
            name = named(slot)
            if name not in self._values:
                tag, content = self._bodies[name]
                self._values[name] = content if tag == "J" else self._read(content, depth + 1)
            return self._values[name]
        if isinstance(slot, dict) and len(slot) == 1:
            ((form, inner),) = slot.items()
            if form == "l":
                return [self._read(one, depth + 1) for one in inner]
            if form == "c":
                return [item for one in inner for item in self._items(one, depth + 1)]
            if form == "d":
                return {key: self._read(one, depth + 1) for key, one in inner.items()}
        raise self._damaged(f"a value of it is written {str(slot)[:60]!r}")

    def _items(self, slot: Any, depth: int) -> list[Any]:
        items = self._read(slot, depth)
        if not isinstance(items, list):
            raise self._damaged("a part of a list is no list")
        return items

    def _damaged(self, reason: str) -> JournalError:
        return JournalError(
            f"the journal{f' of {self._shown}' if self._shown else ''} is damaged: {reason}",
            hint="restore the file from a copy, or delete the run",
        )


def refs_of(slot: Any) -> list[bytes]:
    """The stored values that a slot names itself. Raises ValueError for what is no slot."""
    if isinstance(slot, str):
        return [named(slot)]
    if isinstance(slot, dict) and len(slot) == 1:
        ((_, inner),) = slot.items()
        inner = inner.values() if isinstance(inner, dict) else inner
        return [ref for one in inner for ref in refs_of(one)]
    if isinstance(slot, list) and len(slot) == 1:
        return []
    raise ValueError(f"a value is written {str(slot)[:60]!r}")


def named(text: str) -> bytes:
    """The hash that stands in a slot. Raises ValueError."""
    try:
        name = a2b_base64(text + "==", strict_mode=True)
    except Base64Error as error:
        raise ValueError(f"{text[:40]!r} is no hash: {error}") from None
    if len(name) != HASH:
        raise ValueError(f"{text[:40]!r} is no hash")
    return name
