"""A graph that ends with what it has, since its budget lets nothing more be done, and the time that it has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.errors import BudgetExceeded
from ragweave.orchestrator.running.state import Log, MergeFailed, State, join, read

if TYPE_CHECKING:
    from ragweave.orchestrator.running.budgets.clocks import Running
    from ragweave.orchestrator.running.ledger import Ready
    from ragweave.orchestrator.running.plan import Plan
    from ragweave.orchestrator.running.walker import Walker


def exceeded_in(error: BaseException | None) -> BudgetExceeded | None:
    """The budget that a failure comes from, if it comes from one."""
    while error is not None and not isinstance(error, BudgetExceeded):
        error = error.__cause__
    return error


def kept_outputs(plan: Plan, frame: str, states: Iterable[State], error: BaseException) -> dict[str, Any] | None:
    """With which outputs the graph in this frame ends after such a failure; None if it fails.

    It ends where its budget, or one around it up to the graph that the budget is of, keeps parts. The outermost graph
    needs one of its outputs; one that runs as a node needs all, for its caller counts on them.
    """
    exceeded = exceeded_in(error)
    if exceeded is None or not exceeded.partial or not frame.startswith(exceeded.frame):
        return None
    known = [dict(state) for state in states]
    state = join(known, plan.reach) if known else {}
    outputs: dict[str, Any] = {}
    for key in plan.outputs:
        if key in state:
            try:
                value = read(state, key, plan.merges)
            except MergeFailed:
                continue
            outputs[key] = value.items() if isinstance(value, Log) else value
    enough = len(outputs) == len(plan.outputs) if frame else bool(outputs)
    return outputs if enough else None


def limit(walker: Walker, ready: Ready) -> Running | None:
    """Let the clocks of a graph with budgets of time run; when they are out, the graph is stopped."""
    from ragweave.orchestrator.context import Context
    from ragweave.orchestrator.running.budgets.accounts import NOTHING
    from ragweave.orchestrator.running.budgets.clocks import of_graph
    from ragweave.orchestrator.running.budgets.words import refusal

    walker.standing = dict(ready)
    book = walker.run.budgets
    assert book is not None
    running = of_graph(book, Context(run=walker.run, frame=walker.frame, visit=0))
    if running is None:
        return None
    (level, left), loop = running.first(), asyncio.get_running_loop()

    def stop() -> None:
        walker.stop(refusal(level, "max_seconds", NOTHING))

    def expire() -> None:
        more = level.account.more(loop.time())
        if more:
            walker.add_timer(loop.call_later(more, stop))
        else:
            stop()

    if left <= 0:
        stop()
    else:
        walker.add_timer(loop.call_later(left, expire))
    return running


def what_is_left(walker: Walker, failure: BaseException) -> dict[str, Any] | None:
    """The outputs with which the graph of a walker ends after this failure; None if it fails."""
    exceeded, book = exceeded_in(failure), walker.run.budgets
    if exceeded is None or book is None:
        return None
    waiting = [state for arrivals in walker.ledger.arrived.values() for _, state in arrivals]
    states = [*waiting, *(walker.standing or {}).values()]
    outputs = kept_outputs(walker.plan, walker.frame, states, failure)
    if outputs is not None:
        said = f"graph {walker.plan.spec.name!r} ended with what it had: {', '.join(outputs)}"
        book.tell_of_graph(walker.frame, exceeded.scope, exceeded.limit, "partial_answer", said)
    return outputs
