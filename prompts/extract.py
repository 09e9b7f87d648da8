"""The node type `extract`: typed values from a text, by a model whose reply is checked against a schema."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, PlainValidator, PositiveInt, WithJsonSchema, create_model, field_validator, model_validator

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatRequest, ModelName, PromptName
from ragweave.orchestrator.models.replies import structured
from ragweave.orchestrator.node import Node, Read, Signature, Write
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.schemas import unusable
from ragweave.orchestrator.types import JSON, Type, annotation_of, converter
from ragweave.prompts.source import Variable, read_variable
from ragweave.prompts.template import DECLARATION, Prompt


class Extract(Node, type="extract"):
    """Take values from a text: each of `fields` becomes a state key of its type; with `json_schema`, all go to `data`.

    It reads what its prompt declares; `extract`, the one that comes with ragweave, reads `text`. The model is bound to
    the schema where its server can do that, and is told it in words elsewhere; a reply that does not satisfy it is sent
    back once with what is wrong. A field whose type ends in `?` is not written where the text does not say it.
    """

    origin = "model"
    example = 'order: {type: extract, model: chat, fields: {city: str, guests: int, wishes: "list[str]?"}}'

    model: ModelName = Field("auto", description="The model that reads the text; it has to follow instructions.")
    prompt: PromptName = Field("extract", description="What it is told; its variables are what is read.")
    fields: Mapping[str, Annotated[Variable, PlainValidator(read_variable), WithJsonSchema(DECLARATION)]] = Field(
        {}, description="The values by name, with their types; a description helps the model."
    )
    json_schema: Mapping[str, Any] = Field({}, description="A JSON schema instead of fields, for what goes to `data`.")
    temperature: float | None = Field(0.0, ge=0, description="0 for the likeliest words.")
    max_tokens: PositiveInt | None = Field(None, description="The longest reply, in tokens; a longer one is an error.")

    @field_validator("json_schema")
    @classmethod
    def _check_schema(cls, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        if schema:
            fault = unusable(schema)
            if fault:
                raise ValueError(fault)
        return schema

    @model_validator(mode="after")
    def _check_either(self) -> Extract:
        if bool(self.fields) == bool(self.json_schema):
            raise ValueError("say what to take, by either 'fields' or 'json_schema'")
        return self

    def signature(self, resources: Resources) -> Signature:
        """Reads the variables of the prompt, writes the fields, or `data`. Raises ResourceError if the prompt is
        wrong."""
        prompt: Prompt = resources.get("prompts", self.prompt)
        reads = {name: Read(variable.type, variable.required) for name, variable in prompt.variables.items()}
        if self.json_schema:
            return Signature(reads, {"data": Write(_kind(self.json_schema))})
        return Signature(reads, {name: Write(field.type, field.required) for name, field in self.fields.items()})

    async def __call__(self, ctx: Context, **state: Any) -> Mapping[str, Any]:
        """The values. Raises ModelError if the model cannot be brought to satisfy the schema."""
        prompt: Prompt = await ctx.prompt(self.prompt)
        model = await ctx.model(self.model)
        text = state.get("text")
        request = ChatRequest(
            messages=prompt.render(**state),
            question=text if isinstance(text, str) else "",
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )
        value = await structured(ctx, model, request, self.wanted, name=self.model)
        if self.json_schema:
            return {"data": value}
        given = {name: value.get(name) for name in self.fields}
        return {name: converter(self.fields[name].type)(item) for name, item in given.items() if item is not None}

    @cached_property
    def wanted(self) -> Mapping[str, Any]:
        """What the reply has to satisfy. Optional fields are required but may be null: servers keep to such schemas
        best."""
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
