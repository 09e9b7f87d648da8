"""The node type `hop`: what to ask next of a question that no single passage answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar, TypedDict

from pydantic import Field, PositiveInt

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatModel, ChatRequest, ModelName, PromptName
from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.models.replies import structured
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.values import Document
from ragweave.prompts.fences import fence
from ragweave.prompts.leads import leads

Step = dict[str, Any]
"""A query of a later hop, as `chain` has it: `query`, the `name` in it, `document` and `title` of the passage that has
the name, its `weight`, the question's words that are still `open`, and the ids of the passages that it `brought`."""
_TRUST = 0.25
"""How much less a query weighs whose name is worth less than the best one of the same passage: an exponent."""


class Hopped(TypedDict):
    """What a hop writes."""

    queries: list[str]
    documents: list[Document]
    chain: list[Step]


class Hop(Node, type="hop"):
    """Ask on from what was found: one step of iterative retrieval, for questions that take several passages.

    It reads what a mapped retriever `found`, a list for each of `queries`, and writes the best `documents` of all hops
    so far, the `queries` of the next one, none where nothing new is left to ask, and the `chain` of all that was asked.

    By rules, a query is a bridge entity, a name in one of the best passages that the question lacks, with the words of
    the question that are still open. With a `model` that follows instructions, it reads the passages and writes the
    queries. A passage counts with its own score times that of the passage which led to it times `decay`; scores are
    taken to lie between 0 and 1, as those of `hybrid` do.
    """

    example: ClassVar[str] = "hop: {type: hop, max_queries: 6}"

    model: ModelName | None = Field(
        default=None, description="The model that asks on; without one it is done by rules."
    )
    prompt: PromptName = Field(default="next_hop", description="What the model is told.")
    passages: PositiveInt = Field(default=3, description="Passages, the best ones, whose names may lead on.")
    max_queries: PositiveInt = Field(default=6, description="Queries of one hop at most.")
    decay: float = Field(default=0.9, gt=0, le=1, description="What a passage is worth less for each hop to it.")
    top_k: PositiveInt = Field(default=10, description="Passages to keep.")

    async def __call__(
        self,
        question: str,
        queries: list[str],
        found: list[list[Document]],
        ctx: Context,
        documents: list[Document] | None = None,
        chain: list[Step] | None = None,
    ) -> Hopped:
        """The next hop. Raises InputError if `found` has not one list for each query, ModelError as the model does."""
        if len(found) != len(queries):
            raise InputError(
                f"a hop needs the passages of each query: there are {len(found)} lists for {len(queries)} queries",
                hint="map the retriever over `queries`, without `merge` and `skip_failed`",
            )
        steps = [step for step in chain or () if "query" in step]
        kept = self._collect(question, queries, found, documents or (), steps)
        model = await ctx.model(self.model) if self.model is not None else None
        if model is not None and model.follows_instructions():
            asked = await self._ask(model, ctx, question, kept, [*queries, *(step["query"] for step in steps)])
        else:
            asked = await asyncio.to_thread(self._by_rules, question, kept, steps)
        told = {*queries, *(step["query"] for step in steps)}
        new = [step for step in asked if step["query"] not in told][: self.max_queries]
        return {"queries": [step["query"] for step in new], "documents": kept, "chain": [*steps, *new]}

    def _collect(
        self,
        question: str,
        queries: Sequence[str],
        found: Sequence[Sequence[Document]],
        before: Sequence[Document],
        steps: list[Step],
    ) -> list[Document]:
        """The best passages of all hops; `steps` is brought up to date on what each query brought."""
        best = {document.id: document for document in before}
        by_query = {step["query"]: place for place, step in enumerate(steps)}
        brought_by: dict[str, int | None] = {key: at for at, step in enumerate(steps) for key in step["brought"]}
        for query, passages in zip(queries, _comparable(found), strict=True):
            at = by_query.get(query)
            weight = steps[at]["weight"] if at is not None else 1.0 if query in (question, queries[0]) else self.decay
            for passage, score in passages:
                worth = round(weight * score, 6)
                if passage.id not in best or worth > best[passage.id].score:
                    best[passage.id] = passage.model_copy(update={"score": worth})
                    brought_by[passage.id] = at
        kept = sorted(best.values(), key=lambda document: -document.score)[: self.top_k]
        for at, step in enumerate(steps):
            steps[at] = {**step, "brought": [one.id for one in kept if brought_by.get(one.id) == at]}
        return kept

    def _by_rules(self, question: str, kept: Sequence[Document], steps: Sequence[Step]) -> list[Step]:
        open_to = {key: step["open"] for step in steps for key in step["brought"]}
        looked_at = [(one, one.score, open_to.get(one.id)) for one in kept[: self.passages]]
        by_id = {one.id: one for one in kept}
        new = []
        before = [(step["name"], len(step["open"])) for step in steps]
        for lead in leads(question, looked_at, before)[: self.max_queries]:
            source = by_id[lead.document]
            weight = self.decay * source.score * lead.share**_TRUST
            new.append(_step(lead.query, lead.name, source, weight, lead.left))
        return new

    async def _ask(
        self, model: ChatModel, ctx: Context, question: str, kept: Sequence[Document], asked: Sequence[str]
    ) -> list[Step]:
        """The queries that the model writes; it says which passage each rests on, so that they are weighed alike."""
        prompt = await ctx.prompt(self.prompt)
        shown = [question, *asked, *(part for document in kept for part in (document.title, document.text))]
        values: dict[str, Any] = {
            "question": question,
            "asked": list(dict.fromkeys(asked)),
            "documents": list(kept),
            "max_queries": self.max_queries,
            "fence": fence(shown),
        }
        messages = prompt.render(**{name: value for name, value in values.items() if name in prompt.variables})
        request = ChatRequest(messages=messages, question=question, documents=kept, temperature=0.0)
        said = await structured(ctx, model, request, _schema(self.max_queries, len(kept)), name=self.model or "")
        steps = []
        for one in said["queries"]:
            source = kept[one["passage"] - 1] if one["passage"] else None
            weight = self.decay * (source.score if source is not None else 1.0)
            query = " ".join(one["query"].split())
            if query:
                steps.append(_step(query, query, source, weight, ()))
        return steps


def _step(query: str, name: str, source: Document | None, weight: float, left: Sequence[str]) -> Step:
    return {
        "query": query,
        "name": name,
        "document": source.id if source is not None else "",
        "title": source.title if source is not None else "",
        "weight": round(weight, 6),
        "open": list(left),
        "brought": [],
    }


def _comparable(found: Sequence[Sequence[Document]]) -> list[list[tuple[Document, float]]]:
    """Passages with scores between 0 and 1: theirs, scaled by the best if that is above 1, else by their ranks."""
    scores = [passage.score for passages in found for passage in passages]
    highest = max(scores, default=0.0)
    if highest <= 0:
        return [[(one, 1 - place / len(passages)) for place, one in enumerate(passages)] for passages in found]
    return [[(one, max(one.score, 0.0) / max(highest, 1.0)) for one in passages] for passages in found]


def _schema(most: int, passages: int) -> dict[str, Any]:
    """What a model replies: queries, each with the number of the passage that it rests on, 0 for none."""
    query = {
        "type": "object",
        "properties": {
            "query": {"type": "string"},
            "passage": {"type": "integer", "minimum": 0, "maximum": passages},
        },
        "required": ["query", "passage"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"queries": {"type": "array", "items": query, "maxItems": most}},
        "required": ["queries"],
        "additionalProperties": False,
    }
