"""A model that needs no key, no network and no weights: it answers with sentences and lines of the sources, or not at all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence

from pydantic import Field, PositiveInt

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.extraction.selection import Selection, select
from ragweave.orchestrator.models.extraction.wording import paragraphs
from ragweave.orchestrator.values import Document, Usage

UNKNOWN = "I do not know: the sources do not say."
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
        selection = await asyncio.to_thread(select, question, documents, self.max_sentences)
        for piece in _PIECES.findall(spoken(selection)):
            yield ChatChunk(text=piece)
        yield ChatChunk(usage=Usage(calls=1), finish="stop", confidence=selection.confidence)


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
