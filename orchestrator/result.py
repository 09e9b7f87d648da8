"""What a run gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ragweave.orchestrator.errors import OutputError, did_you_mean
from ragweave.orchestrator.values import Ask, Usage


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
