"""Turns as bytes: their texts as they are, behind the messages that they belong to.

JSON of text is slow to read, for every line break and every quote in it is escaped. A dozen turns together are read in
half the time of each by itself, and take two thirds of the room.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from ragweave.orchestrator.stores.known import SHORTEST, name_of
from ragweave.orchestrator.stores.packing import UNREADABLE, squeeze, unsqueeze
from ragweave.orchestrator.values import Message, TextPart

SQUEEZE_FROM = 512
"""Bytes from which on turns are compressed: two pages of the file then hold what three would."""
LARGEST = 1 << 20
"""Bytes of text that are put together: those of large turns stay apart."""
# Neither begins what deflate gives, which is what turns were before.
_PLAIN, _SQUEEZED = b"\x06", b"\x07"

Plain = Sequence[Mapping[str, Any]]
"""The messages of a turn as plain JSON."""


def together(pieces: Iterable[bytes | str]) -> bytes | None:
    """The turns of these pieces in one; None if one of them is damaged or of an older kind, or they would become too
    large."""
    heads: list[list[Any]] = []
    texts: list[bytes] = []
    for body in pieces:
        if not _is_ours(body):
            return None
        try:
            more, its = _parts(body)
            for turn in more:
                for message in turn:
                    parts = message["parts"]
                    message["parts"] = [part + len(texts) if part.__class__ is int else part for part in parts]
        except UNREADABLE:
            return None
        heads += more
        texts += its
        if sum(map(len, texts)) > LARGEST:
            return None
    return _joined(heads, texts)


def pack(messages: Sequence[Message]) -> bytes:
    """A turn as bytes. A text part is the number of its text; what is as it would be anyway is left out."""
    texts: list[bytes] = []
    turn = []
    for message in messages:
        head = message.model_dump(mode="json", exclude_defaults=True, exclude={"parts"})
        parts: list[Any] = []
        for part in message.parts:
            if isinstance(part, TextPart):
                parts.append(len(texts))
                texts.append(part.text.encode())
            else:
                parts.append(part.model_dump(mode="json"))
        turn.append({**head, "parts": parts})
    return _joined([turn], texts)


def unpack(body: bytes | str, seen: dict[str, str]) -> list[Plain]:
    """The turns in one piece; its longer texts are added to those that were `seen`, by the hash that journals name them
    by. Raises one of `UNREADABLE` for what is none."""
    if isinstance(body, str):  # as turns were before, as long as they were short
        return [json.loads(body)]
    if not _is_ours(body):
        return [json.loads(unsqueeze(body).decode())]
    turns, lengths, data, at = _opened(body)
    texts = []
    for length in lengths:
        raw = data[at : at + length]
        at += length
        text = raw.decode()
        texts.append({"type": "text", "text": text})
        if length >= SHORTEST:
            seen[name_of(raw)] = text
    for turn in turns:
        for message in turn:
            parts = message["parts"]
            for place, part in enumerate(parts):
                if part.__class__ is int:
                    parts[place] = texts[part]
    return turns


def _joined(turns: list[list[Any]], texts: Sequence[bytes]) -> bytes:
    head = json.dumps([turns, [len(text) for text in texts]], separators=(",", ":"))
    data = b"\n".join([head.encode(), b"".join(texts)])
    return _SQUEEZED + squeeze(data) if len(data) >= SQUEEZE_FROM else _PLAIN + data


def _is_ours(body: bytes | str) -> TypeGuard[bytes]:
    return isinstance(body, bytes) and body[:1] in (_PLAIN, _SQUEEZED)


def _parts(body: bytes) -> tuple[list[Any], list[bytes]]:
    """Messages by turn, in which numbers stand for texts, and those texts."""
    turns, lengths, data, at = _opened(body)
    texts = []
    for length in lengths:
        texts.append(data[at : at + length])
        at += length
    return turns, texts


def _opened(body: bytes) -> tuple[list[Any], list[int], bytes, int]:
    """Messages by turn, in which numbers stand for texts; how long those are; and the bytes in which they lie one
    behind the other, with the place where the first begins."""
    data = unsqueeze(body[1:]) if body[:1] == _SQUEEZED else body[1:]
    end = data.find(b"\n")
    end = end if end >= 0 else len(data)
    turns, lengths = json.loads(data[:end])
    return turns, lengths, data, end + 1
