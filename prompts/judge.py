"""The node type `judge`: an answer held against a rubric, by a model and by rules."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatModel, ChatRequest, ModelName, PromptName
from ragweave.orchestrator.models.replies import structured
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.values import Answer, Document, Verdict
from ragweave.prompts.fences import fence
from ragweave.prompts.judging import (
    Finding,
    forbidden,
    lacking,
    out_of_length,
    unanswered,
    unfounded,
    unlike_schema,
)

GROUNDED = "Every statement of the answer, with its numbers, names and negations, is held by the documents."
RELEVANT = "The answer answers the question that was asked, all parts of it."


class Judged(TypedDict):
    """What a judge writes."""

    verdict: Verdict


class Judge(Node, type="judge"):
    """Hold an answer against a rubric; `verdict` says whether it passed, why not, and what is missing.

    With a `model` that follows instructions, it judges the `rubric`, whether the answer is `grounded` in the documents
    (where there are any) and `relevant` to the question (where there is one), each with a reason. Without one, rules
    judge the last two: numbers, names, negations and words of each sentence have to stand together in a document, and
    words of the question in the answer. They see words, not meaning (`prompts.judging` says what they miss), and of a
    rubric they see nothing: its criteria are then listed in `reasons` as not judged. What must or must not be in the
    answer, its length and its schema are always checked by rules. An answer of confidence 0 never passes.
    """

    example = 'grade: {type: judge, model: chat, rubric: ["It names an amount with its unit."], max_words: 80}'

    model: ModelName | None = Field(None, description="The model that judges; without it, rules do.")
    prompt: PromptName = Field("judge", description="What the model is told.")
    rubric: list[str] = Field([], description="Criteria in words, for the model; all have to be met.")
    grounded: bool = Field(True, description="Whether the documents have to hold what the answer says.")
    relevant: bool = Field(True, description="Whether it has to answer the question.")
    must_contain: list[str] = Field([], description="Texts that it has to hold, in upper or lower case.")
    must_not_contain: list[str] = Field([], description="Texts that it must not hold.")
    min_words: NonNegativeInt | None = Field(None, description="The shortest answer.")
    max_words: PositiveInt | None = Field(None, description="The longest answer.")
    json_schema: dict[str, Any] | None = Field(None, description="The answer has to be JSON that satisfies it.")

    @field_validator("json_schema")
    @classmethod
    def _check_schema(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        if schema is not None:
            from jsonschema import Draft202012Validator, SchemaError  # 60 ms to import

            try:
                Draft202012Validator.check_schema(schema)
            except SchemaError as error:
                raise ValueError(f"this is no JSON schema: {error.message}") from None
        return schema

    @model_validator(mode="after")
    def _check_settings(self) -> Judge:
        if self.rubric and self.model is None:
            raise ValueError("a rubric in words takes a model; add model, or use must_contain, max_words, …")
        if self.min_words is not None and self.max_words is not None and self.min_words > self.max_words:
            raise ValueError(f"min_words is {self.min_words}, more than max_words, {self.max_words}")
        return self

    async def __call__(
        self, answer: Answer | str, ctx: Context, question: str | None = None, documents: list[Document] | None = None
    ) -> Judged:
        """The verdict; `action` is `allow` or `block`. Raises ModelError where the model's judgement cannot be read."""
        text = str(answer)
        if isinstance(answer, Answer) and answer.confidence == 0.0:
            missing = (question,) if question else ()
            return {"verdict": _verdict([Finding("it says that it does not know", missing)])}
        findings = await asyncio.to_thread(self._exact, text)
        model = await ctx.model(self.model) if self.model is not None else None
        if model is not None and model.follows_instructions():
            findings += await self._ask(model, ctx, text, question or "", documents or ())
            return {"verdict": _verdict(findings)}
        findings += await asyncio.to_thread(self._by_rules, text, question, documents)
        unseen = [f"not judged, for that takes a model: {criterion}" for criterion in self.rubric]
        return {"verdict": _verdict(findings, unseen)}

    def _exact(self, text: str) -> list[Finding]:
        """What rules can tell for sure."""
        return [
            *lacking(text, self.must_contain),
            *forbidden(text, self.must_not_contain),
            *out_of_length(text, self.min_words, self.max_words),
            *(unlike_schema(text, self.json_schema) if self.json_schema is not None else ()),
        ]

    def _by_rules(self, text: str, question: str | None, documents: list[Document] | None) -> list[Finding]:
        """What rules can tell about."""
        found = unfounded(text, documents) if self.grounded and documents is not None else []
        if self.relevant and question:
            found += unanswered(question, text, documents or ())
        return found

    async def _ask(
        self, model: ChatModel, ctx: Context, text: str, question: str, documents: Sequence[Document]
    ) -> list[Finding]:
        """What the model finds fault with."""
        criteria = [GROUNDED] if self.grounded and documents else []
        criteria += [RELEVANT] if self.relevant and question else []
        criteria += self.rubric
        if not criteria:
            return []
        prompt = await ctx.prompt(self.prompt)
        shown = [text, question, *(part for document in documents for part in (document.title, document.text))]
        values: dict[str, Any] = {
            "criteria": criteria,
            "answer": text,
            "question": question or None,
            "fence": fence(shown),
        }

        def asked_with(count: int) -> ChatRequest:
            given = {**values, "documents": list(documents[:count])}
            messages = prompt.render(**{name: value for name, value in given.items() if name in prompt.variables})
            return ChatRequest(messages=messages, question=question, documents=documents[:count], temperature=0.0)

        request, schema = asked_with(len(documents)), reply_schema(len(criteria))
        said = await structured(ctx, model, request, schema, name=self.model or "", fewer=asked_with)
        return read_reply(said, criteria)


def reply_schema(count: int) -> dict[str, Any]:
    """What a model replies: for each criterion a reason and whether it is met, and what is missing."""
    one = {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "met": {"type": "boolean"}},
        "required": ["reason", "met"],
        "additionalProperties": False,
    }
    names = [f"criterion_{number}" for number in range(1, count + 1)]
    missing = {"type": "array", "items": {"type": "string"}}
    return {
        "type": "object",
        "properties": {**dict.fromkeys(names, one), "missing": missing},
        "required": [*names, "missing"],
        "additionalProperties": False,
    }


def read_reply(said: Mapping[str, Any], criteria: Sequence[str]) -> list[Finding]:
    """The criteria that are not met, with the model's reasons; what is missing counts only if one is not."""
    found = []
    for number, criterion in enumerate(criteria, start=1):
        judged = said[f"criterion_{number}"]
        if not judged["met"]:
            found.append(Finding(f"{criterion} {judged['reason']}".strip()))
    if found:
        found[0].missing = tuple(item.strip() for item in said["missing"] if item.strip())
    return found


def _verdict(findings: Sequence[Finding], notes: Sequence[str] = ()) -> Verdict:
    missing = dict.fromkeys(item for finding in findings for item in finding.missing)
    return Verdict(
        passed=not findings,
        action="block" if findings else "allow",
        reasons=(*(finding.reason for finding in findings), *notes),
        missing=tuple(missing),
        spans=tuple(dict.fromkeys(span for finding in findings for span in finding.spans)),
    )
