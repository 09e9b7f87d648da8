"""LangChain both ways: its objects as nodes and resources of a graph, and a graph as a Runnable or a tool of its own.

Nothing of LangChain is imported before somebody brings an object of it, or asks for one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import InputError, PluginError, a, did_you_mean

if TYPE_CHECKING:
    from langchain_core.tools import StructuredTool

_CLASSES = {
    "models": ("langchain_core.language_models.chat_models", "BaseChatModel"),
    "retrievers": ("langchain_core.retrievers", "BaseRetriever"),
    "prompts": ("langchain_core.prompts.base", "BasePromptTemplate"),
    "embedders": ("langchain_core.embeddings.embeddings", "Embeddings"),
    "tools": ("langchain_core.tools.base", "BaseTool"),
    "nodes": ("langchain_core.runnables.base", "Runnable"),
}
_STORE = ("langchain_core.vectorstores.base", "VectorStore")
"""What LangChain calls a thing of each kind; of an object that is several of them, the first counts."""


def kind_of(thing: Any) -> str:
    """The kind of resource that an object of LangChain makes, `nodes` for any other Runnable; empty if it is none."""
    # Who brings an object has imported its class, so nothing has to be imported in order to tell.
    for kind, (module, name) in _CLASSES.items():
        known = getattr(sys.modules.get(module), name, None)
        if known is not None and isinstance(thing, known):
            return kind
    return "retrievers" if is_store(thing) else ""


def is_store(thing: Any) -> bool:
    """True for a vector store, which is a retriever that can be added to."""
    known = getattr(sys.modules.get(_STORE[0]), _STORE[1], None)
    return known is not None and isinstance(thing, known)


def is_compiled(thing: Any) -> bool:
    """True for a compiled graph of LangGraph, such as an agent."""
    pregel = getattr(sys.modules.get("langgraph.pregel"), "Pregel", None)
    return pregel is not None and isinstance(thing, pregel)


def adopted(kind: str, thing: Any) -> Any:
    """An object of LangChain, or a function with `@tool`, as a resource of this kind; anything else as it is."""
    made = getattr(thing, "__ragweave_tool__", None)
    if made is not None and kind == "tools":
        return made()
    if isinstance(thing, (str, Mapping)) or kind_of(thing) != kind:
        return thing
    if kind == "models":
        from ragweave.orchestrator.models.langchain import LangChain

        return LangChain.of(thing)
    if is_store(thing):
        from ragweave.orchestrator.interop.vectorstore import VectorStoreIndex

        return VectorStoreIndex.of(thing)
    if kind == "retrievers":
        from ragweave.orchestrator.interop.retriever import LangChainRetriever

        return LangChainRetriever.of(thing)
    if kind == "embedders":
        from ragweave.orchestrator.interop.embedder import LangChainEmbedder

        return LangChainEmbedder.of(thing)
    if kind == "tools":
        from ragweave.orchestrator.interop.langchain_tool import LangChainTool

        return LangChainTool.of(thing)
    from ragweave.orchestrator.interop.prompt import LangChainPrompt

    return LangChainPrompt.of(thing)


def for_langchain(*things: Any) -> list[StructuredTool]:
    """Functions with `@tool`, opened tools and graphs as tools of LangChain, for `create_agent(model, tools=…)`.

    Raises MissingExtra if LangChain is not installed, InputError for what is none of these, or cannot be a tool there.
    """
    found: list[StructuredTool] = []
    for thing in things:
        ours = thing if kind_of(thing) else adopted("tools", thing)
        if kind_of(ours) == "tools":
            found.append(ours)
        elif hasattr(ours, "as_langchain"):
            found += ours.as_langchain()
        elif hasattr(ours, "as_tool"):
            found.append(ours.as_tool())
        else:
            raise InputError(f"{thing!r} is no tool", hint="give a function with @tool, a Tool or a Graph")
    return found


def node_of(thing: Any) -> Any | None:
    """The node type that runs a Runnable; None for what is none."""
    if kind_of(thing) in ("", "embedders") or is_store(thing):
        return None
    from ragweave.orchestrator.nodes.runnable import runnable_node

    return runnable_node(thing)


def register(name: str, thing: Any, *, kind: str = "", **settings: Any) -> None:
    """Make an object of LangChain a type that graph files can name.

    A retriever becomes a type of `retrievers`, a prompt one of `prompts`, a chat model one of `models`, embeddings one
    of `embedders`, a tool one of `tools`, anything else a node type; `kind="nodes"` makes any but embeddings a node.
    `settings` are those of `runnable_node` (inputs, outputs, effects, idempotent), of `LangChainPrompt` (variables) and
    of `LangChainTool` (effects, idempotent, timeout, max_result). Raises PluginError for what is not of LangChain, and
    for a name that is taken.
    """
    own = kind_of(thing)
    kind = kind or own
    others = (own, "nodes") if own != "embedders" and not is_store(thing) else (own,)
    if not own or kind not in others:
        raise PluginError(
            f"{name!r} cannot be registered{f' under {kind}' if kind else ''}: it is {a(type(thing).__name__)}",
            hint="give a Runnable, a retriever, a vector store, a prompt, embeddings, a chat model or a tool of "
            "LangChain; register functions with @node",
        )
    made: Any
    if kind == "nodes":
        from ragweave.orchestrator.nodes.runnable import runnable_node

        made = runnable_node(thing, **settings)
    elif kind == "prompts":
        from ragweave.orchestrator.interop.prompt import LangChainPrompt

        made = type(name, (LangChainPrompt,), {})
        made.given, made.typed = thing, settings.pop("variables", {})
    elif is_store(thing):
        from ragweave.orchestrator.interop.vectorstore import VectorStoreIndex

        made = type(name, (VectorStoreIndex,), {})
        made.given = thing
    elif kind == "retrievers":
        from ragweave.orchestrator.interop.retriever import LangChainRetriever

        made = type(name, (LangChainRetriever,), {})
        made.given = thing
    elif kind == "tools":
        made = _tool_type(name, thing, settings)
        settings = {}
    elif kind == "embedders":
        from ragweave.orchestrator.interop.embedder import LangChainEmbedder

        made = type(name, (LangChainEmbedder,), {"__annotations__": {"model": str}, "model": name})
        made.given = thing
    else:
        from ragweave.orchestrator.interop.model import GivenModel

        made = type(name, (GivenModel,), {})
        made.given = thing
    if kind != "nodes" and settings:
        raise PluginError(f"{name!r}: {a(kind[:-1])} takes no {', '.join(settings)}")
    made.type_name = made.__qualname__ = name
    made.__module__ = sys._getframe(1).f_globals.get("__name__", __name__)  # a plugin may be loaded again
    registry.add(kind, name, made)


def _tool_type(name: str, thing: Any, settings: Mapping[str, Any]) -> Any:
    """The type that calls a tool of LangChain; these settings are those that a graph starts from."""
    from typing import Annotated

    from pydantic import Field, create_model

    from ragweave.orchestrator.interop.langchain_tool import LangChainTool

    fields: dict[str, Any] = {}
    for key, value in settings.items():
        known = LangChainTool.model_fields.get(key)
        if known is None:
            raise PluginError(f"{name!r}: a tool takes no {key!r}{did_you_mean(key, LangChainTool.model_fields)}")
        kind = Annotated[(known.annotation, *known.metadata)] if known.metadata else known.annotation
        fields[key] = (kind, Field(default=value, description=known.description, validate_default=True))
    made: Any = create_model(name, __base__=LangChainTool, __doc__=thing.description, **fields)
    made.given = thing
    return made
