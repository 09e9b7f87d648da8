"""What a program may use, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

Status = Literal["done", "error", "timeout", "memory", "output", "killed"]

LONGEST_CODE = 200_000


class Limits(BaseModel):
    """What one program may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: PositiveFloat = Field(10.0, le=600, description="Seconds until the program is killed.")
    memory_mb: int = Field(256, ge=64, le=16_384, description="Megabytes of memory, the interpreter's own included.")
    max_output: PositiveInt = Field(64_000, description="Bytes that the program may print; more ends it.")
    files_mb: PositiveInt = Field(16, le=1024, description="Megabytes of files that it may write, in memory.")


class Outcome(BaseModel):
    """How a program ended: `done`, `error` (it raised, or left with a status), or why it was stopped."""

    model_config = ConfigDict(frozen=True)

    status: Status
    output: str
    """What it printed, and the value of its last line if that is an expression."""
    errors: str = ""
    """Its traceback, and what else it wrote to stderr."""
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """What to tell a model."""
        said = {
            "done": "",
            "error": "",
            "timeout": "The program took too long and was stopped.",
            "memory": "The program needed too much memory and was stopped.",
            "output": "The program printed too much and was stopped.",
            "killed": "The program was killed.",
        }[self.status]
        parts = (self.output.rstrip("\n"), self.errors.rstrip("\n"), said)
        return "\n".join(part for part in parts if part) or "The program printed nothing."


class Engine(Protocol):
    """A way of running programs. `inputs` are JSON values that the program finds as names."""

    name: str

    async def run(self, code: str, inputs: Mapping[str, Any]) -> Outcome:
        """What came of a program. Raises ToolError where the engine itself failed."""
        ...

    async def test(self) -> str:
        """Why this engine cannot be trusted on this machine; empty if it can."""
        ...
