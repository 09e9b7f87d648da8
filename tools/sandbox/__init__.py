"""Python that a model wrote, run where it can do no harm: no files, no network, bounded time, memory and output."""

from __future__ import annotations

from ragweave.tools.sandbox.outcome import Limits, Outcome
from ragweave.tools.sandbox.sandbox import PythonSandbox

__all__ = ["Limits", "Outcome", "PythonSandbox"]
