"""A model that needs no key and no network: it answers with sentences and lines of the sources, or not at all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveInt, PrivateAttr

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest, Embedder, EmbedderName
from ragweave.orchestrator.errors import MissingExtra, ModelError
from ragweave.orchestrator.models.extraction.questions import in_context
from ragweave.orchestrator.models.extraction.selection import Selection, select
from ragweave.orchestrator.models.extraction.wording import paragraphs
from ragweave.orchestrator.models.parts import refuse_parts
from ragweave.orchestrator.values import Document, Usage

if TYPE_CHECKING:
    import numpy as np

    from ragweave.orchestrator.resources import Resources

UNKNOWN = "I do not know: the sources do not say."
_PIECES = re.compile(r"\S+\s*")
_QUESTION = re.compile(r"^[ \t]*(?:question|query|q|user)[ \t]*:", re.IGNORECASE | re.MULTILINE)


class Extractive(ChatModel, type="extractive"):
    """Answers by quoting the sentences, list items and table rows of the passages that answer each part of a question.

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

    def follows_instructions(self) -> bool:
        """False: it quotes the documents, whatever it is told."""
        return False

    def pricing(self) -> Literal["free"]:
        """It costs nothing."""
        return "free"

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The quotes in pieces of a word; the last chunk has the confidence. Raises ModelError if asked for JSON."""
        if request.response_schema is not None:
            raise ModelError(
                "the model 'extractive' quotes its sources and cannot fill in a JSON schema",
                hint="give this node a model with an endpoint, such as {type: openai}",
            )
        refuse_parts(request.messages, ("text",), "extractive", hint="give this node a model that reads it")
        question, documents = _asked(request)
        similar = _Nearness(self._embedder) if self._embedder is not None else None
        selection = await asyncio.to_thread(select, question, documents, self.max_sentences, similar)
        for piece in _PIECES.findall(spoken(selection)):
            yield ChatChunk(text=piece)
        yield ChatChunk(usage=Usage(calls=1), finish="stop", confidence=selection.confidence)


class _Nearness:
    """Cosines by an embedder; the clauses of one question share many segments, and none is embedded twice."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors: dict[str, np.ndarray] = {}

    def __call__(self, text: str, others: Sequence[str]) -> list[float]:
        """How near each of the others is to the text."""
        new = [one for one in dict.fromkeys([text, *others]) if one not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._embedder.embed(new), strict=True))
        return [float(self._vectors[other] @ self._vectors[text]) for other in others]


def spoken(selection: Selection) -> str:
    """What the model says: a paragraph a source, or that it does not know."""
    return "\n".join(paragraphs(selection.chosen)) if selection.chosen else UNKNOWN


def _asked(request: ChatRequest) -> tuple[str, Sequence[Document]]:
    """Question and passages, a follow-up with the turn before it; of messages alone the user's last is taken apart."""
    turns = [message.text.strip() for message in request.messages if message.role == "user"]
    if request.question and request.documents:
        return in_context(request.question, turns[-2] if len(turns) > 1 else ""), request.documents
    said = turns[-1] if turns else ""
    if request.documents or request.question:
        return request.question or said, request.documents
    marks = list(_QUESTION.finditer(said))
    if marks and said[: marks[-1].start()].strip():
        return said[marks[-1].end() :].strip(), [Document(id="message", text=said[: marks[-1].start()])]
    before, _, last = said.rpartition("\n")
    return last.strip(), [Document(id="message", text=before)] if before.strip() else []
