"""A model whose replies are kept, and given again to who asks the same."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveInt, PrivateAttr

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest, Embedder, EmbedderName, ModelName
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.language.policies import Duration
from ragweave.orchestrator.models.composed.answers import Answers, FileAnswers, Kept, MemoryAnswers
from ragweave.orchestrator.models.composed.asked import (
    digest_of,
    exact_key,
    group_key,
    identity_of,
    may_mean_the_same,
)
from ragweave.orchestrator.models.composed.pump import Pump
from ragweave.orchestrator.models.replies import closing
from ragweave.orchestrator.values import Usage

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources

_WHOLE = ("", "stop", "tool_calls")
"""How replies end that may be given again; one that was cut off or withheld may not."""


class Cached(ChatModel, type="cached"):
    """Keeps the replies of a model, and streams a kept one to who asks the same.

    Two requests are the same if all that a model may heed is equal: messages, documents, settings, tools, schema. With
    `match: semantic` only the rest has to be; of the question the meaning counts, never across other numbers or
    negations. Replies are kept apart by tenant, by `share` also by person or conversation. Requests that are the same
    at the same moment make one call. Failures and replies that were cut off are not kept. A reply that is given again
    has used nothing. Source of the semantic match: GPTCache, 2023.
    """

    model: ModelName = Field(description="The model whose replies are kept.")
    ttl: Duration = Field(3600.0, description="How long a reply may be given again, such as 1h.")
    size: PositiveInt = Field(1000, description="How many replies are kept; then the least used make room.")
    match: Literal["exact", "semantic"] = Field("exact", description="Whether a question of the same meaning will do.")
    threshold: float = Field(0.95, gt=0, le=1, description="The cosine from which two questions mean the same.")
    embedder: EmbedderName = Field("minilm", description="Compares questions, with match: semantic.")
    share: Literal["tenant", "user", "thread"] = Field("tenant", description="Among whom a reply may be given again.")
    path: str = Field("", description="A SQLite file to keep replies in, such as .ragweave/answers.db; else in memory.")

    _inner: ChatModel | None = PrivateAttr(None)
    _embedder: Any = PrivateAttr(None)
    _answers: Any = PrivateAttr(None)
    _resources: Any = PrivateAttr(None)
    _identity: str = PrivateAttr("")
    _flights: dict[Any, Pump] = PrivateAttr(default_factory=dict)
    _hits: int = PrivateAttr(0)
    _misses: int = PrivateAttr(0)
    _joined: int = PrivateAttr(0)

    def open(self, resources: Resources) -> None:
        """Build the model, and the embedder if meanings are compared. Raises ResourceError, also for the file."""
        if not resources.has("models", self.model):
            raise resources.unknown("models", self.model)
        self._inner = resources.get("models", self.model)
        self._identity = digest_of(identity_of(resources, "models", self.model))
        if self.match == "semantic":
            self._embedder = resources.get("embedders", self.embedder)
        if self.path:
            self._answers = FileAnswers(resources.folder / self.path, self.size, self.ttl)
        else:
            self._answers = MemoryAnswers(self.size, self.ttl)
        self._resources = resources

    @property
    def hits(self) -> int:
        """How many requests were given a kept reply."""
        return self._hits

    @property
    def misses(self) -> int:
        """How many requests made a call."""
        return self._misses

    @property
    def joined(self) -> int:
        """How many requests were given the reply of a call that another had just begun."""
        return self._joined

    @property
    def inner(self) -> ChatModel:
        """The model whose replies are kept."""
        if self._inner is None:
            raise ResourceError(f"the model 'cached' over {self.model!r} is not open", hint="get it from a graph")
        return self._inner

    def cites(self) -> bool:
        """True if the model does."""
        return self.inner.cites()

    def follows_instructions(self) -> bool:
        """True if the model does."""
        return self.inner.follows_instructions()

    def structures(self) -> bool:
        """True if the model does."""
        return self.inner.structures()

    def calls_tools(self) -> bool:
        """True if the model does."""
        return self.inner.calls_tools()

    def count_tokens(self, text: str) -> int | None:
        """As its model does."""
        return self.inner.count_tokens(text)

    def pricing(self) -> Literal["members"]:
        """What the calls of its model cost."""
        return "members"

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The reply, kept or new. Raises what the model raises."""
        who = self._who(request)
        if who is None:
            async with aclosing(self._asked(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        key = exact_key(request, who, self._identity)
        # Two loops have their own flights: what one waits for cannot be told by the other.
        flight = self._flights.get((asyncio.get_running_loop(), key))
        if flight is None and (kept := await self._find(key, request, who)) is not None:
            self._hits += 1
            for chunk in _replayed(kept):
                yield chunk
            return
        async with aclosing(self._shared(key, request, who)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def close(self) -> None:
        """Close the file."""
        if self._answers is not None:
            self._answers.close()

    async def _shared(self, key: str, request: ChatRequest, who: Sequence[str]) -> AsyncGenerator[ChatChunk, None]:
        """The reply of the call that is being made: the first to ask makes it, the last to go ends it."""
        place = (asyncio.get_running_loop(), key)
        flight = self._flights.get(place)
        first = flight is None
        if flight is None:
            self._misses += 1
            flight = self._flights[place] = Pump(self._new(key, request, who))
        else:
            self._joined += 1
        flight.readers += 1
        try:
            async with aclosing(flight.read()) as chunks:
                async for chunk in chunks:
                    # The call is counted once, by who made it.
                    yield chunk if first or chunk.usage is None else replace(chunk, usage=Usage())
        finally:
            flight.readers -= 1
            if not flight.readers:
                if self._flights.get(place) is flight:
                    del self._flights[place]
                await flight.stop()

    async def _new(self, key: str, request: ChatRequest, who: Sequence[str]) -> AsyncGenerator[ChatChunk, None]:
        """The model's reply, kept when it is whole."""
        pieces: list[str] = []
        last = ChatChunk()
        async with aclosing(self._asked(request)) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    pieces.append(chunk.text)
                last = ChatChunk(
                    tool_calls=(*last.tool_calls, *chunk.tool_calls),
                    finish=chunk.finish or last.finish,
                    confidence=chunk.confidence if chunk.confidence is not None else last.confidence,
                )
                yield chunk
        if last.finish in _WHOLE and (pieces or last.tool_calls):
            reply = Kept(tuple(pieces), tuple(last.tool_calls), last.finish, last.confidence, request.question.strip())
            await self._keep(key, request, who, reply)

    async def _asked(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The model's own stream, with what it cost."""
        async with closing(self.inner.stream(request)) as chunks:
            async for chunk in chunks:
                if chunk.usage is not None and self._resources is not None:
                    chunk = replace(chunk, usage=self._resources.priced(chunk.usage, self.inner))
                yield chunk

    def _who(self, request: ChatRequest) -> list[str] | None:
        """Among whom a reply may be shared; None if that is not known, so that nothing may be."""
        if self.share == "tenant":
            return [request.tenant]
        if not (request.user if self.share == "user" else request.thread):
            self._resources.say_once(
                f"the model 'cached' shares replies by {self.share}, and a call has no {self.share}: it is not kept"
            )
            return None
        return [request.tenant, request.user, *([request.thread] if self.share == "thread" else [])]

    async def _find(self, key: str, request: ChatRequest, who: Sequence[str]) -> Kept | None:
        """A kept reply to this request, or to one whose question means the same."""
        answers: Answers = self._answers
        try:
            kept: Kept | None = await self._off_loop(answers.get, key)
            if kept is not None or self.match == "exact":
                return kept
            group = self._group(request, who)
            others = await self._off_loop(answers.group, group) if group else ()
        except sqlite3.Error as error:
            self._broken(error)
            return None
        question = request.question.strip()
        near = [other for other in others if other.vector and may_mean_the_same(question, other.question)]
        return await asyncio.to_thread(_nearest, self._embedder, question, near, self.threshold) if near else None

    async def _keep(self, key: str, request: ChatRequest, who: Sequence[str], reply: Kept) -> None:
        group = self._group(request, who) if self.match == "semantic" else ""
        if group:
            vectors = await asyncio.to_thread(self._embedder.embed, [reply.question])
            reply = reply._replace(vector=tuple(float(one) for one in vectors[0]))
        try:
            await self._off_loop(self._answers.put, key, group, reply)
        except sqlite3.Error as error:
            self._broken(error)

    def _group(self, request: ChatRequest, who: Sequence[str]) -> str:
        return group_key(request, who, self._identity, self._embedder.identity)

    async def _off_loop(self, function: Any, *args: Any) -> Any:
        """Memory is looked at at once; a file may make one wait."""
        return await asyncio.to_thread(function, *args) if self.path else function(*args)

    def _broken(self, error: sqlite3.Error) -> None:
        self._resources.say_once(f"replies are not kept: {self.path!r} cannot be used: {error}; delete the file")


def _replayed(kept: Kept) -> list[ChatChunk]:
    """A kept reply as it was streamed; it used nothing."""
    *pieces, last = kept.chunks()
    return [*pieces, replace(last, usage=Usage())]


def _nearest(embedder: Embedder, question: str, others: Sequence[Kept], threshold: float) -> Kept | None:
    """The reply whose question is nearest in meaning, if it is near enough."""
    import numpy as np

    vector = embedder.embed([question])[0]
    fits = [other for other in others if len(other.vector) == len(vector)]
    if not fits:
        return None
    cosines = np.array([other.vector for other in fits], dtype=np.float32) @ vector
    best = int(cosines.argmax())
    return fits[best] if float(cosines[best]) >= threshold else None
