"""The first of several models that answers, and how all of them are named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field, field_validator

from ragweave.orchestrator.contracts import ChatRequest, ModelName
from ragweave.orchestrator.models.composed.members import Composed, Member


class Listed(Composed):
    """A model made of a list of others."""

    models: list[ModelName] = Field(description="The models, by name.", json_schema_extra={"minItems": 1})

    @field_validator("models")
    @classmethod
    def _check_names(cls, names: list[str]) -> list[str]:
        if not names:
            raise ValueError("it takes one model at least")
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name!r} is named twice")
        return names

    def names(self) -> Sequence[str]:
        """Those of the list."""
        return self.models


class FirstOf(Listed, type="first_of"):
    """Asks the first model; if it fails before it has said anything, the next, and so on.

    A model that fails `open_after` times in a row is left alone for `retry_after`, then one call tries whether it is
    back; what is wrong for good, such as its key, is said once. A reply that breaks off in the middle is an error: a
    `retry` of the node takes back what was said and asks anew. Models that only quote are passed over by requests that
    need one that follows instructions.
    """

    def order(self, request: ChatRequest, members: Sequence[Member]) -> Iterable[Member]:
        """As they are named."""
        return members
