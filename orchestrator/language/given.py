"""What may stand for a node in Python: functions, Node classes and Nodes, graphs, and Runnables of LangChain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragweave.orchestrator.interop import node_of
from ragweave.orchestrator.node import Node


def implementation(thing: Any) -> Any | None:
    """The function, Node class or Node that was given in Python; of a Graph, the node that runs it, of a Runnable of
    LangChain, the class of one. None for others."""
    if isinstance(thing, (str, Mapping)):
        return None
    made = getattr(thing, "__ragweave_node__", None)
    if isinstance(made, Node):
        return made
    return node_of(thing) or (thing if callable(thing) else None)


def type_name(thing: Any) -> str:
    """How a thing that was given in Python is called where a file would have the name of a type."""
    made = thing if isinstance(thing, type) else type(thing)
    if hasattr(made, "type_name"):  # of a node or a resource
        return str(made.type_name or made.__name__)
    return getattr(thing, "__name__", type(thing).__name__)
