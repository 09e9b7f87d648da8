"""A graph as a tool for agents of LangChain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool, ToolException
from pydantic import TypeAdapter

from ragweave.orchestrator.errors import InputError, RagweaveError
from ragweave.orchestrator.interop.chained import GraphRunnable
from ragweave.orchestrator.interop.prompt import text_of
from ragweave.orchestrator.running.bridge import wait_for
from ragweave.orchestrator.types import JSON, annotation_of
from ragweave.orchestrator.values import Answer

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph

_TAKEN = ("config", "run_manager", "callbacks")


def tool_of(graph: Graph, *, name: str, description: str, output: str) -> StructuredTool:
    """The tool that runs this graph. Its arguments are the inputs; its model reads text, the outputs are the artifact.

    A run that fails is a ToolException, which a tool with `handle_tool_error` tells its model. Raises InputError for a
    graph without a description, and for inputs that LangChain has taken.
    """
    description = description or graph.plan.spec.description
    if not description:
        raise InputError(
            f"a tool needs a description, by which a model knows when to call it, and {graph.name!r} has none",
            hint="write `description:` in the graph, or give as_tool(description=…)",
        )
    taken = [key for key in graph.plan.spec.inputs if key in _TAKEN]
    if taken:
        raise InputError(f"a tool of LangChain cannot have an argument {taken[0]!r}", hint="rename the input")
    runnable = GraphRunnable(graph)

    async def acall(config: RunnableConfig, **inputs: Any) -> tuple[str, dict[str, Any]]:
        try:
            result = await graph.arun(runnable.inputs(inputs), **runnable.options(config))
            outputs = await runnable.outputs(result)
        except RagweaveError as error:
            raise ToolException(str(error)) from error
        shown = {output: result[output]} if output else result.outputs
        return told(shown), outputs

    def call(config: RunnableConfig, **inputs: Any) -> tuple[str, dict[str, Any]]:
        return wait_for(acall(config, **inputs))

    return StructuredTool(
        name=name or graph.name,
        description=description,
        args_schema=arguments_of(graph),
        func=call,
        coroutine=acall,
        response_format="content_and_artifact",
    )


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
