"""LangGraph with its `DeltaChannel` (beta) in the place of `add_messages`: what is written is added, not the whole."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.channels import DeltaChannel
from langgraph.graph.message import _messages_delta_reducer

from durable import langgraph
from durable.protocol import Read, Turn

PACKAGES = langgraph.PACKAGES
UNSUPPORTED: dict[str, str] = {}


class Chat(TypedDict):
    """A chat that is kept by its additions."""

    messages: Annotated[list[Any], DeltaChannel(_messages_delta_reducer)]


def chat(folder: Path) -> AbstractAsyncContextManager[Turn]:
    """As LangGraph's, with the other channel."""
    return langgraph.chat(folder, Chat)


def reading(folder: Path) -> AbstractAsyncContextManager[Read]:
    """As LangGraph's, with the other channel."""
    return langgraph.reading(folder, Chat)
