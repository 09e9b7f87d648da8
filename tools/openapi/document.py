"""An OpenAPI document: JSON or YAML to plain data, in which references are followed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import yaml

from ragweave.orchestrator.errors import ResourceError, did_you_mean
from ragweave.orchestrator.language.yamltext import typed

MAX_BYTES = 16_000_000
MAX_DEPTH = 100
_SHOWN = 120
_LOCATED = 2_000_000
"""Bytes of a document in which a place is looked for, so that its line can be told."""
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_VERSION = re.compile(r"3\.[012](\.\d+)?(-.*)?")

Place = tuple[str | int, ...]
"""Where something stands in a document: keys and positions from the top."""


class Located(NamedTuple):
    """A part of a document, and where it stands."""

    value: Any
    place: Place


class Document:
    """A document that says of itself that it is OpenAPI 3; the rest of it is judged where it is used."""

    def __init__(self, content: bytes, shown: str) -> None:
        """`shown` is its name in messages. Raises ResourceError for what cannot be read."""
        self.shown = shown
        self._content = content
        try:
            self.data = _read(content)
        except _Unreadable as error:
            where = f":{error.line}:{error.column}" if error.line else ""
            raise ResourceError(f"{shown}{where}: {error.message}", hint=error.hint) from None
        data = self.data
        if not isinstance(data, Mapping):
            raise self.fault((), f"an OpenAPI document is a map, and this is {_kind(data)}")
        said = data.get("openapi")
        if "swagger" in data and said is None:
            raise self.fault(("swagger",), "this is Swagger 2", "convert it to OpenAPI 3")
        if said is None:
            raise self.fault((), "there is no `openapi:` in it, so it is no OpenAPI document")
        if not isinstance(said, (str, float)) or not _VERSION.fullmatch(str(said)):
            raise self.fault(("openapi",), f"version {shown_of(said)} is not read", "there is: 3.0, 3.1 and 3.2")
        self.old = str(said).startswith("3.0")
        """True for 3.0, whose schemas are not yet those of JSON Schema."""

    def fault(self, place: Place, message: str, hint: str = "") -> ResourceError:
        """The error of something that stands at a place, with its line where that can be found."""
        words = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in place).removeprefix(".")
        return ResourceError(f"{self.shown}{self._position(place)}: {words}{': ' if words else ''}{message}", hint=hint)

    def map(self, found: Located, what: str) -> Mapping[str, Any]:
        """The value, if it is a map. Raises ResourceError."""
        if not isinstance(found.value, Mapping):
            raise self.fault(found.place, f"{what} is a map, and this is {_kind(found.value)}")
        return found.value

    def list(self, found: Located, what: str) -> list[Located]:
        """The items of a list. Raises ResourceError."""
        if not isinstance(found.value, list):
            raise self.fault(found.place, f"{what} is a list, and this is {_kind(found.value)}")
        return [Located(one, (*found.place, at)) for at, one in enumerate(found.value)]

    def at(self, found: Located, key: str, default: Any = None) -> Located:
        """What a map has under a key, which is looked up without following a reference."""
        value = found.value.get(key, default) if isinstance(found.value, Mapping) else default
        return Located(default if value is None else value, (*found.place, key))

    def followed(self, found: Located) -> Located:
        """What stands there, or what its `$ref` means, or that one's. Raises ResourceError for a reference that leaves
        the document, means nothing, or comes back to itself."""
        seen: list[Place] = []
        while isinstance(found.value, Mapping) and "$ref" in found.value:
            if found.place in seen:
                raise self.fault(found.place, "its $ref goes round in a circle")
            seen.append(found.place)
            found = self.target(found)
        return found

    def target(self, found: Located) -> Located:
        """What a `$ref` means. Raises ResourceError as `followed` does."""
        reference, place = found.value["$ref"], (*found.place, "$ref")
        if not isinstance(reference, str):
            raise self.fault(place, f"a reference is a text, and this is {_kind(reference)}")
        if not reference.startswith("#"):
            raise self.fault(
                place,
                f"{shown_of(reference)} leaves the document",
                "nothing is fetched for it: bundle it into one file",
            )
        if reference != "#" and not reference.startswith("#/"):
            raise self.fault(place, f"{shown_of(reference)} is no path", "write it as #/components/schemas/Name")
        value: Any = self.data
        where: Place = ()
        for part in reference[2:].split("/") if len(reference) > 1 else []:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(value, Mapping) and key in value:
                value, where = value[key], (*where, key)
            elif isinstance(value, list) and re.fullmatch(r"[0-9]{1,6}", key) and int(key) < len(value):
                value, where = value[int(key)], (*where, int(key))
            else:
                known = did_you_mean(key, map(str, value)) if isinstance(value, Mapping) else ""
                raise self.fault(place, f"{shown_of(reference)} means nothing in the document{known}")
        return Located(value, where)

    def _position(self, place: Place) -> str:
        if len(self._content) > _LOCATED:
            return ""
        try:
            mark = _mark(self._content.decode("utf-8-sig"), place)
        except (yaml.YAMLError, UnicodeDecodeError, _Unreadable):
            return ""
        return "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"


@lru_cache(maxsize=4)
def read_document(content: bytes, shown: str) -> Document:
    """The document; the check of a graph and its run read it once. Raises ResourceError."""
    return Document(content, shown)


def shown_of(value: Any) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class _Unreadable(Exception):
    def __init__(self, message: str, line: int = 0, column: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.hint = message, line, column, hint


def _read(content: bytes) -> Any:
    if len(content) > MAX_BYTES:
        raise _Unreadable(f"it has {len(content):,} bytes; {MAX_BYTES:,} are read at most")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Unreadable(f"byte 0x{content[error.start]:02x} is not UTF-8", hint="save it as UTF-8") from None
    if not text.strip():
        raise _Unreadable("it is empty")
    if text.lstrip()[0] in "{[":
        try:
            return _of_json(text)
        except json.JSONDecodeError as error:
            try:  # a flow map of YAML begins like JSON
                return _of_yaml(text)
            except _Unreadable:
                raise _Unreadable(f"it is no JSON: {error.msg}", error.lineno, error.colno) from None
    return _of_yaml(text)


def _of_json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):  # readers differ in which they take, and a pin must mean one thing
            keys = [key for key, _ in pairs]
            raise _Unreadable(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one map")
        return found

    def number(written: str) -> float:
        value = float(written)
        if not math.isfinite(value):
            raise _Unreadable(f"the number {written[:20]} is too large")
        return value

    def refused(word: str) -> Any:
        raise _Unreadable(f"{word} is no JSON")

    def whole(written: str) -> int:
        if len(written) > 40:
            raise _Unreadable(f"the number {written[:20]}… is too large")
        return int(written)

    try:
        data = json.loads(text, object_pairs_hook=unique, parse_float=number, parse_constant=refused, parse_int=whole)
    except RecursionError:
        raise _Unreadable(f"it is nested more than {MAX_DEPTH} deep") from None
    _refuse_deep(data)
    if re.search(r"\\u[dD][89abAB]", text) and _SURROGATE.search(json.dumps(data, ensure_ascii=False)):
        raise _Unreadable("it holds half of a pair of surrogates, which is no character")
    return data


def _refuse_deep(data: Any) -> None:
    level, depth = [data], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _Unreadable(f"it is nested more than {MAX_DEPTH} deep")
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, (dict, list))
        ]


def _of_yaml(text: str) -> Any:
    try:
        parser = _PARSER(text)
        try:
            return _Yaml(parser).whole()
        finally:
            parser.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        raise _Unreadable(f"it is neither JSON nor YAML: {error.problem}", line, column) from None
    except yaml.YAMLError as error:
        first = str(error).partition("\n")[0]
        raise _Unreadable(f"it is neither JSON nor YAML: {first[:_SHOWN]}") from None


class _Yaml:
    """YAML as OpenAPI wants it: what JSON can say. Anchors are read; tags and keys that are no text are not."""

    def __init__(self, parser: Any) -> None:
        self.next = parser.get_event
        self.anchors: dict[str, Any] = {}

    def whole(self) -> Any:
        self.next()
        if isinstance(self.next(), yaml.StreamEndEvent):
            raise _Unreadable("it is empty")
        data = self.value(self.next(), 1)
        self.next()
        event = self.next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self.wrong(event, "a second document begins here")
        return data

    def wrong(self, event: Any, message: str) -> _Unreadable:
        mark = event.start_mark
        return _Unreadable(message, mark.line + 1, mark.column + 1)

    def value(self, event: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self.wrong(event, f"it is nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self.wrong(event, f"*{event.anchor} stands for nothing that is complete above it")
            found = self.anchors[event.anchor]
            if isinstance(found, (dict, list)):  # each may hold the one before it twice, and so on
                raise self.wrong(event, f"the alias *{event.anchor} of a map or a list is not read; use $ref")
            return found
        if isinstance(event, yaml.ScalarEvent):
            if event.tag is not None and event.tag != "tag:yaml.org,2002:str" and event.tag != "!":
                raise self.wrong(event, f"the tag {event.tag[:40]} is not read")
            found = typed(event.value) if event.implicit[0] and event.tag is None else event.value
        elif event.tag is not None:
            raise self.wrong(event, f"the tag {event.tag[:40]} is not read")
        elif isinstance(event, yaml.SequenceStartEvent):
            found = []
            while not isinstance(item := self.next(), yaml.SequenceEndEvent):
                found.append(self.value(item, depth + 1))
        else:
            found = self.map(depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = found
        return found

    def map(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self.wrong(event, "a key is a text, not a list or a map")
            key: str = event.value
            if key in found:
                raise self.wrong(event, f"the key {key[:_SHOWN]!r} stands here again")
            found[key] = self.value(self.next(), depth + 1)
        return found


def _mark(text: str, place: Place) -> Any:
    """Where the key or item of a place stands, else the nearest around it; JSON is read as YAML for this."""
    parser = _PARSER(text)
    try:
        parser.get_event()
        parser.get_event()
        return _walked(parser, parser.get_event(), place)
    finally:
        parser.dispose()


def _walked(parser: Any, event: Any, place: Place) -> Any:
    here = event.start_mark
    while place:
        wanted, place = place[0], place[1:]
        if isinstance(event, yaml.MappingStartEvent):
            while not isinstance(key := parser.get_event(), yaml.MappingEndEvent):
                event = parser.get_event()
                if isinstance(key, yaml.ScalarEvent) and key.value == str(wanted):
                    here = key.start_mark
                    break
                _skip(parser, event)
            else:
                return here
        elif isinstance(event, yaml.SequenceStartEvent) and isinstance(wanted, int):
            for _ in range(wanted):
                _skip(parser, parser.get_event())
            event = parser.get_event()
            here = event.start_mark
        else:
            return here
    return here


def _skip(parser: Any, event: Any) -> None:
    depth = 0
    while True:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth <= 0:
            return
        event = parser.get_event()


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    words = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "a map"}
    return words.get(type(value), "something else")
