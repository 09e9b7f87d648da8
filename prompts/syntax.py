"""What a template may do, checked on its syntax tree: print values, `if`, `for`, compare, and a few filters.

The sandbox of Jinja2 alone can be made to burn time and memory (`'a' * 10**9`, nested loops, `format`), so everything
that is not listed here is refused: calls, arithmetic, assignments, includes, private names. What is known of the types
of the variables is checked too: fields that a Document does not have, loops over what is no list, printed lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes
from pydantic import BaseModel

from ragweave.orchestrator.errors import a, did_you_mean
from ragweave.orchestrator.types import JSON, STR, Type, type_of, value_models

FILTERS = ("default", "first", "join", "last", "length", "lower", "tojson", "trim", "truncate", "upper")
TESTS = ("defined", "even", "none", "odd")
MAX_DEPTH = 2
"""Loops inside loops: with two, time grows with the square of the data at most."""

_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LOOP = {name: Type("int") for name in ("index", "index0", "revindex", "length")} | {
    name: Type("bool") for name in ("first", "last")
}
_BOOL = Type("bool")
_NAMES_OF_NODES = {
    "Call": "a call",
    "Concat": "`~`; write the values one after the other",
    "Assign": "`set`",
    "AssignBlock": "`set`",
    "Include": "`include`",
    "Import": "`import`",
    "FromImport": "`import`",
    "Extends": "`extends`",
    "Block": "`block`",
    "Macro": "`macro`",
    "With": "`with`",
    "FilterBlock": "a `filter` block",
}


@dataclass(frozen=True, slots=True)
class _Scope:
    names: Mapping[str, Type]
    depth: int = 0


class TemplateCheck:
    """Walks one template. `complain(line, message)` gets every fault, `used` the variables that occur.

    Lines are counted within the template, from 1.
    """

    def __init__(self, variables: Mapping[str, Type], complain: Callable[[int, str], None]) -> None:
        self.used: set[str] = set()
        self._variables = variables
        self._complain = complain

    def check(self, template: nodes.Template) -> None:
        """Look at the whole template."""
        self._statements(template.body, _Scope(self._variables))

    def _statements(self, statements: Iterable[nodes.Node], scope: _Scope) -> None:
        for statement in statements:
            if isinstance(statement, nodes.Output):
                for shown in statement.nodes:
                    self._output(shown, scope)
            elif isinstance(statement, nodes.If):
                self._if(statement, scope)
            elif isinstance(statement, nodes.For):
                self._for(statement, scope)
            else:
                self._refuse(statement)

    def _output(self, node: nodes.Expr, scope: _Scope) -> None:
        if isinstance(node, nodes.TemplateData):
            return
        kind = self._type(node, scope)
        model = value_models().get(kind.word)
        if kind.word in ("list", "map"):
            self._complain(node.lineno, f"{a(kind)} cannot be printed as it is; use a for loop, |join or |tojson")
        elif model is not None and "__str__" not in vars(model):
            fields = ", ".join(fields_of(kind) or {})
            self._complain(node.lineno, f"{a(kind)} cannot be printed as it is; print one of its fields: {fields}")

    def _if(self, node: nodes.If, scope: _Scope) -> None:
        self._type(node.test, scope)
        self._statements(node.body, scope)
        for branch in node.elif_:
            self._if(branch, scope)
        self._statements(node.else_, scope)

    def _for(self, node: nodes.For, scope: _Scope) -> None:
        kind = self._type(node.iter, scope)
        if not isinstance(node.target, nodes.Name):
            self._complain(
                node.lineno, "a for loop has one name; print the fields of each item instead of taking it apart"
            )
            return
        name = node.target.name
        if name in self._variables:
            self._complain(
                node.lineno, f"{name!r} is a variable of the prompt; give the items of the loop another name"
            )
        if kind.word not in ("list", "map", "json"):
            self._complain(node.lineno, f"{a(kind)} is no list; a for loop needs one")
        if scope.depth >= MAX_DEPTH:
            self._complain(node.lineno, f"loops are nested more than {MAX_DEPTH} deep")
        if node.recursive:
            self._complain(node.lineno, "`recursive` is not allowed in a prompt")
        item = kind.item or JSON if kind.word == "list" else STR if kind.word == "map" else JSON
        inner = _Scope({**scope.names, name: item}, scope.depth + 1)
        if node.test is not None:
            self._type(node.test, inner)
        self._statements(node.body, inner)
        self._statements(node.else_, scope)

    def _type(self, node: nodes.Node, scope: _Scope) -> Type:
        """The type of an expression, `json` where it is not known, after checking the expression."""
        if isinstance(node, nodes.Const):
            return _type_of_constant(node.value)
        if isinstance(node, nodes.Name):
            return self._name(node, scope)
        if isinstance(node, nodes.Getattr):
            return self._attribute(node, node.node, node.attr, scope)
        if isinstance(node, nodes.Getitem):
            return self._item(node, scope)
        if isinstance(node, nodes.Filter) and node.node is not None:
            return self._filter(node, node.node, scope)
        if isinstance(node, nodes.Test):
            return self._test(node, scope)
        if isinstance(node, (nodes.Compare, nodes.And, nodes.Or, nodes.Not)):
            for child in node.iter_child_nodes():
                self._type(child.expr if isinstance(child, nodes.Operand) else child, scope)
            return _BOOL if isinstance(node, (nodes.Compare, nodes.Not)) else JSON
        if isinstance(node, nodes.CondExpr):
            kinds = [self._type(part, scope) for part in (node.test, node.expr1, node.expr2) if part is not None]
            return kinds[1] if len(kinds) == 3 and kinds[1] == kinds[2] else JSON
        if isinstance(node, (nodes.List, nodes.Tuple)) and all(isinstance(item, nodes.Const) for item in node.items):
            return Type("list", JSON)
        self._refuse(node)
        return JSON

    def _name(self, node: nodes.Name, scope: _Scope) -> Type:
        if node.name in self._variables:
            self.used.add(node.name)
        if node.name in scope.names:
            return scope.names[node.name]
        if node.name == "loop" and scope.depth:
            self._complain(node.lineno, f"print a field of loop: {', '.join(_LOOP)}")
        else:
            known = did_you_mean(node.name, scope.names) or "; declare it under variables"
            self._complain(node.lineno, f"unknown variable {node.name!r}{known}")
        return JSON

    def _attribute(self, node: nodes.Expr, base: nodes.Expr, name: str, scope: _Scope) -> Type:
        if isinstance(base, nodes.Name) and base.name == "loop" and scope.depth and "loop" not in scope.names:
            if name not in _LOOP:
                self._complain(node.lineno, f"loop has no {name!r}{did_you_mean(name, _LOOP)}")
            return _LOOP.get(name, JSON)
        kind = self._type(base, scope)
        if not _FIELD.fullmatch(name):
            self._complain(node.lineno, f"{name!r} is not the name of a field")
            return JSON
        if kind.word == "map":
            return kind.item or JSON
        fields = fields_of(kind)
        if kind.word == "json" or (fields is not None and name in fields):
            return fields[name] if fields else JSON
        if fields is None:
            self._complain(node.lineno, f"{a(kind)} has no fields, so no {name!r}")
        else:
            self._complain(node.lineno, f"{a(kind)} has no field {name!r}{did_you_mean(name, fields)}")
        return JSON

    def _item(self, node: nodes.Getitem, scope: _Scope) -> Type:
        index = node.arg
        if isinstance(index, nodes.Slice):
            if not all(part is None or _is_number(part) for part in (index.start, index.stop, index.step)):
                self._complain(node.lineno, "the ends of a slice are numbers, as in [:3]")
            return self._type(node.node, scope)
        if isinstance(index, nodes.Const) and isinstance(index.value, str):
            return self._attribute(node, node.node, index.value, scope)
        kind = self._type(node.node, scope)
        if isinstance(index, nodes.Name):
            self._type(index, scope)
        elif not _is_number(index):
            self._complain(node.lineno, "between [ and ] stands a number, a text in quotes, or a name")
        return kind.item or JSON if kind.word in ("list", "map") else JSON

    def _filter(self, node: nodes.Filter, value: nodes.Expr, scope: _Scope) -> Type:
        kind = self._type(value, scope)
        if node.name not in FILTERS:
            self._complain(node.lineno, f"unknown filter {node.name!r}{did_you_mean(node.name, FILTERS)}")
        self._arguments(node)
        if node.name in ("first", "last"):
            return kind.item or JSON if kind.word == "list" else JSON
        if node.name == "length":
            return Type("int")
        return kind if node.name == "default" else STR

    def _test(self, node: nodes.Test, scope: _Scope) -> Type:
        self._type(node.node, scope)
        if node.name not in TESTS:
            self._complain(node.lineno, f"unknown test {node.name!r}{did_you_mean(node.name, TESTS)}")
        elif node.name == "defined" and isinstance(node.node, nodes.Name):
            way_out = f"write {{% if {node.node.name} %}}"
            self._complain(
                node.lineno, f"a declared variable is always defined, and empty if it was not given; {way_out}"
            )
        self._arguments(node)
        return _BOOL

    def _arguments(self, node: nodes.Filter | nodes.Test) -> None:
        plain = [*node.args, *(pair.value for pair in node.kwargs)]
        if node.dyn_args or node.dyn_kwargs or not all(isinstance(value, nodes.Const) for value in plain):
            self._complain(node.lineno, f"the arguments of {node.name!r} are plain texts or numbers")
        for value in plain:
            text = value.value if isinstance(value, nodes.Const) else None
            if node.name == "join" and isinstance(text, str) and text.startswith("_"):
                self._complain(node.lineno, f"{text!r} is not the name of a field")

    def _refuse(self, node: nodes.Node) -> None:
        kind = type(node).__name__
        what = _NAMES_OF_NODES.get(kind) or (
            "arithmetic" if isinstance(node, (nodes.BinExpr, nodes.UnaryExpr)) else f"`{kind.lower()}`"
        )
        self._complain(node.lineno or 1, f"a prompt cannot use {what}; compute the value before, in the graph")


def fields_of(kind: Type) -> dict[str, Type] | None:
    """The fields of a value model with their types, computed ones included; None if it is no value model."""
    model = value_models().get(kind.word)
    if model is None or not issubclass(model, BaseModel):
        return None
    found = {name: _field_type(field.annotation) for name, field in model.model_fields.items()}
    for name in dir(model):
        member = getattr(model, name, None) if not name.startswith(("_", "model_")) else None
        if isinstance(member, property) and name not in found:
            found[name] = _field_type(getattr(member.fget, "__annotations__", {}).get("return"))
    return found


def _field_type(annotation: Any) -> Type:
    if isinstance(annotation, str):
        return Type(annotation) if annotation in ("str", "int", "float", "bool") else JSON
    try:
        return type_of(annotation)
    except TypeError:
        return JSON


def _type_of_constant(value: Any) -> Type:
    return Type(type(value).__name__) if isinstance(value, (str, int, float, bool)) else JSON


def _is_number(node: nodes.Node) -> bool:
    value = node.node if isinstance(node, nodes.Neg) else node
    return isinstance(value, nodes.Const) and isinstance(value.value, int)
