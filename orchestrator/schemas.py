"""JSON schemas (draft 2020-12) of what comes from outside: whether one can be used, and whether a value satisfies it.

No address that a schema names is ever read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int, float),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "null",
}
_MOST = 300
"""Characters of a value, a schema or another's message that are shown."""


def fault_of(value: Any, schema: Mapping[str, Any]) -> str:
    """Why a JSON value does not satisfy a schema, with its place in the value; empty if it does."""
    kind, choices = schema.get("type"), schema.get("enum")
    if isinstance(kind, str) and kind in _KINDS and not _is(value, kind):
        return f"{short(value)} is not of type {kind}"
    if isinstance(choices, (list, tuple)) and not any(_equal(value, choice) for choice in choices):
        return f"{short(value)} is not one of {', '.join(map(repr, choices))}"
    if is_simple(schema):
        return ""
    from jsonschema.exceptions import best_match  # 60 ms to import
    from referencing.exceptions import Unresolvable

    try:
        error = best_match(_validator(schema).iter_errors(value))
    except (Unresolvable, RecursionError) as problem:
        return f"nothing satisfies this schema: {type(problem).__name__}: {problem}"
    return "" if error is None else _told(error)


def unusable(schema: Mapping[str, Any]) -> str:
    """Why no value can be held against this as a JSON schema; empty if one can."""
    from jsonschema import Draft202012Validator  # 60 ms to import
    from jsonschema.exceptions import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"it is not a JSON schema: {_told(error)}"
    resolver = Registry().with_resource("", DRAFT202012.create_resource(dict(schema))).resolver()
    references = list(_references(schema))
    for reference in references:
        try:
            resolver.lookup(reference)
        except Unresolvable:
            return f"its $ref {reference!r} points to nothing in it"
    try:
        if references:
            _validator(schema).is_valid(None)
    except RecursionError:
        return "its $ref goes round in a circle"
    return ""


def in_words(schema: Mapping[str, Any]) -> str:
    """What a schema asks for: `true or false`, `one of 'send', 'hold'`, `a map of approved, reason (optional)`."""
    choices, arms = schema.get("enum"), schema.get("anyOf")
    if isinstance(choices, (list, tuple)):
        return f"one of {', '.join(map(repr, choices))}"
    if isinstance(arms, (list, tuple)) and all(isinstance(arm, Mapping) for arm in arms):
        return ", or ".join(dict.fromkeys(in_words(arm) for arm in arms))
    kind, properties = schema.get("type"), schema.get("properties")
    if kind == "object" and isinstance(properties, Mapping):
        required = schema.get("required", ())
        return "a map of " + ", ".join(name if name in required else f"{name} (optional)" for name in properties)
    if is_simple(schema):
        return _WORDS[schema["type"]]
    text = json.dumps(dict(schema), ensure_ascii=False, default=str)
    return "what satisfies its schema" + (f" {text}" if len(text) <= _MOST else "")


def is_simple(schema: Mapping[str, Any]) -> bool:
    """True for a type, and at most a list of choices beside it: these need no validator."""
    return (
        schema.keys() <= {"type", "enum"}
        and isinstance(schema.get("type"), str)
        and schema["type"] in _KINDS
        and isinstance(schema.get("enum", ()), (list, tuple))
        and all(isinstance(choice, (str, int, bool)) for choice in schema.get("enum", ()))
    )


def short(value: Any) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"


def _validator(schema: Mapping[str, Any]) -> Validator:
    from jsonschema import Draft202012Validator
    from referencing import Registry

    registry: Any = Registry()  # which reads no address
    return Draft202012Validator(schema, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _KINDS[kind]) and not (
        kind == "integer" and isinstance(value, float) and not value.is_integer()
    )


def _equal(value: Any, choice: Any) -> bool:
    """Equal as JSON, where true is not 1."""
    return bool(value == choice) and isinstance(value, bool) == isinstance(choice, bool)


def _told(error: Any) -> str:
    where = ".".join(map(str, error.absolute_path))
    said = " ".join(str(error.message).split())
    said = said if len(said) <= _MOST else f"{said[:_MOST]}…"
    return f"{where}: {said}" if where else said


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for name, value in schema.items():
            if name == "$ref" and isinstance(value, str):
                yield value
            yield from _references(value)
    elif isinstance(schema, (list, tuple)):
        for value in schema:
            yield from _references(value)
