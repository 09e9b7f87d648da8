"""Calls of models within budgets: what a call may use is held before it is made, and what it used is settled after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.errors import BudgetExceeded, MissingExtra, ResourceError
from ragweave.orchestrator.models.replies import BROKEN_OFF
from ragweave.orchestrator.models.schemas import told
from ragweave.orchestrator.running.budgets.accounts import NOTHING, Amount, Bound, Level, Short
from ragweave.orchestrator.running.budgets.book import Budgets, Hold
from ragweave.orchestrator.running.budgets.bounds import bound_of, quotes
from ragweave.orchestrator.running.budgets.clocks import soft_end
from ragweave.orchestrator.running.budgets.words import refusal

if TYPE_CHECKING:
    from ragweave.orchestrator.context import Context
    from ragweave.orchestrator.contracts import ChatModel, ChatRequest
    from ragweave.orchestrator.models.replies import Reply
    from ragweave.orchestrator.values import Usage

REPLY = 4_096
"""Tokens that are held for a reply where its node gives no max_tokens."""
LEAST = 64
"""A call whose reply could have fewer is not made, unless its node wants no more."""
Settle = Callable[["Usage | None", bool], None]
Stream = Callable[["ChatModel", "ChatRequest", float | None, Settle | None], Awaitable["Reply"]]
Fewer = Callable[[int], "ChatRequest"]


async def within(
    ctx: Context, model: ChatModel, request: ChatRequest, fewer: Fewer | None, stream: Stream, *, keeps: bool
) -> Reply:
    """The reply of `stream`, within the budgets of this call. Raises BudgetExceeded.

    `fewer` makes the request with only so many documents, `keeps` says that a part of the text is of use.
    """
    book = ctx.run.budgets if ctx.run is not None else None
    levels = book.levels(ctx.frame, ctx.node) if book is not None else ()
    if book is None or not levels:
        return await stream(model, request, None, None)
    end = soft_end(levels) if keeps else None
    if end is None:
        return await _counted(book, ctx, levels, model, request, fewer, stream, None, keeps=keeps)
    until, level = end
    clock = asyncio.get_running_loop().time
    if until <= clock():
        raise stopped(book, ctx, level, "max_seconds", NOTHING)
    level.account.keeping += 1
    try:
        reply = await _counted(book, ctx, levels, model, request, fewer, stream, until, keeps=keeps)
    finally:
        level.account.keeping -= 1
    if reply.finish != BROKEN_OFF:
        return reply
    level.account.broken_off = clock()
    if not reply.text.strip():
        raise stopped(book, ctx, level, "max_seconds", NOTHING)
    said = "the reply was broken off, and what was said is kept"
    book.tell(ctx, level.account.name, "max_seconds", "partial_answer", said)
    return reply._replace(tool_calls=())


async def _counted(
    book: Budgets,
    ctx: Context,
    levels: Sequence[Level],
    model: ChatModel,
    request: ChatRequest,
    fewer: Fewer | None,
    stream: Stream,
    until: float | None,
    *,
    keeps: bool,
) -> Reply:
    """The reply, held in the accounts that count calls of models."""
    counting = [level for level in levels if level.account.counts]
    if not counting or quotes(model):
        return await stream(model, request, until, None)
    return await _Call(book, ctx, counting, model, request, fewer, keeps=keeps).made(stream, until)


def stopped(book: Budgets, ctx: Context, level: Level, limit: str, asked: Amount, why: str = "") -> BudgetExceeded:
    """The error of a call that is not made, or of no use; the run tells of it."""
    error = refusal(level, limit, asked, why=why)
    book.tell(ctx, level.account.name, limit, "stop", why or "the call was not made")
    return error


class _Step:
    """A form of the call: which model is asked, with how many documents, and for how little it is made."""

    __slots__ = ("bound", "documents", "least", "model", "name", "request")

    def __init__(self, model: ChatModel, name: str, request: ChatRequest, documents: int, least: int) -> None:
        self.model = model
        self.name = name
        self.request = request
        self.documents = documents
        self.least = least
        """The shortest reply for which it is made, in tokens."""
        self.bound = Bound()


class _Call:
    """One call on its way to its hold."""

    def __init__(
        self,
        book: Budgets,
        ctx: Context,
        levels: Sequence[Level],
        model: ChatModel,
        request: ChatRequest,
        fewer: Fewer | None,
        *,
        keeps: bool,
    ) -> None:
        self.book = book
        self.ctx = ctx
        self.levels = levels
        self.fewer = fewer
        self.keeps = keeps
        self.money = any(level.account.cost is not None for level in levels)
        self.most = request.max_tokens or REPLY
        self.all = len(request.documents)
        self.tried = False
        """True once other forms of it were tried."""
        self.told: list[tuple[Level, str, str, str]] = []
        name = ctx.resources.name_of("models", model) if ctx.resources is not None else ""
        whole = request.max_tokens if request.max_tokens is not None else min(LEAST, self.most)
        self.step = self.sized(_Step(model, name, request, self.all, whole))

    async def made(self, stream: Stream, until: float | None) -> Reply:
        hold = await self.hold()
        for level, limit, did, said in self.told:
            self.book.tell(self.ctx, level.account.name, limit, did, said)
        step = self.step
        if self.tried and self.fewer is not None:
            self.fewer(step.documents)  # the last number that was tried need not be the one that is taken
        settled = _Settled(self.ctx, step, hold)
        request = replace(step.request, max_tokens=hold.written)
        try:
            reply = await stream(step.model, request, until, settled)
        finally:
            hold.settle(None)  # says nothing where it is settled
        if reply.finish != "length" or step.request.max_tokens == hold.written:
            return reply
        return self.cut(reply, hold)

    def cut(self, reply: Reply, hold: Hold) -> Reply:
        """A reply that ended at the length that was held for it."""
        rooms = [(level.account.room(self.step.bound, self.most), at) for at, level in enumerate(self.levels)]
        level = self.levels[min(rooms)[1]]
        limit = "max_tokens" if level.account.policy.max_tokens is not None else "max_cost_usd"
        why = f"the reply was cut off at {hold.written:,} tokens, which is what was held for it"
        if hold.written == REPLY == self.most:
            why += "; the node's max_tokens says how much is held"
        if self.keeps and level.account.policy.keeps_parts and reply.text.strip():
            self.book.tell(self.ctx, level.account.name, limit, "partial_answer", f"{why}; it is kept")
            return reply._replace(finish="stop", tool_calls=())
        raise stopped(self.book, self.ctx, level, limit, NOTHING, why)

    async def hold(self) -> Hold:
        while True:
            outcome = await self.book.reserve(self.ctx, self.levels, lambda: self.wanted(self.step))
            if isinstance(outcome, Hold):
                return outcome
            if not await self.eased(outcome):
                level, limit, asked = outcome
                raise stopped(self.book, self.ctx, level, limit, asked)

    def wanted(self, step: _Step) -> tuple[Amount, int] | Short:
        """What a form of the call wants now; or into which account its least does not fit."""
        most = min(self.most, step.request.max_tokens or self.most)
        for level in self.levels:
            most = min(most, level.account.room(step.bound, most))
            if most < step.least:
                asked = step.bound.of(step.least)
                return Short(level, level.account.short(asked) or "max_tokens", asked)
        return step.bound.of(most), most

    async def eased(self, short: Short) -> bool:
        """Try what on_exceed names, in its order; what does not do alone is tried together. True if a form fits."""
        ways = short.level.account.policy.on_exceed
        before, found = self.step, None
        self.tried = True
        for way in ways:
            if way == "fewer_documents":
                found = self.with_fewer(before)
            elif way == "cheaper_model":
                found = await self.cheaper(before, self.as_it_is)
            if found is not None:
                break
        if found is None and "fewer_documents" in ways and "cheaper_model" in ways:
            found = await self.cheaper(before, self.with_fewer)
        if found is None and "partial_answer" in ways and self.keeps:
            found = self.shorter(before)
        if found is None:
            return False
        self.note(before, found, short)
        self.step = found
        return True

    def as_it_is(self, step: _Step) -> _Step | None:
        """This form, if it fits."""
        return None if isinstance(self.wanted(step), Short) else step

    def with_fewer(self, step: _Step) -> _Step | None:
        """With as many documents as fit, one at least; the last ones go."""
        if self.fewer is None or step.documents < 2:
            return None
        low, high, found = 1, step.documents - 1, None
        while low <= high:
            count = (low + high) // 2
            request = _adapted(self.fewer(count), step.model)
            fits = self.as_it_is(self.sized(_Step(step.model, step.name, request, count, step.least)))
            if fits is None:
                high = count - 1
            else:
                low, found = count + 1, fits
        return found

    async def cheaper(self, step: _Step, fit: Callable[[_Step], _Step | None]) -> _Step | None:
        """With the cheapest of the graph's models that can do this call, if it costs less and fits."""
        if not self.money or self.ctx.resources is None:
            return None
        now = step.bound.of(step.least).usd
        found: list[tuple[Any, int, _Step]] = []
        for at, name in enumerate(self.ctx.resources.names("models")):
            if name == step.name:
                continue
            try:
                model = await self.ctx.model(name)
                if not _able(model, step.request):
                    continue
                other = self.sized(_Step(model, name, _adapted(step.request, model), step.documents, step.least))
            except (ResourceError, MissingExtra):  # it cannot be built here, or nobody knows what it costs
                continue
            cost = other.bound.of(step.least).usd
            if cost < now:
                found.append((cost, at, other))
        for _, _, other in sorted(found, key=lambda one: one[:2]):
            fitting = fit(other)
            if fitting is not None:
                return fitting
        return None

    def shorter(self, step: _Step) -> _Step | None:
        """With a shorter reply, of which what there is will be kept."""
        least = min(LEAST, self.most)
        if step.least <= least:
            return None
        other = _Step(step.model, step.name, replace(step.request, max_tokens=None), step.documents, least)
        other.bound = step.bound
        return self.as_it_is(other)

    def sized(self, step: _Step) -> _Step:
        step.bound = (
            Bound() if quotes(step.model) else bound_of(step.model, step.request, self.ctx.resources, money=self.money)
        )
        return step

    def note(self, before: _Step, after: _Step, short: Short) -> None:
        level, limit = short.level, short.limit
        if after.documents < before.documents:
            said = f"it was asked with the first {after.documents} of {self.all} documents"
            self.told.append((level, limit, "fewer_documents", said))
        if after.model is not before.model:
            said = f"model {after.name!r} was asked instead of {before.name!r}"
            self.told.append((level, limit, "cheaper_model", said))


