"""What a Runnable takes and gives, read from the JSON schemas that it tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ragweave.orchestrator.types import JSON, Type, list_of

_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_MESSAGES = ("AIMessage", "HumanMessage", "BaseMessage", "AnyMessage", "SystemMessage", "ToolMessage")
_PROMPTS = ("StringPromptValue", "ChatPromptValueConcrete", "ChatPromptValue")


class Field(NamedTuple):
    """A property of an object."""

    type: Type
    required: bool


class Form(NamedTuple):
    """Either an object of these fields, or one value of this type."""

    fields: Mapping[str, Field]
    type: Type

    @property
    def whole(self) -> bool:
        """True for one value, which has no fields."""
        return not self.fields


def form_of(schema: Mapping[str, Any]) -> Form:
    """What a JSON schema describes, in the types of state; what has no type of its own is `json`."""
    definitions = schema.get("$defs", {})
    schema = _followed(schema, definitions)
    properties = schema.get("properties")
    kind = _type(schema, definitions)
    if not properties or kind.word != "map":
        return Form({}, kind)
    required = schema.get("required", ())
    return Form({name: Field(_type(one, definitions), name in required) for name, one in properties.items()}, kind)


def _type(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Type:
    names = [str(arm.get("$ref", "")).rpartition("/")[2] for arm in _arms(schema)]
    if any(name in _MESSAGES for name in names):
        return Type("Message")
    if any(name in _PROMPTS for name in names):
        return list_of(Type("Message"))
    if names == ["Document"]:
        return Type("Document")
    arms = [arm for arm in _arms(schema) if arm.get("type") != "null"]
    if len(arms) != 1:
        kinds = {_type(arm, definitions) for arm in arms}
        return kinds.pop() if len(kinds) == 1 else JSON
    one = _followed(arms[0], definitions)
    word = one.get("type")
    if word in _SCALARS:
        return Type(_SCALARS[word])
    if word == "array":
        return list_of(_type(one.get("items", {}), definitions))
    if word == "object":
        inner = one.get("additionalProperties")
        return Type("map", _type(inner, definitions) if isinstance(inner, Mapping) else JSON)
    return JSON


def _arms(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*(schema.get("anyOf") or schema.get("oneOf") or (schema,))]


def _followed(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: Mapping[str, Any] = definitions.get(name, schema)
    return found
