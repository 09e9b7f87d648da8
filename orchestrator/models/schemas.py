"""JSON schemas and models: saying a schema in words, and reading the JSON in a reply."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ragweave.orchestrator.models.reading import one_line
from ragweave.orchestrator.values import Message

_FENCED = re.compile(r"```(?:\w+)?[ \t]*\n?(.*?)```", re.DOTALL)
_WRITE_JSON = (
    "{}eply with one JSON value and nothing else: no explanation, no code fence. "
    "It has to satisfy this JSON schema:\n{}"
)


def told(messages: Sequence[Message], schema: Mapping[str, Any], *, tools: bool = False) -> tuple[Message, ...]:
    """The messages with the schema said at their end, where models heed it most; with `tools`, for the reply that
    calls none, in the last words of the user: what calls gave comes after them."""
    order = _WRITE_JSON.format(
        "When you call no tool, r" if tools else "R", json.dumps(dict(schema), ensure_ascii=False)
    )
    at = len(messages) - 1
    while tools and at >= 0 and messages[at].role != "user":
        at -= 1
    if at < 0 or messages[at].role != "user":
        return (*messages, Message.of("user", order))
    gap = "\n\n" if messages[at].text else ""
    last = messages[at].model_copy(update={"parts": (*messages[at].parts, *Message.of("user", gap + order).parts)})
    return (*messages[:at], last, *messages[at + 1 :])


def read_json(text: str, schema: Mapping[str, Any]) -> tuple[Any, str]:
    """The JSON value in a reply, which may stand in a code fence or between words; and what is wrong with it, or "".

    Of several values the first that satisfies the schema is taken, else the first: what a model says before its
    answer may hold brackets too.
    """
    from jsonschema import Draft202012Validator  # 60 ms to import
    from referencing import Registry

    validator = Draft202012Validator(schema, registry=Registry())  # which reads no address that a schema names
    first: tuple[Any, str] | None = None
    for value in _json_values(text):
        fault = _fault(validator, value)
        if not fault:
            return value, ""
        first = first or (value, fault)
    return first or (None, "it holds no JSON value")


def is_closed(schema: Any) -> bool:
    """True if every object in a schema requires all of its properties and allows no others."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "object" and (
            schema.get("additionalProperties") is not False
            or set(schema.get("required", ())) != set(schema.get("properties", {}))
        ):
            return False
        return all(is_closed(value) for value in schema.values())
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return all(is_closed(value) for value in schema)
    return True


def _fault(validator: Any, value: Any) -> str:
    errors = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.path)))
    return "; ".join(f"{_place(error.absolute_path)}{one_line(error.message)}" for error in errors[:3])


MOST_VALUES = 50
"""A reply is searched for so many values at most: a long text may be full of brackets."""


def _json_values(text: str) -> list[Any]:
    """What may be meant as the JSON of a reply, the likeliest first: all of it, a fenced block, what stands between
    words."""
    found: list[Any] = []
    for candidate in (text, *(fenced[1] for fenced in _FENCED.finditer(text))):
        try:
            found.append(_loads(candidate))
        except (ValueError, RecursionError):
            continue
        if candidate is text:
            return found
    decoder, end = json.JSONDecoder(parse_constant=_no_constant), 0
    for start in list(re.finditer(r"[{\[]", text))[:MOST_VALUES]:
        if start.start() < end:
            continue
        try:
            value, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        found.append(value)
    return found


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(word: str) -> Any:
    """NaN and Infinity are no JSON: state could not hold them."""
    raise ValueError(f"{word} is not JSON")


def _place(path: Any) -> str:
    parts = ".".join(str(part) for part in path)
    return f"{parts}: " if parts else ""
