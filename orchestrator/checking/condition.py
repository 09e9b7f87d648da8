"""Conditions: CEL behind this one file. Compiled and type-checked when a graph is loaded; an error is never "false"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from ragweave.orchestrator.errors import ConditionError
from ragweave.orchestrator.types import Type, type_of, value_models

_TOKEN = re.compile(
    r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?<![\w.])[A-Za-z_]\w*+(?:\s*\.\s*[A-Za-z_]\w*+)*(?!\s*\()"""
)
_SIMPLE = frozenset((str, int, float, bool, type(None)))
_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")


class ConditionSyntax(ValueError):
    """An expression that does not compile: `line` and `column` (1-based) point into it."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


class Condition(NamedTuple):
    """A compiled condition. `keys` are the state keys that it reads; `holds` takes their values; `always` is what it
    gives whatever they are, None if that depends on them."""

    text: str
    keys: tuple[str, ...]
    holds: Callable[[Mapping[str, Any]], bool]
    always: bool | None


def compile_condition(text: str, keys: Mapping[str, Type]) -> Condition:
    """Compile a CEL expression over state keys. Raises ConditionSyntax: bad syntax, unknown key or field, not a
    bool."""
    from cel_expr_python import cel  # a C++ library; graphs without conditions do not load it

    mentioned = {name.split(".")[0] for name, _ in read_keys(text)}
    variables = _variables({key: kind for key, kind in keys.items() if key in mentioned})
    used = _used(text, variables)
    environment = cel.NewEnv(variables={name: _cel_type(cel, variables[name]) for name in variables})
    try:
        program = environment.compile(text)
    except RuntimeError as error:
        raise syntax(str(error), text) from None
    if program.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        raise ConditionSyntax(f"the condition gives {str(program.return_type()).lower()}, not true or false")
    paths = [(name, tuple(name.split("."))) for name in used]
    error_type = cel.Type.ERROR

    def holds(state: Mapping[str, Any]) -> bool:
        data = {name: plain(_walk(state, path) if path[1:] else state[name]) for name, path in paths}
        result = program.eval(data=data)
        found = result.value()
        if found is True or found is False:  # an error is a value too, but never one of these
            return bool(found)
        kind = result.type()
        reason = str(found) if kind == error_type else f"it gives {found!r}, not true or false"
        raise ConditionError(
            f"the condition {text!r} failed: {reason}", hint="guard it, as in size(x) > 0 && x[0] == 1"
        )

    # Without any values, reading one is an error, which CEL takes for "it does not matter" only where it does not.
    alone = program.eval(data={}).value()
    always = alone if alone is True or alone is False else None
    return Condition(text, tuple(dict.fromkeys(path[0] for _, path in paths)), holds, always)


def read_keys(text: str) -> list[tuple[str, int]]:
    """Dotted names that an expression mentions, with their offsets; strings and function names are left out."""
    return [
        (re.sub(r"\s", "", match[0]), match.start())
        for match in _TOKEN.finditer(text)
        if match[0][0] not in "'\"" and match[0] not in ("true", "false", "null", "in")
    ]


def field_names(keys: Mapping[str, Type]) -> list[str]:
    """Every name that a condition may use over these keys, fields included."""
    return sorted(_variables(keys))


def _variables(keys: Mapping[str, Type]) -> dict[str, Type]:
    """State keys, and the fields of value models as dotted names: a field of a map would never be checked."""
    found: dict[str, Type] = {}
    for key, kind in keys.items():
        model = value_models().get(kind.word)
        if model is None:
            found[key] = kind
            continue
        for name, info in model.model_fields.items():
            try:
                inner = type_of(info.annotation)
            except TypeError:
                inner = Type("json")
            found.update(_variables({f"{key}.{name}": inner}))
    return found


def _used(text: str, variables: Mapping[str, Type]) -> list[str]:
    used = []
    for name, _ in read_keys(text):
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            if ".".join(parts[:length]) in variables:
                used.append(".".join(parts[:length]))
                break
    return list(dict.fromkeys(used))


def _cel_type(cel: Any, kind: Type) -> Any:
    scalars = {"str": cel.Type.STRING, "int": cel.Type.INT, "float": cel.Type.DOUBLE, "bool": cel.Type.BOOL}
    if kind.word in scalars:
        return scalars[kind.word]
    if kind.word == "list" and kind.item is not None:
        return cel.Type.List(_cel_type(cel, kind.item))
    if kind.word == "map" and kind.item is not None:
        return cel.Type.Map(cel.Type.STRING, _cel_type(cel, kind.item))
    if kind.word in value_models():
        return cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return cel.Type.DYN


def _walk(state: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value = state[path[0]]
    for name in path[1:]:
        value = getattr(value, name)
    return value


def plain(value: Any) -> Any:
    """A value as CEL takes it: models as maps, sequences as lists."""
    if value.__class__ in _SIMPLE or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, BaseModel):
        return {name: plain(item) for name, item in value.__dict__.items()}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, Iterable) else str(value)


def syntax(report: str, text: str) -> ConditionSyntax:
    """What CEL reports of an expression that does not compile, with its place."""
    match = _PLACE.search(report)
    if match is None:
        return ConditionSyntax(report.splitlines()[0])
    message = match[3]
    if message.startswith("Syntax error"):
        message = message.split(" expecting ")[0]
    return ConditionSyntax(message.removesuffix(" (in container '')"), int(match[1]), int(match[2]))
