"""A context that keeps what a node streams, for calling nodes without a graph."""

from __future__ import annotations

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.resources import Resources


class Listening(Context):
    """`streamed` holds the pieces in the order in which they came."""

    def __init__(self, resources: Resources | None = None) -> None:
        super().__init__(resources=resources)
        self.streamed: list[str] = []

    async def emit(self, text: str) -> None:
        """Keep the piece."""
        await super().emit(text)
        if text:
            self.streamed.append(text)
