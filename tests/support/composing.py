"""Models made of scripted ones, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Message

ASK = ChatRequest([Message.of("user", "Where is the tea?")], question="Where is the tea?")
DOWN = {"error": "overloaded", "transient": True}


def asking(question: str, **fields: Any) -> ChatRequest:
    """A request of one message that is the question."""
    return ChatRequest([Message.of("user", f"Q: {question}")], question=question, **fields)


def says(*replies: Any, **settings: Any) -> Scripted:
    """A model that says these in turn; the last one for ever."""
    return Scripted(replies=list(replies), **{"repeat": len(replies) == 1, **settings})


def pool(
    declared: Mapping[str, Mapping[str, Any]],
    models: Mapping[str, ChatModel] | None = None,
    *,
    said: list[str] | None = None,
    folder: Path | None = None,
    prices: str = "",
) -> Resources:
    """Resources with these declared models, beside those that are given."""
    specs = [
        ResourceSpec("models", name, str(entry["type"]), {key: value for key, value in entry.items() if key != "type"})
        for name, entry in declared.items()
    ]
    notice = said.append if said is not None else None
    resources = Resources(specs, folder=folder, environ={}, notice=notice, prices=prices)
    for name, model in (models or {}).items():
        resources.put("models", name, model)
    return resources


async def ask(model: ChatModel, request: ChatRequest = ASK) -> list[ChatChunk]:
    """The whole reply, in its pieces."""
    return [chunk async for chunk in model.stream(request)]


async def told(model: ChatModel, request: ChatRequest = ASK) -> str:
    """The text of the reply."""
    return "".join(chunk.text for chunk in await ask(model, request))
