"""What a node may ask of the run that it is called in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.values import Usage

if TYPE_CHECKING:
    from ragweave.orchestrator.contracts import ChatModel, Embedder, Reranker, Retriever
    from ragweave.orchestrator.resources import Resources

Emit = Callable[[str, str], Awaitable[None]]


class Context:
    """Given to a node that has a parameter `ctx: Context`: its place in the run, resources, and the stream.

    Outside a graph, `Context(resources=…)` is enough to call a node in a test.
    """

    __slots__ = ("_emit", "answers", "attempt", "cell", "emitted", "path", "resources", "run_id", "thread_id", "used")

    def __init__(
        self,
        *,
        resources: Resources | None = None,
        run_id: str = "",
        thread_id: str = "",
        path: str = "",
        emit: Emit | None = None,
        answers: Sequence[Any] = (),
    ) -> None:
        self.resources = resources
        self.run_id = run_id
        self.thread_id = thread_id
        self.path = path
        """`node#visit[item]/member`, with the frames of enclosing graphs before it."""
        self.attempt = 1
        self.answers = answers
        """What people answered to the Asks of this call, oldest first."""
        self.emitted = 0
        self.used = Usage()
        self.cell: Any = None
        self._emit = emit

    @property
    def key(self) -> str:
        """Names this call over attempts, workers and resumes: give it to services that accept an idempotency key."""
        return f"{self.run_id}:{self.path}"

    async def emit(self, text: str) -> None:
        """Stream a piece of text to the caller; waits while the caller's queue is full."""
        if self._emit is not None and text:
            self.emitted += 1
            await self._emit(self.path, text)

    def use(self, usage: Usage) -> None:
        """Count tokens and calls toward this node and the run."""
        self.used = self.used + usage

    async def model(self, name: str) -> ChatModel:
        """The chat model of this name. Raises ResourceError, naming what is missing."""
        return await self.resource("models", name)  # type: ignore[no-any-return]

    async def embedder(self, name: str) -> Embedder:
        """The embedder of this name."""
        return await self.resource("embedders", name)  # type: ignore[no-any-return]

    async def retriever(self, name: str) -> Retriever:
        """The retriever of this name."""
        return await self.resource("retrievers", name)  # type: ignore[no-any-return]

    async def reranker(self, name: str) -> Reranker:
        """The reranker of this name."""
        return await self.resource("rerankers", name)  # type: ignore[no-any-return]

    async def prompt(self, name: str) -> Any:
        """The prompt of this name."""
        return await self.resource("prompts", name)

    async def resource(self, kind: str, name: str) -> Any:
        """The resource of this kind and name; built in a worker thread at its first use."""
        if self.resources is None:
            from ragweave.orchestrator.resources import Resources  # only where a node is called without a graph

            self.resources = Resources()
        built = self.resources.built(kind, name)
        if built is not None:
            return built
        return await asyncio.to_thread(self.resources.get, kind, name)
