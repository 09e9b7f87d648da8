"""The key under which the result of a call is kept: equal keys mean equal calls."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import CellType, CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ragweave.orchestrator.language.names import names_in
from ragweave.orchestrator.node import FunctionNode, Node

if TYPE_CHECKING:
    from ragweave.orchestrator.checking.bound import Member
    from ragweave.orchestrator.resources import Resources


def cache_key(member: Member, values: Mapping[str, Any], item: tuple[str, Any] | None, resources: Resources) -> str:
    """A hash of the node's type, code and settings, of the resources that it names, of what it reads and how what it
    writes is called (R16)."""
    node = member.node
    named = {}
    for one in names_in(type(node), {name: getattr(node, name) for name in type(node).model_fields}):
        # Of a prompt the text counts, not the file that it is in.
        prompt = one.kind == "prompts"
        named["/".join(map(str, one.place))] = (
            resources.get("prompts", one.name).digest if prompt else resources.description(one.kind, one.name)
        )
    read = {parameter: plain(values[key]) for parameter, key in member.reads.items() if key in values}
    if item is not None:
        read[item[0]] = plain(item[1])
    text = json.dumps(
        [
            type(node).__module__,
            node.type_name or type(node).__qualname__,
            _code(node),
            plain(node),
            named,
            read,
            dict(member.writes),
        ],
        sort_keys=True,
        ensure_ascii=True,
        default=str,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _code(node: Node) -> Any:
    """What a node does, as far as its own code says: an edited function is another function."""
    return code_of(node.function if isinstance(node, FunctionNode) else type(node).__call__)


def code_of(function: Any) -> Any:
    """What a function does, as far as its own code says, and what it was made with, as JSON."""
    code = getattr(function, "__code__", None)
    inside = [*(getattr(function, "__defaults__", None) or ()), *(getattr(function, "__closure__", None) or ())]
    return [_instructions(code) if isinstance(code, CodeType) else "", [_fixed(value) for value in inside]]


def _fixed(value: Any) -> Any:
    """What a function was made with, as far as it cannot change."""
    if isinstance(value, CellType):
        try:
            value = value.cell_contents
        except ValueError:  # not filled yet
            return ""
    if value is None or isinstance(value, (str, bytes, int, float, bool)):
        return repr(value)
    return _instructions(value.__code__) if isinstance(value, FunctionType) else type(value).__qualname__


def _instructions(code: CodeType) -> Any:
    constants = [_instructions(one) if isinstance(one, CodeType) else _constant(one) for one in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants]


def _constant(value: Any) -> Any:
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)  # sets have an order of their own


def plain(value: Any) -> Any:
    """A value as JSON data; models by their fields."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(item) for item in value]
    return value
