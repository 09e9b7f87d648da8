"""The node type `extract`: typed values from a text, by a model whose reply is checked against a schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, PositiveInt, model_validator

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatRequest, ModelName, PromptName
from ragweave.orchestrator.models.replies import structured
from ragweave.orchestrator.node import Read, Signature
from ragweave.orchestrator.nodes.shaped import Shaped
from ragweave.orchestrator.resources import Resources
from ragweave.prompts.template import Prompt


class Extract(Shaped, type="extract"):
    """Take values from a text: each of `fields` becomes a state key of its type; with `json_schema`, all go to `data`.

    It reads what its prompt declares; `extract`, the one that comes with ragweave, reads `text`. The model is bound to
    the schema where its server can do that, and is told it in words elsewhere; a reply that does not satisfy it is sent
    back once with what is wrong. A field whose type ends in `?` is not written where the text does not say it.
    """

    origin = "model"
    example = 'order: {type: extract, model: chat, fields: {city: str, guests: int, wishes: "list[str]?"}}'

    model: ModelName = Field("auto", description="The model that reads the text; it has to follow instructions.")
    prompt: PromptName = Field("extract", description="What it is told; its variables are what is read.")
    temperature: float | None = Field(0.0, ge=0, description="0 for the likeliest words.")
    max_tokens: PositiveInt | None = Field(None, description="The longest reply, in tokens; a longer one is an error.")

    @model_validator(mode="after")
    def _check_any(self) -> Extract:
        if not self.shaped:
            raise ValueError("say what to take, by either 'fields' or 'json_schema'")
        return self

    def signature(self, resources: Resources) -> Signature:
        """Reads the variables of the prompt, writes the fields, or `data`. Raises ResourceError if the prompt is
        wrong."""
        prompt: Prompt = resources.get("prompts", self.prompt)
        reads = {name: Read(variable.type, variable.required) for name, variable in prompt.variables.items()}
        return Signature(reads, self.values_written())

    async def __call__(self, ctx: Context, **state: Any) -> Mapping[str, Any]:
        """The values. Raises ModelError if the model cannot be brought to satisfy the schema."""
        prompt: Prompt = await ctx.prompt(self.prompt)
        model = await ctx.model(self.model)
        text = state.get("text")
        request = ChatRequest(
            messages=prompt.render(**state),
            question=text if isinstance(text, str) else "",
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )
        return self.values_of(await structured(ctx, model, request, self.wanted, name=self.model))
