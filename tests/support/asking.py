"""Calling an endpoint's model in a test, and what comes of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.openai import OpenAI
from ragweave.orchestrator.models.served import ServedModel
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Message
from tests.support.openai_server import OpenAIServer, Reply

ASK = ChatRequest([Message.of("system", "Be brief."), Message.of("user", "Hi?")])


@contextlib.asynccontextmanager
async def connected(
    server: OpenAIServer, kind: type[ServedModel] = OpenAI, resources: Resources | None = None, **settings: Any
) -> AsyncIterator[Any]:
    """A model of this server, closed at the end."""
    model = kind(**{"model": "test-model", "base_url": server.url, "api_key": server.key, **settings})
    if resources is not None:
        model.open(resources)
    try:
        yield model
    finally:
        await model.close()


async def ask(model: ChatModel, request: ChatRequest = ASK) -> list[ChatChunk]:
    """The whole reply, in its pieces."""
    return [chunk async for chunk in model.stream(request)]


async def failure(*replies: Reply, request: ChatRequest = ASK, **settings: Any) -> ModelError:
    """The error that a call meets with these replies, without retries."""
    with OpenAIServer(replies) as server:
        async with connected(server, **{"max_retries": 0, **settings}) as model:
            with pytest.raises(ModelError) as caught:
                await ask(model, request)
    return caught.value


def text_of(chunks: Sequence[ChatChunk]) -> str:
    """The text of a reply."""
    return "".join(chunk.text for chunk in chunks)
