"""The arguments of a call, held against the schema of its tool."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from ragweave.orchestrator.errors import PluginError, did_you_mean

_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": None}
"""Names of types that schemas in the wild use, and what JSON Schema calls them."""
_SHOWN = 80
_MOST = 5


def faults_of(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """What is wrong with arguments, each fault with the argument's name; empty if they may be used.

    An argument that the schema does not name is refused, unless the schema says that it may have others.
    """
    validator = _validator(json.dumps(schema, sort_keys=True))
    errors = sorted(validator.iter_errors(dict(arguments)), key=lambda error: list(map(str, error.absolute_path)))
    return [fault for error in errors[:_MOST] for fault in _faults(error)]


def standard(schema: Any) -> Any:
    """A schema in the terms of JSON Schema, with types such as `dict` and `float` under their names there, and its
    objects closed to what they do not name."""
    if isinstance(schema, list):
        return [standard(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions", "patternProperties") and isinstance(value, Mapping):
            found[key] = {name: standard(one) for name, one in value.items()}
        elif key in ("enum", "const", "default", "examples"):
            found[key] = value
        elif key == "type":
            kinds = [_TYPES.get(one, one) for one in (value if isinstance(value, list) else [value])]
            if None not in kinds:  # "any" is what a schema without a type says
                found[key] = kinds if isinstance(value, list) else kinds[0]
        else:
            found[key] = standard(value)
    open_ended = found.keys() & {"additionalProperties", "patternProperties", "$ref", "allOf", "unevaluatedProperties"}
    if found.get("type") == "object" and "properties" in found and not open_ended:
        found["additionalProperties"] = False
    return found


@functools.lru_cache(maxsize=1024)
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator  # 60 ms to import
    from jsonschema.exceptions import SchemaError
    from referencing import Registry

    read = standard({"type": "object", "properties": {}, **json.loads(schema)})
    try:
        Draft202012Validator.check_schema(read)
    except SchemaError as error:
        raise PluginError(f"the schema of a tool's arguments is none: {error.message}") from None
    return Draft202012Validator(read, registry=Registry())  # which reads no address that a schema names


def _faults(error: Any) -> list[str]:
    place = ".".join(map(str, error.absolute_path))
    inside = f"{place}." if place else ""
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return [f"{inside}{name}: it is missing{_expected(error.schema, name)}" for name in missing]
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        extra = [name for name in error.instance if name not in known]
        return [f"{inside}{name}: there is no such argument{did_you_mean(name, known)}" for name in extra]
    if error.validator == "type":
        return [f"{place or 'the arguments'}: expected {_kind(error.validator_value)}, found {_shown(error.instance)}"]
    if error.validator == "enum":
        allowed = ", ".join(_shown(one) for one in error.validator_value[:12])
        return [f"{place}: expected one of {allowed}, found {_shown(error.instance)}"]
    return [f"{place or 'the arguments'}: {_cut(error.message)}"]


def _expected(schema: Mapping[str, Any], name: str) -> str:
    said = schema.get("properties", {}).get(name, {})
    kind = said.get("type") if isinstance(said, Mapping) else None
    return f"; expected {_kind(kind)}" if kind else ""


def _kind(kind: Any) -> str:
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _shown(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
