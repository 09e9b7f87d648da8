"""Server-sent events, parsed as their bytes arrive."""

from __future__ import annotations

import re
from dataclasses import dataclass

EVENT_LIMIT = 4 << 20

_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    data: str
    name: str = ""


class EventParser:
    """Turns bytes into events: `feed` gives those that are complete, however the bytes are cut.

    Follows the HTML standard's event stream format; `id` and `retry`, which chat servers do not use, are skipped.
    """

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()
        self._data: list[str] = []
        self._name = ""
        self._size = 0
        self._skip_newline = False
        self._first = True

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that end in this chunk. Raises ValueError if one is longer than the limit."""
        if self._skip_newline and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._skip_newline = False
        if chunk.endswith(b"\r"):
            self._skip_newline = True
        events: list[Event] = []
        *ended, rest = _LINE_END.split(chunk)
        for piece in ended:
            self._line += piece
            line, self._line = bytes(self._line), bytearray()
            self._read_line(line, events)
        self._line += rest
        if len(self._line) + self._size > self._limit:
            raise ValueError(f"an event is longer than {self._limit} bytes")
        return events

    def end(self) -> list[Event]:
        """The event that lacks only its blank line, if the stream ended so; a line cut in the middle is dropped."""
        events: list[Event] = []
        self._read_line(b"", events)
        return events

    def _read_line(self, line: bytes, events: list[Event]) -> None:
        if self._first:
            line = line.removeprefix(b"\xef\xbb\xbf")
            self._first = False
        if not line:
            if self._data:
                events.append(Event("\n".join(self._data), self._name))
            self._data, self._name, self._size = [], "", 0
            return
        field, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
            self._size += len(line)
        elif field == "event":
            self._name = value
