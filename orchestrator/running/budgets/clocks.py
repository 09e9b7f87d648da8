"""Budgets of time: clocks that run while calls of their scope go on, and what stops these calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.running.budgets.accounts import NOTHING, Level
from ragweave.orchestrator.running.budgets.book import Budgets
from ragweave.orchestrator.running.budgets.words import refusal

if TYPE_CHECKING:
    from ragweave.orchestrator.errors import BudgetExceeded
    from ragweave.orchestrator.running.run import Runner


class Running:
    """The clocks of some levels while a call or a graph goes on."""

    __slots__ = ("_book", "_ctx", "_levels")

    def __init__(self, book: Budgets, ctx: Context, levels: Sequence[Level]) -> None:
        self._book = book
        self._ctx = ctx
        self._levels = levels
        now = asyncio.get_running_loop().time()
        for level in levels:
            clock = level.account.clock
            if clock.start(now):
                clock.number = book.number()
                book.note("reserved", ctx, {"number": clock.number, "scope": level.account.scope})

    def first(self) -> tuple[Level, float]:
        """The level whose time ends first, and the seconds until then."""
        now = asyncio.get_running_loop().time()
        found = [(level.account.left(now) or 0.0, at) for at, level in enumerate(self._levels)]
        left, at = min(found)
        return self._levels[at], left

    def stop(self) -> None:
        """It goes on no longer."""
        now = asyncio.get_running_loop().time()
        for level in self._levels:
            clock = level.account.clock
            seconds = clock.stop(now)
            if seconds is not None:
                data = {"number": clock.number, "scope": level.account.scope, "seconds": seconds}
                self._book.note("spent", self._ctx, data)


def of_graph(book: Budgets, ctx: Context) -> Running | None:
    """Start the clocks of the graph in the frame of `ctx`, and of the node that runs it; None if there are none."""
    levels = [one for one in book.levels(ctx.frame) if one.frame == ctx.frame and _limited(one)]
    return Running(book, ctx, levels) if levels else None


def clocked(call: Runner) -> Runner:
    """A node's call within the time that its own budget has left. Raises BudgetExceeded."""
    from ragweave.orchestrator.running.wrappers import limited  # it wraps calls in this

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        book = ctx.run.budgets if ctx.run is not None else None
        levels = book.levels(ctx.frame, ctx.node) if book is not None else ()
        own = [level for level in levels[:1] if level.of_node and _limited(level)]
        if book is None or not own:
            return await call(values, ctx)
        running = Running(book, ctx, own)
        level, left = running.first()

        def late() -> BudgetExceeded:
            error = refusal(level, "max_seconds", NOTHING)
            book.tell(ctx, level.account.name, "max_seconds", "stop", "the call was stopped")
            return error

        try:
            if left <= 0:
                raise late()
            clock = asyncio.get_running_loop().time
            return await limited(call, values, ctx, left, late, lambda: level.account.more(clock()))
        finally:
            running.stop()

    return run


def soft_end(levels: Sequence[Level]) -> tuple[float, Level] | None:
    """When a reply is to be broken off whose text so far is kept, and for whose sake; None if at no time.

    That is a little before the time is over, so that what follows the reply has some left.
    """
    now = asyncio.get_running_loop().time()
    found: list[tuple[float, int]] = []
    for at, level in enumerate(levels):
        left = level.account.left(now)
        if left is not None and level.account.policy.keeps_parts:
            found.append((now + left - level.account.rest, at))
    if not found:
        return None
    end, at = min(found)
    return end, levels[at]


def _limited(level: Level) -> bool:
    return level.account.policy.max_seconds is not None
