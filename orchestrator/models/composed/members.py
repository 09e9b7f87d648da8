"""What models made of others share: their members, which of them fits a request, and going on to the next."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveInt, PrivateAttr

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import (
    CircularResources,
    EndpointUnusable,
    InputError,
    MissingExtra,
    ModelError,
    NodeError,
    ResourceError,
    is_transient,
)
from ragweave.orchestrator.language.policies import Duration
from ragweave.orchestrator.models.composed.breaker import Breaker
from ragweave.orchestrator.models.replies import closing
from ragweave.orchestrator.values import Usage

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources

NO_USAGE = Usage()


@dataclass(slots=True)
class Member:
    """One of the models, with its breaker. `broken` is why it could not be built; then it is never asked."""

    name: str
    model: ChatModel | None
    breaker: Breaker
    broken: str = ""


class Composed(ChatModel):
    """A model made of others; a member that fails before it has said anything gives way to the next."""

    open_after: PositiveInt = Field(3, description="Failures in a row after which a model is left alone for a while.")
    retry_after: Duration = Field(30.0, description="How long; then one call tries whether it is back.")
    first_word_timeout: Duration | None = Field(
        None, description="The longest wait for a model's first words; without it, the model's own patience."
    )

    _members: list[Member] = PrivateAttr(default_factory=list)
    _resources: Any = PrivateAttr(None)

    @abstractmethod
    def names(self) -> Sequence[str]:
        """The names of the members."""

    @abstractmethod
    def order(self, request: ChatRequest, members: Sequence[Member]) -> Iterable[Member]:
        """In which order to ask them."""

    def open(self, resources: Resources) -> None:
        """Build the members. One that cannot be built is left out, which is said once.

        Raises ResourceError for a name that is none, and if no member is left.
        """
        self._resources = resources
        for name in self.names():
            if not resources.has("models", name):
                raise resources.unknown("models", name)
        members = [self._member(resources, name) for name in self.names()]
        if all(member.broken for member in members):
            said = "; ".join(f"{member.name}: {member.broken}" for member in members)
            raise ResourceError(f"none of the models can be built: {said}")
        for member in members:
            if member.broken:
                resources.say_once(f"model {member.name!r} cannot be used, the others are: {member.broken}")
        self._members = members

    def _member(self, resources: Resources, name: str) -> Member:
        breaker = Breaker(self.open_after, self.retry_after)
        try:
            return Member(name, resources.get("models", name), breaker)
        except CircularResources:
            raise
        except (ResourceError, MissingExtra) as error:
            return Member(name, None, breaker, str(error))

    @property
    def members(self) -> Sequence[Member]:
        """The members that could be built, in the order in which they are named."""
        if not self._members:
            from ragweave.orchestrator.resources import Resources  # only where a model is used without a graph

            self.open(Resources())
        return [member for member in self._members if member.model is not None]

    def follows_instructions(self) -> bool:
        """True if a member does; only those are given requests that need it."""
        return any(model.follows_instructions() for model in self._models())

    def structures(self) -> bool:
        """True if a member follows instructions: one that does not keep to schemas by itself is told them in words."""
        return self.follows_instructions()

    def calls_tools(self) -> bool:
        """True if all members do that follow instructions, who alone are asked then; else all are told in words."""
        able = [model for model in self._models() if model.follows_instructions()]
        return bool(able) and all(model.calls_tools() for model in able)

    def cites(self) -> bool:
        """True if all members do: whoever may be asked by one that does not has to be told."""
        return all(model.cites() for model in self._models())

    def count_tokens(self, text: str) -> int | None:
        """As many as the member with the most makes of it; None if one cannot say."""
        counts = [model.count_tokens(text) for model in self._models()]
        known = [count for count in counts if count is not None]
        return max(known) if len(known) == len(counts) else None

    def pricing(self) -> Literal["members"]:
        """What its members' calls cost."""
        return "members"

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The reply of the first member that says anything. After that, its failure is this model's failure.

        Usage counts the failed calls too. Raises ModelError, which may pass if one of theirs may, if all fail.
        """
        spent, failures = NO_USAGE, Failures(self)
        for member, adapted in self.fitting(request):
            leave = member.breaker.enter()
            if leave is None:
                failures.add_resting(member)
                continue
            call = Call(self, member, adapted)
            try:
                async with aclosing(call.chunks()) as chunks:
                    async for chunk in chunks:
                        yield with_usage(chunk, spent)
                    if spent.calls and not call.told:
                        yield ChatChunk(usage=spent + self.priced(Usage(calls=1), member))
                member.breaker.succeeded(leave)
                self.learn(member, call)
                return
            except Exception as error:
                self.judge(member, leave, error)
                spent = spent + call.cost_of_failure()
                if call.begun:
                    yield ChatChunk(usage=spent)
                    raise
                failures.add(member, error)
            finally:
                member.breaker.gave_up(leave)  # says nothing where a verdict was given
        if spent.calls:
            yield ChatChunk(usage=spent)
        raise failures.error()

    def fitting(self, request: ChatRequest) -> list[tuple[Member, ChatRequest]]:
        """The members that can serve a request, in the order in which to ask them, each with it in its own form."""
        needs = bool(request.response_schema is not None or request.tools) or not (
            request.question or request.documents
        )
        follows = self.follows_instructions()
        found = []
        for member in self.order(request, self.members):
            model = member.model
            assert model is not None
            if needs and follows and not model.follows_instructions():
                continue
            found.append((member, _adapted(request, model)))
        return found

    def judge(self, member: Member, leave: Any, error: Exception) -> None:
        """Tell the breaker what a failure says about the member, and the user what will not pass by itself."""
        if isinstance(error, InputError):
            return  # the request's own fault
        if isinstance(error, EndpointUnusable):
            member.breaker.failed(leave, str(error), lasting=True)
        elif is_transient(error):
            member.breaker.failed(leave, str(error) or type(error).__name__, pause=asked_pause(error))
            return
        if self._resources is not None:
            self._resources.say_once(f"model {member.name!r} failed, others are asked instead: {error}")

    def learn(self, member: Member, call: Call) -> None:
        """Take note of a call that succeeded."""

    def priced(self, usage: Usage, member: Member, *, answered: bool = True) -> Usage:
        """The usage of a member's call, with its cost where its price is known."""
        if self._resources is None or member.model is None:
            return usage
        priced: Usage = self._resources.priced(usage, member.model, answered=answered)
        return priced

    def _models(self) -> list[ChatModel]:
        return [member.model for member in self.members if member.model is not None]


