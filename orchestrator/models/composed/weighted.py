"""Models that share the calls by weight."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field, PositiveFloat, PrivateAttr, field_validator

from ragweave.orchestrator.contracts import ChatRequest, ModelName
from ragweave.orchestrator.models.composed.members import Composed, Member


class Weighted(Composed, type="weighted"):
    """Shares the calls among models by weight, at random; a model that fails gives way to another.

    With `per: thread` all calls of a conversation go to the same model, as long as it answers.
    """

    models: dict[ModelName, PositiveFloat] = Field(
        description="The models by name, with their weights.", json_schema_extra={"minProperties": 1}
    )
    per: Literal["call", "thread"] = Field("call", description="Draw for each call, or once for a conversation.")
    seed: int | None = Field(None, description="With it, the same calls are shared in the same way each time.")

    _random: random.Random | None = PrivateAttr(None)

    @field_validator("models")
    @classmethod
    def _check_names(cls, weights: dict[str, float]) -> dict[str, float]:
        if not weights:
            raise ValueError("it takes one model at least")
        return weights

    def names(self) -> Sequence[str]:
        """Those that have a weight."""
        return list(self.models)

    def order(self, request: ChatRequest, members: Sequence[Member]) -> Iterable[Member]:
        """Drawn by weight, each once."""
        source = self._source(request)
        # Sorting by u^(1/w) draws without replacement: Efraimidis and Spirakis, 2006.
        keys = {member.name: source.random() ** (1 / self.models[member.name]) for member in members}
        return sorted(members, key=lambda member: -keys[member.name])

    def _source(self, request: ChatRequest) -> random.Random:
        if self.per == "thread" and request.thread:
            return random.Random(f"{self.seed} {request.tenant} {request.thread}")
        if self._random is None:
            self._random = random.Random(self.seed)
        return self._random
