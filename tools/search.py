"""Search as a tool: a model asks a retriever in its own words, as often as it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, PositiveInt

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Index, RetrieverName, Tool, ToolSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document

_PARAMETERS = {
    "type": "object",
    "properties": {"query": {"type": "string", "minLength": 1, "description": "What to look for, in a few words."}},
    "required": ["query"],
    "additionalProperties": False,
}


class Search(Tool, type="search"):
    """Passages of a retriever for a query of the model's, each with its source.

    What `access` of the index lets the run's user see is kept to, as in a retriever node.
    """

    retriever: RetrieverName = Field(description="The retriever to ask.")
    top_k: PositiveInt = Field(5, description="Passages to find at most.")
    about: str = Field("", description="What can be found there, for the model: `opening hours and prices`.")

    def open(self, resources: Resources) -> None:
        """Open the retriever too. Raises IndexUnusable."""
        resources.get("retrievers", self.retriever)

    def specs(self) -> Sequence[ToolSpec]:
        """The one tool."""
        about = f": {self.about}" if self.about else ""
        said = f"Find passages in {self.retriever.replace('_', ' ')}{about}. Search again in other words if need be."
        return (ToolSpec(said, _PARAMETERS, effects="read"),)

    async def call(self, name: str, arguments: Mapping[str, Any], ctx: Context) -> str:
        """The passages as a text, numbered, the best first. Raises what the retriever raises."""
        retriever = await ctx.retriever(self.retriever)
        query = arguments["query"]
        if isinstance(retriever, Index):
            found = await retriever.search(query, self.top_k, retriever.allowed(ctx.tenant, ctx.user))
        else:
            found = await retriever.search(query, self.top_k)
        return "\n\n".join(_shown(number, one) for number, one in enumerate(found, start=1)) or "nothing was found"


def _shown(number: int, document: Document) -> str:
    where = f" ({document.source}{f', line {document.line}' if document.line else ''})" if document.source else ""
    return f"[{number}] {document.title}{where}\n{document.text}"
