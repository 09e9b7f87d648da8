"""Replies of a form: what nodes have in common whose model gives typed values, which become state keys."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import Field, create_model, field_validator, model_validator

from ragweave.orchestrator.node import Node, Write
from ragweave.orchestrator.schemas import unusable
from ragweave.orchestrator.types import JSON, Type, annotation_of, converter
from ragweave.orchestrator.variables import Declared

DATA = "data"
"""The state key of values that a JSON schema describes."""


class Shaped(Node):
    """A node that can be told which values its model is to give."""

    fields: Mapping[str, Declared] = Field(
        {}, description="The values by name, with their types; a description helps the model."
    )
    json_schema: Mapping[str, Any] = Field({}, description="A JSON schema instead of fields, for what goes to `data`.")

    @field_validator("json_schema")
    @classmethod
    def _check_schema(cls, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        if schema:
            fault = unusable(schema)
            if fault:
                raise ValueError(fault)
        return schema

    @model_validator(mode="after")
    def _check_one(self) -> Shaped:
        if self.fields and self.json_schema:
            raise ValueError("say what to take, by either 'fields' or 'json_schema'")
        return self

    @property
    def shaped(self) -> bool:
        """True if it was told any values."""
        return bool(self.fields or self.json_schema)

    def values_written(self) -> dict[str, Write]:
        """The state keys of the values; optional ones may be absent."""
        if self.json_schema:
            return {DATA: Write(_kind(self.json_schema))}
        return {name: Write(field.type, field.required) for name, field in self.fields.items()}

    def values_of(self, reply: Any) -> dict[str, Any]:
        """The values of a reply that satisfies `wanted`, by state key, each of its type."""
        if self.json_schema:
            return {DATA: reply}
        given = {name: reply.get(name) for name in self.fields}
        return {name: converter(self.fields[name].type)(item) for name, item in given.items() if item is not None}

    @cached_property
    def wanted(self) -> Mapping[str, Any]:
        """What the reply has to satisfy, as a JSON schema. Optional fields are required but may be null: servers keep
        to such schemas best."""
        if self.json_schema:
            return self.json_schema
        made: dict[str, Any] = {}
        for name, field in self.fields.items():
            kind = annotation_of(field.type)
            made[name] = (kind if field.required else kind | None, Field(description=field.description or None))
        schema: Mapping[str, Any] = _plain(
            create_model("reply", __config__={"extra": "forbid"}, **made).model_json_schema()
        )
        return schema


def _kind(schema: Mapping[str, Any]) -> Type:
    """The type of state that a schema's values have, as far as its outermost layer says."""
    words = {"object": "map", "array": "list", "string": "str", "integer": "int", "number": "float", "boolean": "bool"}
    word = words.get(str(schema.get("type")), "json")
    return Type(word, JSON if word in ("map", "list") else None)


def _plain(schema: Any) -> Any:
    """A schema of pydantic without the titles that repeat the names."""
    if isinstance(schema, Mapping):
        return {
            name: {key: _plain(item) for key, item in value.items()} if name == "properties" else _plain(value)
            for name, value in schema.items()
            if not (name == "title" and isinstance(value, str) and value != "reply")
        }
    return [_plain(item) for item in schema] if isinstance(schema, list) else schema
