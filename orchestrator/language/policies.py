"""The policies that every node has, as they are written: pydantic models that the schema and the checker share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    field_validator,
    model_validator,
)

from ragweave.orchestrator.texts.placeholders import placeholders

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds(value: Any) -> Any:
    """A duration as seconds: `30s`, `1m30s`, `500ms`, or a plain number. Raises ValueError."""
    if isinstance(value, str):
        text = value.strip().replace(" ", "")
        parts = _DURATION.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            raise ValueError(f"{value!r} is not a duration, such as 30s, 1m30s or 500ms")
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return value


_Written = Annotated[str, StringConstraints(pattern=r"^\s*(\d+(\.\d+)?\s*(ms|s|m|h|d)\s*)+$")]
Duration = Annotated[PositiveFloat, BeforeValidator(seconds, json_schema_input_type=_Written | PositiveFloat)]


class Policy(BaseModel):
    """Frozen, and no key that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)


class MapPolicy(Policy):
    """Call the node once per item of a list in state; results keep the order of the items."""

    over: str = Field(description="The state key that holds the list.")
    as_: str = Field(alias="as", description="The parameter of the node that gets the item.")
    merge: str | None = Field(None, description="How the results of all items become one value; without it, a list.")
    max_concurrency: PositiveInt = Field(8, description="How many items are worked on at a time.")
    skip_failed: bool = Field(False, description="Leave out items whose call failed; if all failed, the node fails.")


class CachePolicy(Policy):
    """Reuse the result of an equal call for some time."""

    ttl: Duration = Field(3600.0, description="How long a result may be reused, such as 10m.")


class InterruptPolicy(Policy):
    """Ask a person before the call; a "no" fails the node, and an answer may change what the call gets."""

    question: str = Field(
        "", description="What to ask; {amount} stands for the state key of that name. What the node reads is shown too."
    )
    choices: Mapping[str, bool] | None = Field(
        None, description="The words to answer with, instead of yes and no: true for those that let the node go on."
    )
    edit: tuple[str, ...] = Field(
        (), description="The state keys, of those that the node reads, that an answer may change for this call."
    )

    @field_validator("question")
    @classmethod
    def _check_question(cls, text: str) -> str:
        placeholders(text)
        return text

    @field_validator("choices")
    @classmethod
    def _check_choices(cls, choices: Mapping[str, bool] | None) -> Mapping[str, bool] | None:
        if choices is not None and set(choices.values()) != {True, False}:
            raise ValueError(
                "it takes a word that lets the node go on and one that does not: {send: true, hold: false}"
            )
        return choices

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The state keys that the question names."""
        return tuple(placeholders(self.question))

    @property
    def word(self) -> str:
        """How an answer that is a map calls its yes or no."""
        return "choice" if self.choices else "approved"


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


_Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]+(_[0-9]+)*$")]
Count = Annotated[PositiveInt, BeforeValidator(_no_bool, json_schema_input_type=PositiveInt | _Digits)]
"""A whole number above 0, which may be written 50_000."""
Way = Literal["fewer_documents", "cheaper_model", "partial_answer", "stop"]
WAYS: tuple[Way, ...] = get_args(Way)
LIMITS = ("max_tokens", "max_cost_usd", "max_seconds", "max_tool_calls")


class BudgetPolicy(Policy):
    """What may be used: reserved before each call, settled after it."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": [limit]} for limit in LIMITS]})

    max_tokens: Count | None = Field(None, description="Tokens that models may read and write, together.")
    max_cost_usd: Annotated[PositiveFloat, BeforeValidator(_no_bool)] | None = Field(
        None, description="Dollars that calls of models may cost, by the graph's price file."
    )
    max_seconds: Annotated[Duration, BeforeValidator(_no_bool)] | None = Field(
        None, description="How long it may take, such as 60 or 1m30s; time in which people are waited for is left out."
    )
    max_tool_calls: Count | None = Field(None, description="Calls of tools that a tool_executor may make.")
    on_exceed: tuple[Way, ...] = Field(("stop",), description="What is tried in turn where the next call does not fit.")

    @field_validator("on_exceed")
    @classmethod
    def _check_order(cls, ways: tuple[Way, ...]) -> tuple[Way, ...]:
        if not ways:
            raise ValueError("name one way at least, such as [stop]")
        for at, way in enumerate(ways):
            if way in ways[:at]:
                raise ValueError(f"{way!r} stands twice")
            if at and ways[at - 1] == "stop":
                raise ValueError(f"nothing is tried after 'stop', and {way!r} stands behind it")
            if at and ways[at - 1] == "partial_answer" and way != "stop":
                raise ValueError(f"after 'partial_answer' there is only 'stop'; put {way!r} before it")
        return ways

    @model_validator(mode="after")
    def _has_a_limit(self) -> BudgetPolicy:
        if all(getattr(self, limit) is None for limit in LIMITS):
            raise ValueError(f"a budget has one of {', '.join(LIMITS)} at least")
        return self

    @property
    def keeps_parts(self) -> bool:
        """True if what there is by then is better than nothing."""
        return "partial_answer" in self.on_exceed


class NodePolicies(Policy):
    """What every node takes beside its settings."""

    reads: Mapping[str, str] = Field(
        default_factory=dict, description="Renames what is read: the node's own name to the state's key."
    )
    writes: Mapping[str, str] = Field(
        default_factory=dict, description="Renames what is written: the node's own name to the state's key."
    )
    map: MapPolicy | None = Field(None, description="Call the node once per item of a list.")
    retry: NonNegativeInt = Field(0, description="Further attempts after an error that may pass, with growing pauses.")
    timeout: Duration | None = Field(None, description="The longest that one attempt may take, such as 30s.")
    fallback: tuple[Mapping[str, Any], ...] = Field(
        (), description="Other settings or nodes, tried in turn on failure."
    )
    race: tuple[Mapping[str, Any], ...] = Field(
        (), description="Nodes started together with this one; the first result wins."
    )
    on_error: str | None = Field(None, description="The node to go to if this one finally fails; it may read `error`.")
    cache: CachePolicy | None = Field(None, description="Reuse the result of an equal call.")
    budget: BudgetPolicy | None = Field(None, description="What all calls of the node in a run may use together.")
    interrupt: InterruptPolicy | None = Field(None, description="Ask a person before the call.")


NO_POLICIES = NodePolicies.model_construct()
"""Those of a node that gives none; made without a validator, which costs 20 ms to build."""
