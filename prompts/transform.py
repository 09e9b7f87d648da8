"""The node type `transform`: state keys computed from others, by expressions and templates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, model_validator

from ragweave.orchestrator.checking.condition import ConditionSyntax
from ragweave.orchestrator.checking.expression import Expression, compile_expression
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, did_you_mean
from ragweave.orchestrator.node import Node, Read, Signature, Write
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import JSON, STR, Type, assignable, converter, parse_type

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _check_key(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a state key: a-z, 0-9 and _, a letter first")
    return name


def _check_expression(text: str) -> str:
    try:
        compile_expression(text)
    except ConditionSyntax as error:
        raise ValueError(f"{error.message} (character {error.column})" if error.column > 1 else error.message) from None
    return text


def _check_template(text: str) -> str:
    from ragweave.prompts import sandbox  # Jinja2 takes 20 to 45 ms to load

    faults: list[str] = []
    sandbox.check_template(text, dict.fromkeys(sandbox.names(text), JSON), lambda line, fault: faults.append(fault))
    if faults:
        raise ValueError("; ".join(dict.fromkeys(faults)))
    return text


def _check_type(word: str) -> str:
    parse_type(word)
    return word


KeyName = Annotated[str, AfterValidator(_check_key)]


class Transform(Node, type="transform"):
    """Compute state keys from others: `set` by CEL expressions, `text` by templates.

    What an expression or a template names is read from the state; all are computed on the state as it is before the
    node. The type of what an expression gives is inferred; `types` says it where that cannot be told, and values are
    then made of that type (a map becomes a Document). An expression that fails fails the node.
    """

    example = 'shape: {type: transform, set: {count: size(documents)}, text: {greeting: "Hello {{ name }}"}}'

    set: Mapping[KeyName, Annotated[str, AfterValidator(_check_expression)]] = Field(
        {}, description="State keys, each with the CEL expression that gives its value."
    )
    text: Mapping[KeyName, Annotated[str, AfterValidator(_check_template)]] = Field(
        {}, description="State keys, each with the template that gives its text, in the language of prompts."
    )
    types: Mapping[str, Annotated[str, AfterValidator(_check_type)]] = Field(
        {}, description="Types of keys in `set`, such as list[Document], where an expression leaves them open."
    )

    _parts: Any = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _check_keys(self) -> Transform:
        if not self.set and not self.text:
            raise ValueError("there is nothing to do; write set: {key: expression} or text: {key: template}")
        twice = sorted({*self.set} & {*self.text})
        if twice:
            raise ValueError(f"{twice[0]!r} is in 'set' and in 'text'; name it once")
        for key, word in self.types.items():
            if key not in self.set:
                raise ValueError(f"types: there is no key {key!r} in 'set'{did_you_mean(key, self.set)}")
            given = compile_expression(self.set[key]).type
            if given.word in ("bool", "int", "float", "str") and not assignable(parse_type(word), given):
                raise ValueError(f"types: {key!r} is {word}, but {self.set[key]!r} gives {given}")
        return self

    def signature(self, resources: Resources) -> Signature:
        """Reads what the expressions and templates name, writes the keys of both."""
        expressions, templates, _ = self._compiled()
        names = [name for expression in expressions.values() for name in expression.keys]
        names += [name for found, _ in templates.values() for name in found]
        types: dict[str, Type] = {key: expression.type for key, expression in expressions.items()}
        types |= {key: parse_type(word) for key, word in self.types.items()} | dict.fromkeys(templates, STR)
        return Signature(
            {name: Read(JSON) for name in dict.fromkeys(names)}, {key: Write(kind) for key, kind in types.items()}
        )

    def __call__(self, ctx: Context, **state: Any) -> Mapping[str, Any]:
        """The keys with their values. Raises ConditionError, InputError for a template or a type that does not fit."""
        expressions, templates, converters = self._compiled()
        found = {key: expression.value(state) for key, expression in expressions.items()}
        for key, convert in converters.items():
            try:
                found[key] = convert(found[key])
            except ValidationError as error:
                reason = error.errors()[0]["msg"]
                raise InputError(
                    f"the expression {self.set[key]!r} gives no {self.types[key]} for {key!r}: {reason}"
                ) from None
        return {**found, **{key: render(state) for key, (_, render) in templates.items()}}

    def _compiled(self) -> _Parts:
        if self._parts is None:
            expressions = {key: compile_expression(text) for key, text in self.set.items()}
            templates = {key: _template(key, text) for key, text in self.text.items()}
            self._parts = (expressions, templates, {key: converter(parse_type(w)) for key, w in self.types.items()})
        parts: _Parts = self._parts
        return parts


_Render = Callable[[Mapping[str, Any]], str]
_Parts = tuple[dict[str, Expression], dict[str, tuple[list[str], _Render]], dict[str, Callable[[Any], Any]]]


def _template(key: str, text: str) -> tuple[list[str], _Render]:
    """The names that a template uses, and what renders it."""
    from ragweave.prompts import sandbox  # Jinja2 takes 20 to 45 ms to load

    names, template = sandbox.names(text), sandbox.compiled(text)

    def render(state: Mapping[str, Any]) -> str:
        return sandbox.rendered(template, {name: state[name] for name in names}, f"text.{key}")

    return names, render
