"""What a run gives back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel

from ragweave.orchestrator.errors import OutputError, did_you_mean
from ragweave.orchestrator.values import Answer, Ask, Citation, Usage


class Exceeded(NamedTuple):
    """What a budget has changed in a run."""

    scope: str
    """Whose budget: graph 'cookbook', node 'answer'."""
    limit: str
    """Its key, such as `max_tokens`."""
    did: str
    """`fewer_documents`, `cheaper_model`, `partial_answer`, or `stop` where a call was not made."""
    path: str
    """The path of the call."""
    said: str
    """What that means, in words."""

    def __str__(self) -> str:
        return f"{self.path or 'the run'}: {self.said} ({self.limit} of {self.scope})"


def exceeded_lines(told: Iterable[Exceeded]) -> list[str]:
    """What budgets have changed, a line for each kind of change: of several calls the first, and how many more."""
    kinds: dict[tuple[str, ...], list[Exceeded]] = {}
    for one in told:
        kinds.setdefault((one.scope, one.limit, one.did, one.said), []).append(one)
    return [f"{ones[0]}{f', and {len(ones) - 1} more' if len(ones) > 1 else ''}" for ones in kinds.values()]


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to. `result["answer"]` is an output; of a parked run there are `asks` instead."""

    outputs: Mapping[str, Any]
    status: Literal["done", "parked"]
    run_id: str
    thread_id: str = ""
    asks: Mapping[str, Ask] = field(default_factory=dict)
    """By call path, what people are asked; `graph.resume(run_id, answers={path: answer})` goes on."""
    usage: Usage = field(default_factory=Usage)
    exceeded: tuple[Exceeded, ...] = ()
    """What budgets have changed, in order; empty if they held, or if there are none."""

    @property
    def text(self) -> str:
        """What is to be read first: the answer, else the outputs; of a parked run what it asks."""
        if self.status == "parked":
            return "\n".join(ask.question for ask in self.asks.values())
        return main_text(self.outputs)

    @property
    def sources(self) -> tuple[Citation, ...]:
        """Where the answer stands in its sources, by the marks in its text; empty if no output is an Answer."""
        answer = answer_in(self.outputs)
        return answer.citations if answer is not None else ()

    def __getitem__(self, key: str) -> Any:
        try:
            return self.outputs[key]
        except KeyError:
            raise self._unknown(key) from None

    def __contains__(self, key: object) -> bool:
        return key in self.outputs

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def _unknown(self, key: str) -> OutputError:
        if self.status == "parked":
            return OutputError(
                f"run {self.run_id!r} is parked and has no outputs yet: it asks at {', '.join(self.asks)}",
                hint="go on with graph.resume(run_id, answers={path: answer})",
            )
        known = did_you_mean(str(key), self.outputs) or "; the graph declares no outputs"
        return OutputError(f"the result has no output {key!r}{known}")


def answer_in(outputs: Mapping[str, Any]) -> Answer | None:
    """The first output that is an Answer."""
    return next((value for value in outputs.values() if isinstance(value, Answer)), None)


def main_text(outputs: Mapping[str, Any]) -> str:
    """What is to be read first: the answer; without one all outputs by name, but nothing if answers are inside them."""
    answer = answer_in(outputs)
    if answer is not None:
        return answer.text.strip()
    if any(holds_answers(value) for value in outputs.values()):
        return ""
    if len(outputs) == 1:
        return shown(next(iter(outputs.values())))
    return "\n".join(f"{name}: {shown(value)}" for name, value in outputs.items())


def holds_answers(value: Any) -> bool:
    """True of an answer, and of lists and maps with one in them."""
    if isinstance(value, Mapping):
        return any(map(holds_answers, value.values()))
    return isinstance(value, Answer) or (isinstance(value, (list, tuple)) and any(map(holds_answers, value)))


def shown(value: Any) -> str:
    """A value for people: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(plain(value), indent=2, ensure_ascii=False, default=str)


def plain(value: Any) -> Any:
    """Values as dicts, lists and texts; dates in ISO 8601, decimals as texts. What JSON has no form for stays."""
    if isinstance(value, BaseModel):
        try:
            return value.model_dump(mode="json")
        except ValueError:  # something inside has no form in JSON
            return plain(value.model_dump())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
