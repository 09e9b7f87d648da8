"""Objects of LangChain that the tests here bring: its own fakes, with what each test needs of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.vectorstores import InMemoryVectorStore, VectorStoreRetriever

TEXTS = ("the key is under the mat", "the lamp is on the rack", "tea is in the tin")
WORDS = sorted({word for text in TEXTS for word in text.split()})


class WordCounts(Embeddings):
    """Counts the words that the texts here have, so that a question finds the text of its words."""

    def embed_query(self, text: str) -> list[float]:
        words = text.lower().split()
        return [words.count(word) + 0.01 for word in WORDS]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


class Speaker(GenericFakeChatModel):
    """LangChain's fake chat model that notes what it was asked, takes tools, and streams calls and usage too."""

    asked: list[Any] = []

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
        self.asked.append(messages)
        return super()._generate(messages, *args, **kwargs)

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        said: Any = self._generate(messages).generations[0].message
        *words, last = re.split(r"(?= )", said.text)
        for word in words:
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        rest = {"tool_calls": said.tool_calls, "usage_metadata": said.usage_metadata}
        yield ChatGenerationChunk(message=AIMessageChunk(content=last, **rest))

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self


def speaker(*replies: str | AIMessage) -> Speaker:
    """A chat model that says these things, one after the other."""
    return Speaker(messages=iter(replies), asked=[])


def shelf(**search: Any) -> VectorStoreRetriever:
    """A retriever over the texts."""
    store = InMemoryVectorStore(WordCounts())
    store.add_documents(
        [Document(text, metadata={"title": f"Note {at}", "source": f"{at}.md"}) for at, text in enumerate(TEXTS)]
    )
    return store.as_retriever(**search)
