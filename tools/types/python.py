"""`type: python`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field, PositiveFloat, PrivateAttr

from ragweave.orchestrator.contracts import ToolSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.bridge import wait_for
from ragweave.tools.function import MethodTool
from ragweave.tools.sandbox.sandbox import PythonSandbox


class Python(MethodTool, type="python"):
    """Python programs in a sandbox: no network, no files of the machine, bounded time and memory."""

    calls = {"run": "none"}

    engine: Literal["auto", "bubblewrap", "monty"] = Field(
        "auto", description="How programs are run; auto takes bubblewrap where its self-test passes, else monty."
    )
    seconds: PositiveFloat = Field(10.0, le=600, description="Seconds until a program is killed.")
    memory_mb: int = Field(256, ge=64, le=16_384, description="Megabytes of memory that a program may use.")

    _sandbox: PythonSandbox | None = PrivateAttr(None)
    _name: str = PrivateAttr("")

    def open(self, resources: Resources) -> None:
        """Choose the engine by its self-test. Raises ResourceError where none passes: then no program is run."""
        self._sandbox = PythonSandbox(engine=self.engine, seconds=self.seconds, memory_mb=self.memory_mb)
        self._name = wait_for(self._sandbox.start())

    def specs(self) -> Sequence[ToolSpec]:
        """The one tool, told by what the engine can do."""
        (spec,) = super().specs()
        small = " It is a small Python: no classes, few modules." if self._name == "monty" else ""
        return (replace(spec, description=spec.description + small),)

    async def run(self, code: str) -> str:
        """Run a Python program; what it prints, and the value of its last line, come back.

        Args:
            code: The program. It sees no files and no network, and remembers nothing of earlier ones.
        """
        assert self._sandbox is not None, "it is not open"
        return (await self._sandbox.run(code)).text
