"""Expressions: CEL that gives a value instead of deciding. The types of what they read are not known here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ragweave.orchestrator.checking.condition import ConditionSyntax, plain, syntax
from ragweave.orchestrator.checking.conditions import Conditions, Trouble, names_in
from ragweave.orchestrator.errors import ConditionError, a
from ragweave.orchestrator.types import JSON, Type, list_of

_WORDS = {
    "BOOL": "bool",
    "INT": "int",
    "UINT": "int",
    "DOUBLE": "float",
    "STRING": "str",
    "DYN": "json",
    "NULL": "json",
}
_OUTER = re.compile(r"(LIST|MAP)<(.*)>")


class Expression(NamedTuple):
    """A compiled expression: the state keys that it reads, the type of what it gives, as far as that can be told."""

    text: str
    keys: tuple[str, ...]
    type: Type
    value: Callable[[Mapping[str, Any]], Any]


def compile_expression(text: str) -> Expression:
    """Compile a CEL expression over state keys of any type. Raises ConditionSyntax in words, with its place."""
    from cel_expr_python import cel  # a C++ library; graphs without expressions do not load it

    keys = tuple(dict.fromkeys(name.split(".")[0] for name, _ in names_in(text)))
    environment = cel.NewEnv(variables=dict.fromkeys(keys, cel.Type.DYN))
    try:
        program = environment.compile(text)
    except RuntimeError as error:
        raise _in_words(text, keys, syntax(str(error), text)) from None
    kind = _type(str(program.return_type()))
    if kind is None:
        given = str(program.return_type()).lower()
        raise ConditionSyntax(f"it gives {a(given)}, which state cannot hold; write string({text})")
    error_type = cel.Type.ERROR

    def value(state: Mapping[str, Any]) -> Any:
        result = program.eval(data={key: plain(state[key]) for key in keys})
        if result.type() == error_type:
            raise ConditionError(
                f"the expression {text!r} failed: {result.value()}", hint="guard it, as in size(x) > 0 ? x[0] : ''"
            )
        return _ordered(result.plain_value())

    return Expression(text, keys, kind, value)


def _in_words(text: str, keys: tuple[str, ...], error: ConditionSyntax) -> ConditionSyntax:
    """The error as conditions have it, with the way out for habits from other languages."""
    trouble = Conditions(dict.fromkeys(keys, JSON)).compile(text)
    if isinstance(trouble, Trouble):
        return ConditionSyntax(
            trouble.message.replace("the condition", "the expression").replace("a condition", "an expression"),
            1,
            trouble.offset + 1,
        )
    return error


def _type(shown: str) -> Type | None:
    """CEL's type as one of state; None for one that state cannot hold."""
    if shown in _WORDS:
        return Type(_WORDS[shown])
    outer = _OUTER.fullmatch(shown)
    if outer is None:
        return None
    if outer[1] == "LIST":
        item = _type(outer[2])
        return list_of(item) if item is not None else None
    key, _, rest = outer[2].partition(", ")
    item = _type(rest)
    return Type("map", item) if key in ("STRING", "DYN") and item is not None else None


def _ordered(value: Any) -> Any:
    """The value with the keys of its maps in order: CEL's maps have none."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value, key=str)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value
