"""From values to what a journal stores: JSON, in which a large value stands once, by its hash.

An event is one line of JSON. In its data each value is a *slot*:

    [json]              the value itself
    "hash"              a stored value of this hash: a text (`T`), JSON (`J`), or a slot again (`S`)
    {"l": [slot, …]}    a list of these
    {"c": [slot, …]}    the lists that these are, one behind the other
    {"d": {key: slot}}  a map of these
    {"b": [hash, slot]} this, which names an image, a sound or a file; its bytes are stored (`B`), = is before the hash

So what a value looks like never decides how it is read. Long lists are cut into chunks of `CHUNK` items: one that has
grown shares all but its last chunk with what is stored already. `FAN` chunks make a larger part, and so on.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import weakref
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.running.events import Record
from ragweave.orchestrator.running.state import Log
from ragweave.orchestrator.stores.packing import LARGEST

INLINE = 256
"""Characters of JSON up to which a value stands where it is used."""
CHUNK = 32
FAN = 4
LONG = 4096
"""Characters from which on a text is recognised when the same object comes again."""
HASH = 16
"""Bytes of a SHA-256 that name a value."""
DEPTH = 100
HEIGHT = 150
"""Slots that may lie in each other: long lists and what is stored need some of their own."""
MOST_KNOWN = 200_000
MOST_PARTS = 200

_TOO_LARGE = f"it is larger than {LARGEST >> 20} MB"
_SHA256 = re.compile("[0-9a-f]{64}")
_SCALARS = {int, float, bool, type(None)}
_dumps = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False).encode


class Piece(NamedTuple):
    """A value to be stored: its hash, its bytes, and the stored values that it refers to."""

    hash: bytes
    body: bytes
    parts: tuple[bytes, ...]


class Line(NamedTuple):
    """An event to be stored: its JSON, the stored values that it refers to, and those that may not be there yet."""

    text: str
    refs: tuple[bytes, ...]
    pieces: tuple[Piece, ...]
    trusting: int = 0
    """How often its encoder had been told to distrust what it knew: what the line leaves out is there only as long as
    that has not happened again."""


Digest = Callable[[bytes], bytes]


def digest_with(secret: bytes | None) -> Digest:
    """The function that names values; with a secret nobody else can tell what a name stands for."""
    if secret is None:
        return _digest
    return lambda body: hmac.new(secret, body, hashlib.sha256).digest()[:HASH]


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:HASH]


class Slot(NamedTuple):
    """A value as it stands in an event: its text, and the stored values that the text names."""

    text: str
    refs: tuple[bytes, ...] = ()
    height: int = 0
    """How many slots lie in each other in it."""
    size: int = 0
    """The characters of JSON that it unfolds to; 0 if they are those of the text."""


class Blobs(NamedTuple):
    """Where a run has the bytes of images, sounds and files, which its values name by their SHA-256."""

    find: Callable[[str], bytes | None]
    """The bytes; None if they are not at hand."""
    kept: set[bytes]
    """Hashes of those that are surely stored, for the run has named them before."""


def blob_hash(digest: Digest, sha256: str) -> bytes:
    """The hash under which bytes are stored: that of their SHA-256, so that they are found by it."""
    return digest(b"B" + bytes.fromhex(sha256))


class Encoder:
    """Turns records of one tenant into lines. What is surely stored already is named, and not brought again.

    Objects that cannot change (frozen values, long texts) are recognised when they come again, and not encoded twice.
    Who makes a line and puts it where it will be written holds `lock`, so that lines are written in the order in which
    they were made.
    """

    def __init__(self, digest: Digest) -> None:
        self.lock = threading.Lock()
        self.distrusted = 0
        self._known: set[bytes] = set()
        self._digest = digest
        self._values: dict[int, tuple[weakref.ref[Any], Slot]] = {}
        self._texts: dict[int, tuple[str, Slot]] = {}
        self._parts: dict[tuple[int, ...], tuple[tuple[Any, ...], Slot]] = {}
        self._blobs: Blobs | None = None
        self._lacking = 0
        """How often bytes were not at hand: who has them may come later with the same value."""
        self._replaced = 0
        """How often a key had the sign that pydantic writes for half a character in it."""

    def forget_texts(self) -> None:
        """Let go of the texts that are kept to be recognised."""
        self._texts.clear()

    def trust(self, line: Line) -> None:
        """What this line brings will be stored before any later one."""
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known.update(piece.hash for piece in line.pieces)

    def distrust(self) -> None:
        """Values may have been deleted: nothing is surely stored any more."""
        with self.lock:
            self.distrusted += 1
            self._known.clear()

    def anew(self) -> Encoder:
        """An encoder of the same tenant that trusts in nothing yet."""
        return Encoder(self._digest)

    def line(self, record: Record, blobs: Blobs | None = None) -> Line:
        """One event. Raises JournalError that names the call and the key of a value that cannot be kept."""
        self._blobs = blobs
        kind, frame, node, visit, data, item, member, route, origin, at = record
        pieces: dict[bytes, Piece] = {}
        refs: tuple[bytes, ...] = ()
        slots = []
        for key, value in data.items():
            try:
                if value.__class__ is int:
                    slots.append(f"{quoted(key)}:[{value}]")
                    continue
                slot = self._slot(value, pieces, 0)
                if slot.height > HEIGHT:
                    raise ValueError(f"it is nested more than {DEPTH} deep")
                if slot.size > LARGEST:
                    raise ValueError(_TOO_LARGE)
            except (TypeError, ValueError, RecursionError, PydanticSerializationError) as error:
                where = f"{frame}{node}" if node else kind
                raise JournalError(
                    f"what {where!r} gives for {key!r} cannot be kept in the journal: {error}",
                    hint="give JSON or a registered value, or keep runs in memory: store: {type: memory}",
                ) from None
            slots.append(f"{quoted(key)}:{slot.text}")
            refs += slot.refs
        text = (
            f'["{kind}",{quoted(frame)},{quoted(node)},{visit},{"null" if item is None else item},{member},{route},'
            f"{origin},{at:.6f},{{{','.join(slots)}}}]"
        )
        return Line(text, refs, tuple(pieces.values()), self.distrusted)

    def piece(self, text: str) -> Piece:
        """A text to be stored by itself."""
        pieces: dict[bytes, Piece] = {}
        (name,) = self.anew()._kept_text(text, pieces).refs
        return pieces[name]

    def _slot(self, value: Any, pieces: dict[bytes, Piece], depth: int) -> Slot:
        kind = value.__class__
        if kind is str:
            return Slot(f"[{quoted(value)}]") if len(value) <= INLINE else self._text(value, pieces)
        if kind in _SCALARS:
            return Slot(f"[{_dumps(value)}]")
        if depth > DEPTH:
            raise ValueError(f"it is nested more than {DEPTH} deep")
        if isinstance(value, BaseModel):
            return self._model(value, pieces)
        if isinstance(value, Mapping):
            return self._map(value, pieces, depth)
        if isinstance(value, (list, tuple, Log)):
            return self._list(value, pieces, depth)
        if isinstance(value, (str, int, float)):  # of a class of its own, such as an enum's
            return self._slot(_plain(value), pieces, depth)
        raise TypeError(f"it holds a {kind.__name__}")

    def _text(self, value: str, pieces: dict[bytes, Piece]) -> Slot:
        if len(value) < LONG:
            return self._kept_text(value, pieces)
        seen = self._texts.get(id(value))
        if seen is None or not self._stored(seen[1]):
            seen = self._texts[id(value)] = value, self._kept_text(value, pieces)
        return seen[1]

    def _kept_text(self, value: str, pieces: dict[bytes, Piece]) -> Slot:
        """As it is: in JSON, whatever has many line breaks or quotes takes ten times as long to read."""
        try:
            return self._kept("T", value, (), pieces)
        except UnicodeEncodeError:  # half of a pair of surrogates, which JSON can write
            return self._kept("J", quoted(value), (), pieces)

    def _model(self, value: BaseModel, pieces: dict[bytes, Piece]) -> Slot:
        number, values = id(value), self._values
        seen = values.get(number)
        if seen is not None and self._stored(seen[1]):
            return seen[1]
        # By its fields: the text of a message, say, is stored once, whether it came as a text or in the message.
        lacking, replaced = self._lacking, self._replaced
        slot = self._map(value.model_dump(mode="json"), pieces, 0)
        if self._replaced != replaced and _has_half_key(value.model_dump()):
            raise ValueError("a map in it has a key with half a character")
        if value.model_config.get("frozen") and self._lacking == lacking:
            values[number] = weakref.ref(value, lambda _: values.pop(number, None)), slot
        return slot

    def _map(self, value: Mapping[Any, Any], pieces: dict[bytes, Piece], depth: int) -> Slot:
        slots = []
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a map in it has the key {key!r}, which is no text")
            shown = quoted(key)
            if "\\ufffd" in shown:
                self._replaced += 1
            slots.append((shown, self._slot(item, pieces, depth + 1)))
        if all(slot.text[0] == "[" for _, slot in slots):
            text = "{" + ",".join(f"{key}:{slot.text[1:-1]}" for key, slot in slots) + "}"
            mine = Slot(f"[{text}]") if len(text) <= INLINE else self._kept("J", text, (), pieces)
        else:
            text = '{"d":{' + ",".join(f"{key}:{slot.text}" for key, slot in slots) + "}}"
            mine = self._composed(text, [slot for _, slot in slots], pieces)
        blob = value.get("blob")
        if blob.__class__ is str and _SHA256.fullmatch(blob) is not None:
            name = self._blob(blob, pieces)
            if name is not None:
                text = f'{{"b":["={written(name)}",{mine.text}]}}'
                return Slot(text, (name, *mine.refs), mine.height + 1, mine.size)
        return mine

    def _blob(self, sha256: str, pieces: dict[bytes, Piece]) -> bytes | None:
        """The hash of bytes that are, or are to be, stored; None if they are not at hand."""
        name = blob_hash(self._digest, sha256)
        if name not in self._known and name not in pieces and (self._blobs is None or name not in self._blobs.kept):
            data = None if self._blobs is None else self._blobs.find(sha256)
            if data is None:
                self._lacking += 1
                return None
            if len(data) >= LARGEST:
                raise ValueError(_TOO_LARGE)
            pieces[name] = Piece(name, b"B" + data, ())
        return name

    def _list(self, value: Sequence[Any], pieces: dict[bytes, Piece], depth: int, *, keep: bool = False) -> Slot:
        if set(map(type, value)) <= _SCALARS:  # an embedding, say: cheaper as one
            text = _dumps(list(value))
            return Slot(f"[{text}]") if len(text) <= INLINE else self._kept("J", text, (), pieces)
        if len(value) <= CHUNK:
            return self._chunk(value, pieces, depth, keep=False)
        # Parts get smaller towards the end, so that a list that has grown names few of them, and most of those again.
        size = CHUNK
        while size * FAN < len(value):
            size *= FAN
        slots: list[Slot] = []
        at = 0
        while at < len(value):
            while size > CHUNK and at + size > len(value):
                size //= FAN
            slots.append(self._part(value[at : at + size], pieces, depth))
            at += size
        return self._composed('{"c":[' + ",".join(slot.text for slot in slots) + "]}", slots, pieces, keep=keep)

    def _part(self, items: Sequence[Any], pieces: dict[bytes, Piece], depth: int) -> Slot:
        """A part of a long list: a chunk that is stored, or the list of several. One of the same messages as before is
        recognised at once: most of a long conversation is, at each turn."""
        key = tuple(map(id, items))
        seen = self._parts.get(key)
        if seen is not None and self._known.issuperset(seen[1].refs):
            return seen[1]
        whole = self._chunk if len(items) <= CHUNK else self._list
        slot = whole(items, pieces, depth, keep=True)
        if len(items) >= CHUNK and self._values.keys() >= set(key):
            self._parts[key] = tuple(items), slot  # they are held, so that nothing else can get their ids
            while len(self._parts) > MOST_PARTS:
                self._parts.pop(next(iter(self._parts)), None)
        return slot

    def _chunk(self, items: Sequence[Any], pieces: dict[bytes, Piece], depth: int, *, keep: bool) -> Slot:
        values, known = self._values, self._known
        slots = []
        for item in items:
            # As `_model` does it: a long conversation is made of messages that are known, and comes again at each turn.
            seen = values.get(id(item))
            if seen is None or not known.issuperset(seen[1].refs):
                slots.append(self._slot(item, pieces, depth + 1))
            else:
                slots.append(seen[1])
        if all(slot.text[0] == "[" for slot in slots):
            text = "[" + ",".join([slot.text[1:-1] for slot in slots]) + "]"
            return Slot(f"[{text}]") if len(text) <= INLINE else self._kept("J", text, (), pieces)
        return self._composed('{"l":[' + ",".join([slot.text for slot in slots]) + "]}", slots, pieces, keep=keep)

    def _composed(self, text: str, slots: list[Slot], pieces: dict[bytes, Piece], *, keep: bool = False) -> Slot:
        """A slot made of slots: as it is if it is short, else stored."""
        refs = tuple([ref for slot in slots for ref in slot.refs])
        height = 1 + max([slot.height for slot in slots])
        size = len(text) + sum([slot.size for slot in slots])
        if len(text) <= INLINE and not keep:
            return Slot(text, refs, height, size)
        return self._kept("S", text, refs, pieces)._replace(height=height + 1, size=size)

    def _kept(self, tag: str, text: str, parts: tuple[bytes, ...], pieces: dict[bytes, Piece]) -> Slot:
        body = (tag + text).encode()
        if len(body) > LARGEST:
            raise ValueError(_TOO_LARGE)
        name = self._digest(body)
        if name not in self._known and name not in pieces:
            pieces[name] = Piece(name, body, parts)
        return Slot(f'"{written(name)}"', (name,), 1, len(text))

    def _stored(self, slot: Slot) -> bool:
        """True if what a slot names, and so what that names, needs no piece."""
        return self._known.issuperset(slot.refs)


def written(name: bytes) -> str:
    """The hash of a value as it stands in a slot."""
    return b2a_base64(name, newline=False).rstrip(b"=").decode()


def _has_half_key(value: Any) -> bool:
    if isinstance(value, Mapping):
        half = any(isinstance(key, str) and any("\ud800" <= sign <= "\udfff" for sign in key) for key in value)
        return half or any(map(_has_half_key, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_has_half_key, value))


def _plain(value: str | int | float) -> Any:
    for kind in (str, bool, int, float):
        if isinstance(value, kind):
            return kind.__str__(value) if kind is str else kind(value)
    raise AssertionError("unreachable")
