"""The check `json`: a text that is a JSON value, and one that satisfies a schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator

from ragweave.orchestrator.guardrails.check import Check, Finding, Subject
from ragweave.orchestrator.models.schemas import read_json
from ragweave.orchestrator.schemas import unusable


class Json(Check, type="json"):
    """A text that is to be a JSON value, alone or in a block of code."""

    json_schema: Mapping[str, Any] = Field({}, description="A JSON schema that the value has to satisfy.")

    @field_validator("json_schema")
    @classmethod
    def _usable(cls, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        fault = unusable(schema) if schema else ""
        if fault:
            raise ValueError(fault)
        return schema

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        """All of a text that is none, with what is wrong and where."""
        _, fault = read_json(text, self.json_schema)
        return [Finding(0, len(text), "NOT_JSON", fault)] if fault else []
