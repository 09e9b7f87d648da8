"""Graphs, retrievers, tools and embedders offered to LangChain; an error says what to install where it is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ragweave.orchestrator.errors import InputError, MissingExtra, OutputError, did_you_mean

if TYPE_CHECKING:
    from langchain_core.tools import StructuredTool

    from ragweave.orchestrator.contracts import Embedder, Retriever, Tool
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.interop.chained import GraphRunnable
    from ragweave.orchestrator.interop.offered import EmbedderEmbeddings, GraphRetriever, PassageRetriever


def as_runnable(graph: Graph, *, output: str = "") -> GraphRunnable:
    """The graph as a Runnable. Raises MissingExtra without LangChain, OutputError for an output that is none."""
    with _installed("graph.as_runnable()"):
        from ragweave.orchestrator.interop.chained import GraphRunnable
    _check_output(graph, output)
    return GraphRunnable(graph, output)


def as_tool(graph: Graph, *, name: str = "", description: str = "", output: str = "") -> StructuredTool:
    """The graph as a tool. Raises MissingExtra without LangChain, InputError for a graph that cannot be one."""
    with _installed("graph.as_tool()"):
        from ragweave.orchestrator.interop.tool import tool_of
    _check_output(graph, output)
    return tool_of(graph, name=name, description=description, output=output)


def graph_as_retriever(graph: Graph, output: str) -> GraphRetriever:
    """The graph as a retriever. Raises MissingExtra without LangChain, OutputError, InputError."""
    with _installed("graph.as_retriever()"):
        from ragweave.orchestrator.interop.offered import GraphRetriever
    _check_output(graph, output)
    inputs = graph.plan.spec.inputs
    needed = [name for name, key in inputs.items() if not key.has_default] or list(inputs)[:1]
    if len(needed) != 1:
        raise InputError(
            f"{graph.name!r} needs {', '.join(needed) or 'no text'}, and a retriever is given one text",
            hint="give the other inputs a default",
        )
    return GraphRetriever(graph=graph, output=output, question=needed[0])


def as_retriever(retriever: Retriever, top_k: int) -> PassageRetriever:
    """A retriever as one of LangChain. Raises MissingExtra without LangChain."""
    with _installed("as_langchain()"):
        from ragweave.orchestrator.interop.offered import PassageRetriever
    return PassageRetriever(retriever=retriever, k=top_k)


def as_embeddings(embedder: Embedder) -> EmbedderEmbeddings:
    """An embedder as embeddings of LangChain. Raises MissingExtra without LangChain."""
    with _installed("as_langchain()"):
        from ragweave.orchestrator.interop.offered import EmbedderEmbeddings
    return EmbedderEmbeddings(embedder)


def as_tools(tool: Tool, name: str) -> list[StructuredTool]:
    """The tools of a resource as those of LangChain. Raises MissingExtra without LangChain, InputError."""
    with _installed("as_langchain()"):
        from ragweave.orchestrator.interop.offered_tools import tools_of
    return tools_of(tool, name)


def _check_output(graph: Graph, output: str) -> None:
    outputs = graph.plan.spec.outputs
    if output and output not in outputs:
        known = did_you_mean(output, outputs) or "; it declares none"
        raise OutputError(f"{graph.name!r} has no output {output!r}{known}")


@contextlib.contextmanager
def _installed(feature: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "langchain_core":
            raise
        raise MissingExtra(feature, "langchain-core", "langchain") from None