class _Settled:
    """Settles a hold by what the model said that it used."""

    __slots__ = ("ctx", "hold", "step")

    def __init__(self, ctx: Context, step: _Step, hold: Hold) -> None:
        self.ctx = ctx
        self.step = step
        self.hold = hold

    def __call__(self, usage: Usage | None, answered: bool) -> None:
        if not answered:
            self.hold.settle(NOTHING)
        elif usage is None or (usage.calls and not (usage.input_tokens or usage.output_tokens)):
            self.hold.settle(None)
        elif usage.calls > 1 and self.step.bound.copies > 1:
            self.hold.settle(None)  # what those used that were asked beside the one that answered is not told
        else:
            resources = self.ctx.resources
            priced = resources.priced(usage, self.step.model) if resources is not None else usage
            known = priced.cost is not None and (priced.currency or not priced.calls)
            usd = priced.spent if known else self.hold.amount.usd
            self.hold.settle(Amount(usage.input_tokens + usage.output_tokens, usd))


def _able(model: ChatModel, request: ChatRequest) -> bool:
    """True if a model can do what a request wants."""
    if request.tools and not model.calls_tools():
        return False
    needs = request.response_schema is not None or bool(request.tools) or not (request.question and request.documents)
    return model.follows_instructions() or not needs


def _adapted(request: ChatRequest, model: ChatModel) -> ChatRequest:
    """A request as another model understands it."""
    if request.response_schema is None or model.structures():
        return request
    return replace(
        request,
        messages=told(request.messages, request.response_schema, tools=bool(request.tools)),
        response_schema=None,
    )
