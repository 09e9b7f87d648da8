"""What a node may ask of the run that it is called in."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.running.events import Event, call_path
from ragweave.orchestrator.values import Usage

if TYPE_CHECKING:
    from ragweave.orchestrator.contracts import ChatModel, Embedder, Reranker, Retriever
    from ragweave.orchestrator.resources import Resources
    from ragweave.orchestrator.running.run import Run

NO_USAGE = Usage.model_construct()

_asking: ContextVar[Context | None] = ContextVar("the call that asks resources with guards", default=None)


def asking() -> Context | None:
    """The call for which a resource is asked now, where the graph has guards to tell of; else None."""
    return _asking.get()


class Context:
    """Given to a node that has a parameter `ctx: Context`: its place in the run, resources, and the stream.

    Outside a graph, `Context(resources=…)` is enough to call a node in a test.
    """

    __slots__ = (
        "attempt", "emitted", "frame", "heard", "item", "item_value", "member", "node", "parent", "pieces", "resources",
        "run", "used", "visit",
    )  # fmt: skip

    def __init__(
        self,
        *,
        resources: Resources | None = None,
        run: Run | None = None,
        frame: str = "",
        node: str = "",
        visit: int = 1,
    ) -> None:
        self.resources = resources
        self.run = run
        self.frame = frame
        self.node = node
        self.visit = visit
        self.item: int | None = None
        self.member = 0
        self.attempt = 1
        """Which attempt of this call it is, from 1."""
        self.emitted = 0
        self.pieces: list[str] | None = None
        """What was emitted and not withdrawn; the run has it too."""
        self.used = NO_USAGE
        """What this call has used so far."""
        self.item_value: tuple[str, Any] | None = None
        self.heard = 0
        """Whose words the call was given beside those of the state, as a mask of origins."""
        self.parent: Context | None = None

    @property
    def path(self) -> str:
        """`node#visit[item]/member`, with the frames of enclosing graphs before it."""
        return call_path(self.frame, self.node, self.visit, self.item, self.member)

    @property
    def run_id(self) -> str:
        """The run's id; empty outside a run."""
        return self.run.run_id if self.run is not None else ""

    @property
    def thread_id(self) -> str:
        """The conversation that the run belongs to."""
        return self.run.thread_id if self.run is not None else ""

    @property
    def user(self) -> str:
        """For whom the run is, as its caller said; empty if nothing was said."""
        return self.run.user if self.run is not None else ""

    @property
    def tenant(self) -> str:
        """Whose data the run works on; empty if nothing was said."""
        return self.run.tenant if self.run is not None else ""

    @property
    def key(self) -> str:
        """Names this call over attempts, workers and resumes: give it to services that accept an idempotency key."""
        return f"{self.run_id}:{self.path}"

    @property
    def answers(self) -> tuple[Any, ...]:
        """What people answered to the Asks of this call, oldest first."""
        return tuple(self.run.answers.get(self.path, ())) if self.run is not None else ()

    async def emit(self, text: str) -> None:
        """Stream a piece of text to the caller; waits while the caller's queue is full."""
        if text:
            self.emitted += 1
            run = self.run
            if run is None:
                return
            if self.pieces is None:
                self.pieces = run.texts.setdefault(self.path, [])
            self.pieces.append(text)
            if run.sink is not None:
                event = Event("token", self.frame, self.node, self.visit, {"text": text}, self.item, self.member)
                if not run.sink.push_if_room(event):
                    await run.sink.put(event)

    async def tell(self, kind: str, **data: Any) -> None:
        """Put an event of this call into the stream, if somebody listens."""
        if self.run is not None and self.run.sink is not None:
            await self.run.sink.put(Event(kind, self.frame, self.node, self.visit, data, self.item, self.member))

    async def withdraw(self, reason: str) -> None:
        """Tell the stream that what this call has emitted so far does not count."""
        if self.emitted:
            self.emitted = 0
            self.pieces = None
            if self.run is not None:
                self.run.withdraw(self.path)
            await self.tell("reset", reason=reason)

    def use(
        self, usage: Usage, model: ChatModel | None = None, *, answered: bool = True, settled: bool = False
    ) -> None:
        """Count tokens and calls toward this call, its node and the run; with the model that used them, their cost.

        A call that was not `answered`, because it failed before the model said anything, cost nothing. Where there are
        budgets it counts toward them too, unless that was `settled`.
        """
        if model is not None and self.resources is not None:
            usage = self.resources.priced(usage, model, answered=answered)
        context: Context | None = self
        while context is not None:
            context.used = context.used + usage
            context = context.parent
        if self.run is not None:
            self.run.usage = self.run.usage + usage
            if self.run.budgets is not None and not settled:
                self.run.budgets.use(self, usage)

    def inner(
        self, *, item: int | None = None, value: tuple[str, Any] | None = None, member: int | None = None
    ) -> Context:
        """The context of one item of a map, or of one member of a fallback or a race."""
        context = Context(resources=self.resources, run=self.run, frame=self.frame, node=self.node, visit=self.visit)
        context.item = self.item if item is None else item
        context.item_value = self.item_value if value is None else value
        context.member = self.member if member is None else member
        context.parent = self
        return context

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
        if self.resources.guarded:
            _asking.set(self)
        built = self.resources.built(kind, name)
        if built is not None:
            return built
        return await asyncio.to_thread(self.resources.get, kind, name)
