"""A chat model of LangChain that a plugin registered, as a model type of graph files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.models.langchain import LangChain

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources


class GivenModel(ChatModel):
    """Asks the chat model that was registered. It has its settings already."""

    given: ClassVar[Any] = None
    _model: LangChain | None = PrivateAttr(None)

    @property
    def asked(self) -> LangChain:
        """The model that does the work."""
        if self._model is None:
            self._model = LangChain.of(self.given)
        return self._model

    @property
    def model(self) -> str:
        """What the provider calls it, for prices."""
        return self.asked.model

    def open(self, resources: Resources) -> None:
        """Tell it where the bytes of images are."""
        self.asked.open(resources)

    def structures(self) -> bool:
        """True if the chat model can be bound to a schema."""
        return self.asked.structures()

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """The reply in pieces."""
        return self.asked.stream(request)
