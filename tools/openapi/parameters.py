"""Parameters as text of a request, by the styles of OpenAPI (which are those of RFC 6570)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

STYLES = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
_RESERVED = ":/?@!$'()*,;"
"""What `allowReserved` leaves as it is: without what would end the value and begin another."""


class Parameter(NamedTuple):
    """One value of a request: where it goes, and how it is written there."""

    name: str
    place: str
    """`path`, `query`, `header` or `cookie`."""
    style: str
    explode: bool
    reserved: bool = False
    as_json: bool = False
    """Written as JSON, whatever it is."""


def in_path(one: Parameter, value: Any) -> str:
    """What stands in a path for a value, encoded."""
    if one.style == "simple" or one.as_json:
        return _simple(one, value)
    mark = "." if one.style == "label" else ";"
    if isinstance(value, list):
        texts = [_encoded(item) for item in value]
        if one.style == "label":
            return mark + ("." if one.explode else ",").join(texts)
        named = [f"{quote(one.name, safe='')}={text}" for text in texts]
        return mark + (";".join(named) if one.explode else f"{quote(one.name, safe='')}={','.join(texts)}")
    if isinstance(value, Mapping):
        if one.explode:
            return mark + mark.join(f"{quote(key, safe='')}={_encoded(item)}" for key, item in value.items())
        flat = ",".join(f"{quote(key, safe='')},{_encoded(item)}" for key, item in value.items())
        return f".{flat}" if one.style == "label" else f";{quote(one.name, safe='')}={flat}"
    return f".{_encoded(value)}" if one.style == "label" else f";{quote(one.name, safe='')}={_encoded(value)}"


def in_query(one: Parameter, value: Any) -> list[str]:
    """The parts of a query, or of a form, that say a value: `name=value`, encoded."""
    safe = _RESERVED if one.reserved else ""
    name = quote(one.name, safe="")
    if one.as_json:
        return [f"{name}={quote(_json(value), safe=safe)}"]
    if one.style == "deepObject" and isinstance(value, (Mapping, list)):
        return [f"{key}={_encoded(text, safe)}" for key, text in _deep(name, value)]
    between = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}.get(one.style, ",")
    if isinstance(value, list):
        texts = [_encoded(item, safe) for item in value]
        if one.explode:
            return [f"{name}={text}" for text in texts]
        return [f"{name}={between.join(texts)}"]
    if isinstance(value, Mapping):
        if one.explode:
            return [f"{quote(key, safe='')}={_encoded(item, safe)}" for key, item in value.items()]
        flat = (text for key, item in value.items() for text in (quote(key, safe=""), _encoded(item, safe)))
        return [f"{name}={between.join(flat)}"]
    return [f"{name}={_encoded(value, safe)}"]


def in_header(one: Parameter, value: Any) -> str:
    """What a header says of a value; headers are not encoded."""
    if one.as_json:
        return _json(value)
    if isinstance(value, list):
        return ",".join(map(scalar, value))
    if isinstance(value, Mapping):
        between = "=" if one.explode else ","
        return ",".join(f"{key}{between}{scalar(item)}" for key, item in value.items())
    return scalar(value)


def scalar(value: Any) -> str:
    """A value as text: a text as it is, numbers without needless zeros, anything deeper as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return "" if value is None else _json(value)


def _simple(one: Parameter, value: Any) -> str:
    if one.as_json:
        return quote(_json(value), safe="")
    if isinstance(value, list):
        return ",".join(map(_encoded, value))
    if isinstance(value, Mapping):
        equals = "=" if one.explode else ","
        return ",".join(f"{quote(key, safe='')}{equals}{_encoded(item)}" for key, item in value.items())
    return _encoded(value)


def _deep(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (Mapping, list)):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _deep(f"{name}[{quote(str(key), safe='')}]", item)
    else:
        yield name, value


def _encoded(value: Any, safe: str = "") -> str:
    return quote(scalar(value), safe=safe)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
