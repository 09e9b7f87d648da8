"""A graph as a tool for agents of LangChain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool, ToolException

from ragweave.orchestrator.errors import InputError, RagweaveError
from ragweave.orchestrator.interop.chained import GraphRunnable
from ragweave.orchestrator.interop.telling import arguments_of, told
from ragweave.orchestrator.running.bridge import wait_for

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
