"""From what a journal stores to events with plain JSON in them. Everything that is read is held for damaged or forged
until it has proved otherwise: nothing in a row says what code to run, and what does not fit is a JournalError."""

from __future__ import annotations

import json
import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any

from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.running.events import JOURNALED, Event
from ragweave.orchestrator.stores.encoding import HASH, HEIGHT, Digest
from ragweave.orchestrator.stores.packing import LARGEST

_HASH = "[A-Za-z0-9+/]{21}[AQgw]"
_MESSAGE = re.compile(
    r'\{"d":\{"role":\["([a-z]+)"\],"parts":\{"l":\[\{"d":\{"type":\["text"\],"text":"(' + _HASH + r')"\}\}\]\},'
    r'"tool_calls":\[\[\]\],"tool_call_id":\[""\]\}\}'
)
"""A message of one text, as it is encoded. Long conversations are made of them, and each run names them all."""
_LIST = '{"l":['
_NAME = re.compile(f'"({_HASH})"')

Fetch = Callable[[list[bytes]], Mapping[bytes, bytes]]
"""The bodies of stored values, by hash; those that are not there are left out. May wait for a disk or a network."""

_scan = json.JSONDecoder().raw_decode


class Decoder:
    """Reads events; values that several of them name are read once."""

    def __init__(
        self, fetch: Fetch, digest: Digest, shown: str = "", known: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._fetch = fetch
        self._known = known
        """Texts that need not be fetched, by the hash as it is written."""
        self._digest = digest
        self._shown = shown
        """What is read, for messages."""
        self._bodies: dict[str, bytes] = {}
        """By the hash as it is written; empty for one that is not there."""
        self._values: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        self._size = 0
        """The characters of JSON that the value which is read now has unfolded to, about."""
        self.blobs: set[bytes] = set()
        """The hashes of images, sounds and files that were named; their bytes are not read."""

    def events(self, texts: Iterable[str]) -> list[Event]:
        """The events of these lines, in order. Raises JournalError for the first thing that is not right."""
        try:
            texts = list(texts)
            lines = [json.loads(text) for text in texts]
            for line in lines:
                self._check(line)
            self._gather({name for text in texts for name in _looks_named(text)})
            return [self._event(line) for line in lines]
        except JournalError:
            raise
        except (ValueError, TypeError, KeyError, IndexError, RecursionError, AttributeError) as error:
            raise self._damaged(f"{type(error).__name__}: {error}") from None

    def value(self, text: str) -> Any:
        """The value of one slot."""
        try:
            self._gather(set(_looks_named(text)))
            return self._read(json.loads(text), 0)
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
        whole = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
        if not whole or min(numbers) < -1 or min(visit, member, origin, item or 0) < 0:
            raise self._damaged(f"an event of it is {str(line)[:80]!r}")

    def _event(self, line: Any) -> Event:
        kind, frame, node, visit, item, member, route, origin, at, data = line
        found = {}
        for key, slot in data.items():
            self._size = 0
            found[key] = self._read(slot, 0)
        return Event(kind, frame, node, visit, found, item, member, route, origin, at)

    def _gather(self, wanted: set[str]) -> None:
        """Read stored values, and those that they name, a layer at a time. What only looks like a name is not there."""
        for _ in range(HEIGHT + 2):
            wanted -= self._bodies.keys()
            wanted -= self._values.keys()
            if self._known:
                wanted -= self._recognise(wanted)
            if not wanted:
                return
            names = {named(text): text for text in wanted}
            inner: set[str] = set()
            for name, body in self._fetch(list(names)).items():
                if self._digest(body) != name:
                    raise self._damaged(f"the value {name.hex()} is not what it was")
                tag = body[:1]
                if tag == b"S":
                    inner.update(_looks_named(body.decode()))
                elif tag != b"J" and tag != b"T":
                    raise self._damaged(f"the value {name.hex()} is of the unknown kind {tag!r}")
                self._bodies[names[name]] = body
            self._bodies.update(dict.fromkeys(names.values() - self._bodies.keys(), b""))
            wanted = inner
        raise self._damaged("its values are nested too deep")

    def _recognise(self, wanted: set[str]) -> AbstractSet[str]:
        """Those of the wanted values that are texts which are known; they are read now."""
        found: dict[str, str] = {name: text for name in wanted if (text := self._known.get(name)) is not None}
        self._values.update(found)
        self._sizes.update(zip(found, map(len, found.values()), strict=True))
        return found.keys()

    def _read(self, slot: Any, depth: int) -> Any:
        if depth > HEIGHT:
            raise self._damaged("its values are nested too deep")
        if slot.__class__ is list and len(slot) == 1:
            return slot[0]
        if slot.__class__ is str:
            if slot not in self._values:
                body = self._bodies.get(slot)
                if not body:
                    raise self._damaged(f"the value {named(slot).hex()} is not there")
                before = self._size
                self._values[slot] = self._content(body, depth)
                self._sizes[slot] = self._size - before + len(body)
                self._size = before
            # A few values that name each other twice may unfold to more than any memory holds.
            self._size += self._sizes[slot]
            if self._size > 2 * LARGEST:
                raise self._damaged("a value of it unfolds to more than anybody stores")
            return self._values[slot]
        if slot.__class__ is dict and len(slot) == 1:
            ((form, inner),) = slot.items()
            read, deeper = self._read, depth + 1
            # Most slots are short lists of one: they are read here, for a call each would take most of the time.
            if form == "l":
                return [one[0] if one.__class__ is list and len(one) == 1 else read(one, deeper) for one in inner]
            if form == "c":
                return [item for one in inner for item in self._items(one, deeper)]
            if form == "d":
                return {
                    key: one[0] if one.__class__ is list and len(one) == 1 else read(one, deeper)
                    for key, one in inner.items()
                }
            if form == "b":
                name, one = inner
                self.blobs.add(blob_named(name))
                return read(one, deeper)
        raise self._damaged(f"a value of it is written {str(slot)[:60]!r}")

    def _content(self, body: bytes, depth: int) -> Any:
        text = body[1:].decode()
        if body[:1] == b"T":
            return text
        if body[:1] == b"J":
            return json.loads(text)
        found = self._messages(text, depth) if _MESSAGE.search(text) is not None else None
        return self._read(json.loads(text), depth + 1) if found is None else found

    def _messages(self, text: str, depth: int) -> list[Any] | None:
        """What `_read` gives for a list with messages in it, in a third of the time; None for what is no such list, or
        is written in another way than by us."""
        if not text.startswith(_LIST):
            return None
        found: list[Any] = []
        at = len(_LIST) - 1
        while text[at : at + 1] in ("[", ","):
            match = _MESSAGE.match(text, at + 1)
            if match is None:
                try:
                    slot, at = _scan(text, at + 1)
                except ValueError:
                    return None
                found.append(self._read(slot, depth + 2))
            else:
                role, name = match.groups()
                part = {"type": "text", "text": self._read(name, depth + 5)}
                found.append({"role": role, "parts": [part], "tool_calls": [], "tool_call_id": ""})
                at = match.end()
        return found if text[at:] == "]}" else None

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


def _looks_named(text: str) -> list[str]:
    """Everything in a text that may be the hash of a value: to look for too much costs less than to read it twice."""
    return _NAME.findall(text)


def refs_of(slot: Any) -> list[bytes]:
    """The stored values that a slot names itself. Raises ValueError for what is no slot."""
    if isinstance(slot, str):
        return [named(slot)]
    if isinstance(slot, dict) and len(slot) == 1:
        ((form, inner),) = slot.items()
        if form == "b":
            name, one = inner
            return [blob_named(name), *refs_of(one)]
        inner = inner.values() if isinstance(inner, dict) else inner
        return [ref for one in inner for ref in refs_of(one)]
    if isinstance(slot, list) and len(slot) == 1:
        return []
    raise ValueError(f"a value is written {str(slot)[:60]!r}")


def blob_named(text: Any) -> bytes:
    """The hash of bytes that a slot says it needs. Raises ValueError."""
    if not isinstance(text, str) or text[:1] != "=":
        raise ValueError(f"{str(text)[:40]!r} is no hash of bytes")
    return named(text[1:])


def named(text: str) -> bytes:
    """The hash that stands in a slot. Raises ValueError."""
    try:
        name = a2b_base64(text + "==", strict_mode=True)
    except Base64Error as error:
        raise ValueError(f"{text[:40]!r} is no hash: {error}") from None
    if len(name) != HASH:
        raise ValueError(f"{text[:40]!r} is no hash")
    return name