class Call:
    """One call of a member: what it says, whether it has begun to, and what it used."""

    def __init__(self, composed: Composed, member: Member, request: ChatRequest) -> None:
        self.started = time.monotonic()
        self.latency = 0.0
        """Seconds to its first words, once there are some."""
        self.begun = False
        """True once something was said that a reader has seen."""
        self.told = False
        """True once the member has said what it used."""
        self.usage = NO_USAGE
        self._composed = composed
        self._member = member
        self._request = request

    async def chunks(self) -> AsyncGenerator[ChatChunk, None]:
        """What the member says, with its usage priced. What comes before its first words waits for them."""
        model, patience = self._member.model, self._composed.first_word_timeout
        assert model is not None
        waiting: list[ChatChunk] = []
        async with closing(model.stream(self._request)) as stream:
            while (chunk := await self._next(stream, patience)) is not None:
                if chunk.usage is not None:
                    self.told = True
                    self.usage = self._composed.priced(chunk.usage, self._member)
                    chunk = replace(chunk, usage=self.usage)
                if not (self.begun or chunk.text or chunk.tool_calls or chunk.finish):
                    waiting.append(chunk)
                    continue
                if not self.begun:
                    self.begun, self.latency = True, time.monotonic() - self.started
                for one in (*waiting, chunk):
                    yield one
                waiting.clear()
            for one in waiting:
                yield one

    def cost_of_failure(self) -> Usage:
        """What a call has used that failed."""
        if self.told:
            return self.usage
        return self._composed.priced(Usage(calls=1), self._member, answered=self.begun)

    async def _next(self, stream: AsyncIterator[ChatChunk], patience: float | None) -> ChatChunk | None:
        if patience is None or self.begun:
            return await anext(stream, None)
        left = max(0.0, self.started + patience - time.monotonic())
        try:
            async with asyncio.timeout(left) as limit:
                return await anext(stream, None)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ModelError(
                f"model {self._member.name!r} said nothing for {patience:g} s",
                hint="raise first_word_timeout if it is slow",
                transient=True,
            ) from error


class Failures:
    """Why none of the members answered."""

    def __init__(self, composed: Composed) -> None:
        self._composed = composed
        self._errors: list[Exception] = []
        self._said: list[str] = []
        self._pauses: list[float] = []

    def add(self, member: Member, error: Exception) -> None:
        self._errors.append(error)
        self._said.append(f"{member.name}: {str(error) or type(error).__name__}")
        if is_transient(error):
            self._pauses.append(asked_pause(error) or 0.0)

    def add_resting(self, member: Member) -> None:
        pause = member.breaker.due_in()
        self._said.append(f"{member.name}: is left alone for {pause:.1f} s more, after: {member.breaker.reason}")
        self._pauses.append(pause)

    def error(self) -> Exception:
        if len(self._said) == len(self._errors) == 1:
            return self._errors[0]
        if not self._said:
            return ModelError(
                f"none of the models {', '.join(self._composed.names())} can serve this request",
                hint="add one that follows instructions",
            )
        pause = min(self._pauses, default=0.0)
        return ModelError(
            f"none of the models answered: {'; '.join(self._said)}",
            transient=bool(self._pauses),
            retry_after=pause or None,
        )


def with_usage(chunk: ChatChunk, before: Usage) -> ChatChunk:
    """A chunk whose usage has what was used before it."""
    return replace(chunk, usage=before + chunk.usage) if chunk.usage is not None and before.calls else chunk


def asked_pause(error: BaseException) -> float | None:
    """The seconds for which a server asked to be left alone, an hour at most."""
    asked = error.retry_after if isinstance(error, NodeError) else None
    return min(asked, 3600.0) if asked is not None else None


def _adapted(request: ChatRequest, model: ChatModel) -> ChatRequest:
    """The request as this model understands it: a schema that it does not keep to by itself is told in words."""
    if request.response_schema is None or model.structures() or not model.follows_instructions():
        return request
    from ragweave.orchestrator.models.schemas import told

    messages = told(request.messages, request.response_schema, tools=bool(request.tools))
    return replace(request, messages=messages, response_schema=None)
