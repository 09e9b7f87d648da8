"""Which arguments of a tool can hold any words, and whether a value stands in what a user said. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

_NUMBER = re.compile(r"(?<![\w.,])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w]|\.\d)")
_DEEPEST = 20


def open_arguments(parameters: Mapping[str, Any] | None) -> list[str]:
    """The arguments that a schema does not narrow to closed choices: enum, const, true or false, a number with both
    bounds, a list or an object of such. `["*"]` if the schema is not known, or allows what it does not name."""
    if parameters is None:
        return ["*"]
    definitions = parameters.get("$defs") or {}
    properties = parameters.get("properties") or {}
    found = [name for name, schema in properties.items() if not _closed(schema, definitions)]
    return found if parameters.get("additionalProperties") is False else [*found, "*"]


def _closed(schema: Any, definitions: Mapping[str, Any], depth: int = 0) -> bool:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return False
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return name in definitions and _closed(definitions[name], definitions, depth + 1)
    if "enum" in schema or "const" in schema:
        return True
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return bool(schema[word]) and all(_closed(one, definitions, depth + 1) for one in schema[word])
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return _bounded(schema, "minimum", "exclusiveMinimum") and _bounded(schema, "maximum", "exclusiveMaximum")
    if kind == "array":
        return _closed(schema.get("items"), definitions, depth + 1)
    if kind == "object":
        inside = (schema.get("properties") or {}).values()
        return schema.get("additionalProperties") is False and all(
            _closed(one, definitions, depth + 1) for one in inside
        )
    return kind in ("boolean", "null")


def _bounded(schema: Mapping[str, Any], *words: str) -> bool:
    return any(isinstance(schema.get(word), (int, float)) and schema.get(word) is not True for word in words)


def words_of(value: Any) -> Iterator[str]:
    """The texts and numbers in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from words_of(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from words_of(one)


def is_named(value: Any, request: Sequence[str]) -> bool:
    """True if a text or a number, or each of a list, stands in what a user said: as a whole word, or as that number."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(is_named(one, request) for one in value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return False
    if isinstance(value, str):
        said = value.strip()
        whole = re.compile(rf"(?<!\w){re.escape(said)}(?!\w)", re.IGNORECASE)
        return bool(said) and any(whole.search(text) for text in request)
    return any(_number(value) == _number(found[0]) for text in request for found in _NUMBER.finditer(text))


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value).replace(",", ""))
    except InvalidOperation:
        return None
