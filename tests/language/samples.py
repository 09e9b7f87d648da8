"""Node types and resources that the tests of the language use; registered by the fixture in conftest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, NotRequired, TypedDict

from pydantic import Field, PositiveInt, SecretStr, model_validator

from ragweave.orchestrator import registry
from ragweave.orchestrator.contracts import (
    ChatChunk,
    ChatModel,
    ChatRequest,
    ModelName,
    Retriever,
    RetrieverName,
    ToolName,
)
from ragweave.orchestrator.errors import NodeError
from ragweave.orchestrator.node import Node, Signature
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document


class Said(TypedDict):
    """What `say` writes."""

    answer: str


class Found(TypedDict):
    """What `find` writes."""

    documents: list[Document]
    hint: NotRequired[str]


class Paid(TypedDict):
    """What `pay` and `save` write."""

    receipt: str


class Say(Node):
    """Say a text.

    Nothing more.
    """

    example = "greet: {type: say, text: Hello.}"

    text: str = Field(description="What is said.")
    times: PositiveInt = 1
    """How often it is said."""
    mood: Literal["calm", "merry"] = "calm"
    loud: bool = False

    def __call__(self, question: str, name: str | None = None) -> Said:
        return {"answer": self.text}


class Find(Node):
    """Find documents."""

    retriever: RetrieverName = "shelf"
    top_k: PositiveInt = 5
    token: SecretStr | None = None

    def __call__(self, query: str) -> Found:
        return {"documents": []}


class Chat(Node):
    """Let a model answer."""

    model: ModelName = "echo"
    tools: list[ToolName] = []
    temperature: float = Field(0.0, ge=0, le=2)

    @model_validator(mode="after")
    def _warm_with_tools(self) -> Chat:
        if self.tools and self.temperature > 1:
            raise ValueError("tools need a temperature of at most 1")
        return self

    def __call__(self, question: str) -> Said:
        return {"answer": question}


class Pay(Node):
    """Pay an amount."""

    effects = "external"

    amount: float = 1.0

    def __call__(self, answer: str) -> Paid:
        return {"receipt": answer}


class Save(Node):
    """Save an answer; saving it twice is saving it once."""

    effects = "write"
    idempotent = True

    def __call__(self, answer: str) -> Paid:
        return {"receipt": answer}


class Moody(Node):
    """Cannot say what it reads."""

    def signature(self, resources: Resources) -> Signature:
        """Nothing good."""
        raise NodeError("it is Monday", hint="try again on Tuesday")


class Echo(ChatModel):
    """Says what it was asked."""

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """The question."""
        yield ChatChunk(request.question)


class Remote(Echo):
    """A model elsewhere."""

    url: str
    api_key: SecretStr | None = None
    retries: int = 2
    headers: dict[str, str] = {}


class Shelf(Retriever):
    """A retriever that needs nothing."""

    async def search(self, query: str, top_k: int) -> list[Document]:
        """Nothing."""
        return []


class Index(Shelf):
    """A retriever that needs a folder."""

    folder: str


def register() -> None:
    """Register all of them under their names in lower case."""
    for node in (Say, Find, Chat, Pay, Save, Moody):
        registry.add("nodes", node.__name__.lower(), node)
    for kind, resource in (("models", Echo), ("models", Remote), ("retrievers", Shelf), ("retrievers", Index)):
        registry.add(kind, resource.__name__.lower(), resource)
