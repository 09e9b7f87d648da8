"""YAML text to plain data, with the line and column of every key and value.

Less than YAML on purpose: no aliases, no tags, no duplicate keys, one document; `no`, `012`, `1:30` and dates are the
strings that they look like. Only numbers in their plain form, `true`, `false`, `null` and `~` are typed, and a quoted
scalar is always a string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from ragweave.orchestrator.errors import Fix, Problem
from ragweave.orchestrator.language.spec import Mark, Place

MAX_BYTES = 1_000_000
MAX_DEPTH = 50

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# The reader has this set of characters compiled already, which takes 5 ms.
_CONTROL = yaml.reader.Reader.NON_PRINTABLE
_LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}
_NUMERIC = frozenset("-0123456789")


class Complaint(Exception):
    """Why a text cannot be read at all: a problem's code, message, place (1-based) and sure remedy."""

    def __init__(self, code: str, message: str, line: int, column: int, fix: Fix | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.line, self.column, self.fix = code, message, line, column, fix


@dataclass(slots=True)
class Reading:
    """What a text says. `data` is only meaningful where `readable`; else `problems` say why not."""

    text: str = ""
    data: Any = None
    readable: bool = True
    marks: dict[Place, Mark] = field(default_factory=dict)
    """Where each key or list item stands."""
    value_marks: dict[Place, Mark] = field(default_factory=dict)
    """Where each value stands."""
    problems: list[Problem] = field(default_factory=list)


def read(source: str | bytes, file: str = "graph") -> Reading:
    """Read one YAML document; whatever is wrong with it is in `problems`, nothing is raised."""
    try:
        text = _decoded(source)
        return _Builder(text, file).build()
    except Complaint as complaint:
        problem = Problem(complaint.code, complaint.message, file, complaint.line, complaint.column, fix=complaint.fix)
        shown = source if isinstance(source, str) else source.decode("utf-8", "replace")
        return Reading(text=shown, readable=False, problems=[problem])


def typed(text: str) -> Any:
    """What a plain (unquoted) scalar means: a number, true, false, null, else the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _NUMERIC:
        match = _NUMBER.fullmatch(text)
        if match is not None:
            if match[1] is None and match[2] is None:
                return int(text)
            number = float(text)
            return number if number not in (float("inf"), float("-inf")) else text
    return text


def lines_of(text: str) -> list[str]:
    """The lines of a text as YAML counts them, without their ends."""
    return _LINE_BREAK.split(text)


def _decoded(source: str | bytes) -> str:
    size = len(source) if isinstance(source, bytes) else len(source.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise Complaint("RW102", f"the file has {size:,} bytes; a graph file has at most {MAX_BYTES:,}", 1, 1)
    if isinstance(source, bytes):
        try:
            text = source.decode("utf-8")
        except UnicodeDecodeError as error:
            line, column = _position(source[: error.start].decode("utf-8"))
            found = f"byte 0x{source[error.start]:02x} is not UTF-8; save the file as UTF-8"
            raise Complaint("RW100", found, line, column) from None
    else:
        text = source
    text = text.removeprefix("\ufeff")
    wrong = _CONTROL.search(text)
    if wrong is not None:
        line, column = _position(text[: wrong.start()])
        number = f"U+{ord(wrong[0]):04X}"
        found = f"the character {number} cannot stand in YAML; delete it, or write an escape in double quotes"
        raise Complaint("RW100", found, line, column)
    return text


def _position(before: str) -> tuple[int, int]:
    lines = lines_of(before)
    return len(lines), len(lines[-1]) + 1


class _Builder:
    """Builds data and marks out of the parser's events, in one pass."""

    def __init__(self, text: str, file: str) -> None:
        self.reading = Reading(text)
        self.file = file
        self.parser = _PARSER(text)
        self.next = self.parser.get_event

    def build(self) -> Reading:
        try:
            self.next()
            event = self.next()
            if isinstance(event, yaml.StreamEndEvent):
                raise Complaint("RW100", "the file is empty; a graph starts with schema: ragweave/v1", 1, 1)
            self.reading.data = self.value(self.next(), ())
            self.next()
            event = self.next()
            if not isinstance(event, yaml.StreamEndEvent):
                mark = event.start_mark
                found = "a second document starts here; a graph file is one document, without ---"
                raise Complaint("RW102", found, mark.line + 1, mark.column + 1)
        except yaml.MarkedYAMLError as error:
            from ragweave.orchestrator.language.yamlerrors import explain  # for a file that cannot be read

            raise explain(error, lines_of(self.reading.text)) from None
        finally:
            self.parser.dispose()
        return self.reading

    def value(self, event: Any, place: Place) -> Any:
        kind = type(event)
        mark = event.start_mark
        self.reading.value_marks[place] = Mark(mark.line + 1, mark.column + 1)
        if kind is yaml.AliasEvent:
            self.refuse(event, f"aliases such as *{event.anchor} are not read; write the value out")
            return None
        if event.anchor is not None:
            self.refuse(event, f"anchors such as &{event.anchor} are not read; write the value out where it is needed")
        if kind is yaml.ScalarEvent:
            return self.scalar(event)
        if event.tag is not None:
            self.problem("RW102", _tag_message(event.tag), event)
        if len(place) >= MAX_DEPTH:
            found = f"values are nested more than {MAX_DEPTH} deep"
            raise Complaint("RW102", found, mark.line + 1, mark.column + 1)
        return self.mapping(event, place) if kind is yaml.MappingStartEvent else self.sequence(place)

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.implicit[0] and event.tag is None:
            return typed(text)
        if event.tag is not None:
            self.problem("RW102", _tag_message(event.tag), event)
            return f"{event.tag} {text}".strip()
        return text

    def sequence(self, place: Place) -> list[Any]:
        items: list[Any] = []
        marks = self.reading.marks
        while type(event := self.next()) is not yaml.SequenceEndEvent:
            inner = (*place, len(items))
            mark = event.start_mark
            marks[inner] = Mark(mark.line + 1, mark.column + 1)
            items.append(self.value(event, inner))
        return items

    def mapping(self, start: Any, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        marks = self.reading.marks
        while type(event := self.next()) is not yaml.MappingEndEvent:
            mark = event.start_mark
            if type(event) is not yaml.ScalarEvent:
                what = "a template such as {{ question }}, quote it" if start.flow_style else "text, quote it"
                raise Complaint(
                    "RW100", f"a key is a word, not a list or a map; if this is {what}", mark.line + 1, mark.column + 1
                )
            if event.anchor is not None:
                self.refuse(event, f"anchors such as &{event.anchor} are not read")
            if event.tag is not None:
                self.problem("RW102", _tag_message(event.tag), event)
            key: str = event.value
            inner = (*place, key)
            if key in found:
                first = marks[inner]
                again = f"the key {key!r} stands here again; it stands on line {first.line} already"
                self.problem("RW101", again, event)
                self.again(found, place, key)
                continue
            marks[inner] = Mark(mark.line + 1, mark.column + 1)
            found[key] = self.value(self.next(), inner)
        return found

    def again(self, found: dict[str, Any], place: Place, key: str) -> None:
        """Read past the second value of a key. Of a section that stands twice, what only the second has counts too."""
        hidden = (*place, key, -1)
        value = self.value(self.next(), hidden)
        first = found[key]
        if place or not isinstance(first, dict) or not isinstance(value, dict):
            return
        depth = len(hidden)
        for marks in (self.reading.marks, self.reading.value_marks):
            for where in [where for where in marks if where[:depth] == hidden and len(where) > depth]:
                if where[depth] not in first:
                    marks[(key, *where[depth:])] = marks[where]
        found[key] = {**first, **{name: item for name, item in value.items() if name not in first}}

    def refuse(self, event: Any, message: str) -> None:
        self.reading.readable = False
        self.problem("RW102", message, event)

    def problem(self, code: str, message: str, event: Any) -> None:
        mark = event.start_mark
        self.reading.problems.append(Problem(code, message, self.file, mark.line + 1, mark.column + 1))


def _tag_message(tag: str) -> str:
    shown = tag.replace("tag:yaml.org,2002:", "!!")
    return f"tags such as {shown} are not read; a value that starts with ! needs quotes"
