"""The node type `decomposer`: a question as search queries, by rules or by a model, and the next hop in a loop."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, TypedDict

from pydantic import Field, PositiveInt

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatRequest, ModelName, PromptName
from ragweave.orchestrator.models.extraction.questions import content
from ragweave.orchestrator.models.extraction.words import related
from ragweave.orchestrator.models.replies import complete
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.values import Document, Message, Verdict
from ragweave.prompts.decomposition import next_hop, split

_LONGEST_QUERY = 40
_MARKER = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):]|q(?:uery)?\s*\d*\s*:|sub-?question\s*\d*\s*:)\s*", re.IGNORECASE)
_FENCED = re.compile(r"```(?:\w+)?\s*(.*?)```", re.DOTALL)


class Queries(TypedDict):
    """What the decomposer writes."""

    queries: list[str]
    chain: list[dict[str, Any]]


class Decomposer(Node, type="decomposer"):
    """Split a question into search queries: its parts, what it compares, and in a loop what the first passages name.

    The first query is the question itself, together with the turn before it where it is a follow-up. The others are
    made by rules, or by a `model` that follows instructions; its unusable replies are replaced by the rules'. Where
    `documents` or `verdict` are in the state, as on a second visit, some queries ask on from there; `chain` then has,
    for each part of the question, what was found (`question`, `found`, `document`) and the name in it that leads on
    (`leads_to`). The node type `hop` asks on more thoroughly, and weighs what it finds.
    """

    example: ClassVar[str] = "decompose: {type: decomposer, max_queries: 4}"

    model: ModelName | None = Field(default=None, description="The model that splits; without one it is done by rules.")
    prompt: PromptName = Field(default="decompose", description="What the model is told.")
    max_queries: PositiveInt = Field(default=4, description="Queries to write at most.")

    async def __call__(
        self,
        question: str,
        ctx: Context,
        verdict: Verdict | None = None,
        history: list[Message] | None = None,
        documents: list[Document] | None = None,
        queries: list[str] | None = None,
    ) -> Queries:
        """The queries, the question first; on a second visit those of the first, some replaced by the next hop's."""
        missing = verdict.missing if verdict is not None else ()
        visited = bool(documents or missing)
        asked = list(queries or ()) if visited else []
        if not asked or (self.model is not None and missing):
            asked = split(question, history or ())
            if self.model is not None:
                asked = [asked[0], *(await self._ask(question, ctx, verdict, history) or asked[1:])]
        if not visited:
            return {"queries": _distinct(asked)[: self.max_queries], "chain": []}
        steps, hops = next_hop(asked[0], documents or (), missing)
        hops = hops[: self.max_queries // 2]
        asked = [*asked[: self.max_queries - len(hops)], *hops]
        return {"queries": _distinct(asked)[: self.max_queries], "chain": [asdict(step) for step in steps]}

    async def _ask(
        self, question: str, ctx: Context, verdict: Verdict | None, history: list[Message] | None
    ) -> list[str]:
        """What the model makes of the question; nothing, with a notice, if its reply holds no queries.

        One that only quotes documents, as `auto` is without an endpoint, is not asked.
        """
        assert self.model is not None
        model = await ctx.model(self.model)
        if not model.follows_instructions():
            return []
        prompt = await ctx.prompt(self.prompt)
        values = {"question": question, "max_queries": self.max_queries, "history": history, "verdict": verdict}
        known = getattr(prompt, "variables", values)
        messages = prompt.render(**{name: value for name, value in values.items() if name in known})
        reply = await complete(ctx, model, ChatRequest(messages=messages, question=question, temperature=0.0))
        about = [question, *(message.text for message in history or ())]
        queries = read_queries(reply.text, about) if reply.confidence != 0 else []
        if not queries and ctx.resources is not None:
            ctx.resources.say(f"model {self.model!r} wrote no queries for {question!r}: it was split by rules")
        return queries


def read_queries(reply: str, about: Sequence[str]) -> list[str]:
    """The queries of a reply (a JSON list, an object with one, or lines); none if no word of `about` is in them."""
    fenced = _FENCED.search(reply)
    text = (fenced[1] if fenced else reply).strip()
    lines = _from_json(text)
    if lines is None:
        lines = [_MARKER.sub("", line).strip().strip("\"'`") for line in text.splitlines()]
    queries = _distinct(line for line in lines if _is_query(line))
    words = {word for text in about for word in content(text)}
    shared = any(related(word, other) for query in queries for other in content(query) for word in words)
    return queries if shared else []


def _from_json(text: str) -> list[str] | None:
    """The strings of a JSON list, or of the first list in a JSON object; None if the text is no such JSON."""
    try:
        loaded = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(loaded, dict):
        loaded = next((value for value in loaded.values() if isinstance(value, list)), None)
    if not isinstance(loaded, list):
        return None
    found = [
        next((value for value in item.values() if isinstance(value, str)), "") if isinstance(item, dict) else item
        for item in loaded
    ]
    return [" ".join(item.split()) for item in found if isinstance(item, str)]


def _is_query(line: str) -> bool:
    return bool(content(line)) and len(line.split()) <= _LONGEST_QUERY and not line.endswith(":")


def _distinct(queries: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(queries))
