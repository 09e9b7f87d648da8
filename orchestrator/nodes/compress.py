"""The node that keeps of the documents what the question needs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import NamedTuple, TypedDict

from pydantic import Field, PositiveInt

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Embedder, EmbedderName, ModelName
from ragweave.orchestrator.models.extraction.questions import clauses
from ragweave.orchestrator.models.extraction.scoring import Scorer, Similar
from ragweave.orchestrator.models.extraction.segments import Segment
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.texts.ranking import choose, vectors
from ragweave.orchestrator.texts.tokens import Count, counter
from ragweave.orchestrator.values import Document

ABOUT = 12
"""Tokens that a prompt spends on each document beside title and text: its number, its source, its line."""
DIVERSITY = 0.5
"""What a sentence loses that says again what a better one says; the rest is what it has to do with the question."""
_MARK = re.compile(r"[ \t]*(?:[-*+•‣]|\d{1,3}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?")
_ROW = re.compile(r"[ \t]*\|")


class Kept(TypedDict):
    """What a compress writes."""

    documents: list[Document]


class Compress(Node, type="compress"):
    """Keep of the documents the sentences, items and rows that have to do with the question, within a token budget.

    What stays of a document are one or more documents with its id, each an unbroken part of it with its own `offsets`
    and `line`, so that citations point to where they would without; headings that a part has lost stand in its title.
    Documents that fit are passed on as they are. The best sentence is always kept, even where it alone is too long; a
    document of which nothing is kept is left out. Sentences are scored as the model `extractive` scores them, by words
    and with an `embedder` also by meaning, and lose what a better one has said (maximal marginal relevance, Carbonell
    and Goldstein 1998).
    """

    asks_models = False
    example = "compress: {type: compress, max_tokens: 1000}"

    max_tokens: PositiveInt = Field(1000, description="What all documents may have together, with their titles.")
    embedder: EmbedderName | None = Field(None, description="Compares meanings; without one, words alone decide.")
    model: ModelName | None = Field(None, description="Whose tokens are counted; without it, about.")

    async def __call__(self, question: str, documents: list[Document], ctx: Context) -> Kept:
        """The parts that are kept, in the order of the documents."""
        count = await counter(ctx, self.model)
        embedder = await ctx.embedder(self.embedder) if self.embedder is not None else None
        similar = _nearness(embedder) if embedder is not None else None
        return {"documents": await asyncio.to_thread(compress, question, documents, self.max_tokens, count, similar)}


class _Part(NamedTuple):
    """A part of a document that is kept or left out as a whole."""

    document: int
    start: int
    end: int
    headings: tuple[str, ...]
    text: str
    score: float
    cost: int


def compress(
    question: str, documents: Sequence[Document], max_tokens: int, count: Count, similar: Similar | None = None
) -> list[Document]:
    """The parts of the documents that answer the question best and have at most `max_tokens` tokens together."""
    if sum(_size(document.title, document.text, count) for document in documents) <= max_tokens:
        return list(documents)
    parts = _scored(question, documents, count, similar)
    if not parts:
        return []
    found = vectors([part.text for part in parts])
    scores = [part.score for part in parts]
    best = max(range(len(parts)), key=lambda place: (scores[place], -place))
    low, high = 0, max_tokens
    kept = [parts[best]]
    # What titles cost is only known when it is known what is kept, so the sentences' own budget is found by halving.
    while low <= high:
        middle = (low + high) // 2
        chosen = [parts[place] for place in choose(scores, found, [p.cost for p in parts], middle, diversity=DIVERSITY)]
        cut = _cut(documents, chosen if parts[best] in chosen else [parts[best]], count)
        if sum(_size(one.title, one.text, count) for one in cut) <= max_tokens:
            kept, low = chosen if parts[best] in chosen else [parts[best]], middle + 1
        else:
            high = middle - 1
    return _cut(documents, kept, count)


def _scored(question: str, documents: Sequence[Document], count: Count, similar: Similar | None) -> list[_Part]:
    """Every segment with its best score over the clauses of the question, the best of each clause being 1."""
    scorer = Scorer(documents, similar)
    scores: dict[tuple[int, int], float] = {}
    for place, clause in enumerate(clauses(question)):
        candidates = scorer.candidates(clause, place)
        most = max((candidate.score for candidate in candidates), default=0.0) or 1.0
        for candidate in candidates:
            key = (candidate.passage.number - 1, candidate.place)
            scores[key] = max(scores.get(key, 0.0), candidate.score / most)
    parts = []
    for passage in scorer.passages:
        text = passage.document.text
        for place, segment in enumerate(passage.segments):
            start = _start(text, segment)
            score = scores.get((passage.number - 1, place), 0.0)
            cost = count(text[start : segment.end])
            parts.append(_Part(passage.number - 1, start, segment.end, segment.headings, segment.text, score, cost))
    return parts


def _start(text: str, segment: Segment) -> int:
    """Where a part starts: an item with its mark, a row with those above it, the head of the table first."""
    start = segment.start
    line = text.rfind("\n", 0, start) + 1
    if segment.kind in ("item", "step") and _MARK.fullmatch(text, line, start):
        return line
    while segment.kind == "row":
        before = text.rfind("\n", 0, max(start - 1, 0)) + 1
        if before >= start or not _ROW.match(text, before):
            break
        start = before
    return start


def _cut(documents: Sequence[Document], kept: Sequence[_Part], count: Count) -> list[Document]:
    """The kept parts as documents; what lies between two of them stays where it is cheaper than a second title."""
    cut: list[Document] = []
    for number, document in enumerate(documents):
        runs: list[list[int]] = []
        first: list[tuple[str, ...]] = []
        about = ABOUT + count(document.title)
        for part in sorted(part for part in kept if part.document == number):
            if runs and count(document.text[runs[-1][1] : part.start]) <= about:
                runs[-1][1] = max(runs[-1][1], part.end)
            else:
                runs.append([part.start, part.end])
                first.append(part.headings)
        cut += [_part_of(document, start, end, headings) for (start, end), headings in zip(runs, first, strict=True)]
    return cut


def _part_of(document: Document, start: int, end: int, headings: Sequence[str]) -> Document:
    """The part of a document with its place in the source, and the headings that are above it in its title."""
    names = document.title.split(" > ") if document.title else []
    names += [heading for heading in headings if heading not in names]
    offsets = (document.offsets[0] + start, document.offsets[0] + end) if document.offsets is not None else None
    line = document.line + document.text.count("\n", 0, start) if document.line is not None else None
    text = document.text[start:end]
    return document.model_copy(update={"text": text, "title": " > ".join(names), "offsets": offsets, "line": line})


def _size(title: str, text: str, count: Count) -> int:
    return ABOUT + count(title) + count(text)


def _nearness(embedder: Embedder) -> Similar:
    def similar(text: str, others: Sequence[str]) -> list[float]:
        vectors = embedder.embed([text, *others])
        return [float(value) for value in vectors[1:] @ vectors[0]]

    return similar
