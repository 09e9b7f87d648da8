"""A model that needs no key, no network and no weights: it answers with sentences and lines of the sources, or not at all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, PositiveInt, PrivateAttr

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest, Embedder, EmbedderName
from ragweave.orchestrator.errors import MissingExtra, ModelError
from ragweave.orchestrator.models.extraction.selection import Selection, select
from ragweave.orchestrator.models.extraction.wording import paragraphs
from ragweave.orchestrator.values import Document, Usage

UNKNOWN = "I do not know: the sources do not say."
if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources

_PIECES = re.compile(r"\S+\s*")
_QUESTION = re.compile(r"(?:^|\n)\s*(?:question|query|q|user)\s*:\s*(?P<question>.+?)\s*$", re.IGNORECASE | re.DOTALL)


class Extractive(ChatModel, type="extractive"):
    """Answers by quoting: the sentences, list items and table rows of the passages that answer each part of the question.

    It reads `question` and `documents` of the request, not the rendered messages; every quote ends with the mark `[n]`
    of its passage. If nothing answers, it says so, with confidence 0. Sources of the method: clause-wise sentence
    selection by rarity-weighted word overlap with answer-type cues, as in the baselines of TREC QA and SQuAD, and a
    logistic model for "unanswerable".
    """

    max_sentences: PositiveInt = Field(4, description="Sentences or lines to quote at most.")
    embedder: EmbedderName | None = Field(
        "minilm", description="Compares meanings; without one, or where it is not installed, words alone decide."
    )

    _embedder: Any = PrivateAttr(default=None)

    def open(self, resources: Resources) -> None:
        """Find the embedder; that it is not installed is said once."""
        if self.embedder is not None:
            try:
                self._embedder = resources.get("embedders", self.embedder)
            except MissingExtra as error:
                resources.say(f"{error}: the model 'extractive' goes by words alone")

    def cites(self) -> bool:
        """True: every quote is marked."""
        return True

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The quotes in pieces of a word; the last chunk has the confidence. Raises ModelError if asked for JSON."""
        if request.response_schema is not None:
            raise ModelError(
                "the model 'extractive' quotes its sources and cannot fill in a JSON schema",
                hint="give this node a model with an endpoint, such as {type: openai}",
            )
        question, documents = _asked(request)
        similar = self._similar if self._embedder is not None else None
        selection = await asyncio.to_thread(select, question, documents, self.max_sentences, similar)
        for piece in _PIECES.findall(spoken(selection)):
            yield ChatChunk(text=piece)
        yield ChatChunk(usage=Usage(calls=1), finish="stop", confidence=selection.confidence)

    def _similar(self, text: str, others: Sequence[str]) -> list[float]:
        """The cosines of texts to the first one."""
        embedder: Embedder = self._embedder
        vectors = embedder.embed([text, *others])
        return [float(value) for value in vectors[1:] @ vectors[0]]


def spoken(selection: Selection) -> str:
    """What the model says: a paragraph a source, or that it does not know."""
    return "\n".join(paragraphs(selection.chosen)) if selection.chosen else UNKNOWN


def _asked(request: ChatRequest) -> tuple[str, Sequence[Document]]:
    """Question and passages; where a caller gives only messages, the last one of the user is taken apart."""
    if request.question and request.documents:
        return request.question, request.documents
    said = next((message.text for message in reversed(request.messages) if message.role == "user"), "").strip()
    if request.documents or request.question:
        return request.question or said, request.documents
    marked = _QUESTION.search(said)
    if marked and said[: marked.start()].strip():
        return marked["question"], [Document(id="message", text=said[: marked.start()])]
    before, _, last = said.rpartition("\n")
    return last or before, [Document(id="message", text=before)] if before.strip() and last.strip() else []
