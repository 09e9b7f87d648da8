"""What a model is told of a graph that it may call, and what it reads of the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ragweave.orchestrator.interop.prompt import text_of
from ragweave.orchestrator.types import JSON, annotation_of
from ragweave.orchestrator.values import Answer

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph


def arguments_of(graph: Graph) -> dict[str, Any]:
    """JSON schema of the inputs of a graph."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for name, key in graph.plan.spec.inputs.items():
        schema = TypeAdapter(annotation_of(key.type or JSON)).json_schema()
        definitions.update(schema.pop("$defs", {}))
        if key.choices:
            (schema["items"] if key.type is not None and key.type.item else schema)["enum"] = list(key.choices)
        if key.description:
            schema["description"] = key.description
        if key.has_default:
            schema["default"] = key.default
        properties[name] = schema
    required = [name for name, key in graph.plan.spec.inputs.items() if not key.has_default]
    whole = {"type": "object", "title": graph.name, "properties": properties, "required": required}
    return {**whole, "$defs": definitions} if definitions else whole


def told(outputs: Mapping[str, Any]) -> str:
    """What a model reads of the outputs: an answer with its sources, documents with their numbers."""
    texts = {name: _text(value) for name, value in outputs.items()}
    return "\n\n".join(texts.values() if len(texts) == 1 else (f"{name}:\n{text}" for name, text in texts.items()))


def _text(value: Any) -> str:
    if not isinstance(value, Answer) or not value.citations:
        return text_of(value)
    sources = {one.number: one.title or one.source or one.document for one in value.citations}
    return "\n".join([value.text, "", *(f"[{number}] {source}" for number, source in sorted(sources.items()))])
