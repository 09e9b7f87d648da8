"""The accounts of one run: which calls are charged to which, what is held for them, and who waits for what is held."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ragweave.orchestrator.result import Exceeded
from ragweave.orchestrator.running.budgets.accounts import NOTHING, Account, Amount, Level, Short
from ragweave.orchestrator.running.budgets.words import refusal
from ragweave.orchestrator.running.events import Event, clock
from ragweave.orchestrator.running.run import inside

if TYPE_CHECKING:
    from ragweave.orchestrator.checking.bound import BoundNode
    from ragweave.orchestrator.context import Context
    from ragweave.orchestrator.language.policies import BudgetPolicy
    from ragweave.orchestrator.running.plan import Plan
    from ragweave.orchestrator.running.run import Run
    from ragweave.orchestrator.values import Usage

_CALL = re.compile(r"([^#/]+)#\d+(?:\[\d+\])?(?:/(\d+))?/")
"""One part of a frame: the node, and which of its members."""

Ask = Callable[[], "tuple[Amount, int] | Short"]
"""What a call wants now, and how long its reply may be; or why there is nothing to wait for."""


class Hold:
    """What is reserved for one call. It counts in full until it is settled."""

    __slots__ = ("_book", "amount", "ctx", "levels", "number", "written")

    def __init__(self, book: Budgets, ctx: Context, levels: Sequence[Level], amount: Amount, written: int) -> None:
        self._book = book
        self.ctx = ctx
        self.levels = levels
        self.amount = amount
        self.written = written
        """The longest reply, in tokens."""
        self.number = 0

    def settle(self, used: Amount | None) -> None:
        """The call has ended, and this is what it used; None if nobody knows, so that all that was held counts."""
        self._book.settle(self, self.amount if used is None else used)


class _Waiting:
    __slots__ = ("ask", "ctx", "future", "levels", "outcome")

    def __init__(self, ctx: Context, levels: Sequence[Level], ask: Ask) -> None:
        self.ctx = ctx
        self.levels = levels
        self.ask = ask
        self.outcome: Hold | Short | None = None
        self.future: asyncio.Future[None] | None = None

    def result(self) -> Hold | Short | None:
        """What has become of it; None while it waits."""
        return self.outcome


class Budgets:
    """The accounts of a run. All of it happens on the run's event loop."""

    __slots__ = ("_accounts", "_holds", "_levels", "_plan", "_run", "_waiting", "changed", "last", "told")

    def __init__(self, plan: Plan, run: Run) -> None:
        self._plan = plan
        self._run = run
        self._accounts: dict[str, Account] = {}
        self._levels: dict[tuple[str, str], tuple[Level, ...]] = {}
        self._holds: dict[int, Hold] = {}
        self._waiting: list[_Waiting] = []
        self.last = 0
        """The highest number under which something was reserved."""
        self.told: list[Exceeded] = []
        """What budgets have changed in the run so far."""
        self.changed: set[str] = set()
        """The paths of calls whose results are not what they would be without a budget."""

    @property
    def accounts(self) -> Sequence[Account]:
        """Those that something was charged to, or could have been."""
        return list(self._accounts.values())

    def levels(self, frame: str, node: str = "") -> tuple[Level, ...]:
        """The accounts that a call of this node is charged to, the innermost first; without a node, those of a graph.
        Raises LookupError for what the graph does not have."""
        key = (frame, node)
        found = self._levels.get(key)
        if found is None:
            found = self._levels[key] = tuple(reversed(self._chain(frame, node)))
        return found

    def _chain(self, frame: str, node: str) -> list[Level]:
        plan, names = self._plan, ""
        found = self._level("", f"graph {plan.spec.name!r}", plan.spec.budget, "", of_node=False)
        for part in _CALL.finditer(frame):
            bound = _bound(plan, part[1])
            names += part[1]
            at = frame[: part.end()]
            found += self._level(names, f"node {names!r}", bound.policies.budget, at, of_node=True)
            plan = bound.members[int(part[2] or 0)].node.plan  # type: ignore[attr-defined]
            found += self._level(at, f"graph {plan.spec.name!r}", plan.spec.budget, at, of_node=False)
            names += "/"
        if node:
            names += node
            found += self._level(names, f"node {names!r}", _bound(plan, node).policies.budget, frame, of_node=True)
        return found

    def _level(self, scope: str, name: str, policy: BudgetPolicy | None, frame: str, *, of_node: bool) -> list[Level]:
        if policy is None:
            return []
        account = self._accounts.get(scope)
        if account is None:
            account = self._accounts[scope] = Account(scope, name, policy)
        return [Level(account, frame, of_node)]

    async def reserve(self, ctx: Context, levels: Sequence[Level], ask: Ask) -> Hold | Short:
        """Hold what a call wants in all of these accounts, or say into which it does not fit.

        Waits, first come first served, while it does not fit only because of what is held for others.
        """
        waiting = _Waiting(ctx, levels, ask)
        self._waiting.append(waiting)
        self._serve()
        if waiting.result() is None:
            waiting.future = asyncio.get_running_loop().create_future()
            try:
                await waiting.future
            except asyncio.CancelledError:
                given = waiting.result()
                if isinstance(given, Hold):
                    given.settle(NOTHING)
                else:
                    self._waiting = [other for other in self._waiting if other is not waiting]
                    self._serve()
                raise
        outcome = waiting.result()
        assert outcome is not None
        return outcome

    def _serve(self) -> None:
        """Give those that wait what they want, as far as it is there; nobody overtakes one that waits for the same."""
        blocked: set[str] = set()
        left: list[_Waiting] = []
        for waiting in self._waiting:
            wanted = waiting.ask()
            if isinstance(wanted, Short):
                waiting.outcome = wanted
            else:
                scopes = {level.account.scope for level in waiting.levels}
                amount, written = wanted
                fits = not any(level.account.short(amount, beside_held=True) for level in waiting.levels)
                if not fits or scopes & blocked:
                    blocked |= scopes
                    left.append(waiting)
                    continue
                waiting.outcome = self._held(waiting, amount, written)
            if waiting.future is not None and not waiting.future.done():
                waiting.future.set_result(None)
        self._waiting = left

    def _held(self, waiting: _Waiting, amount: Amount, written: int) -> Hold:
        hold = Hold(self, waiting.ctx, waiting.levels, amount, written)
        for level in hold.levels:
            level.account.held = level.account.held.plus(amount)
        hold.number = self.number()
        self._holds[hold.number] = hold
        self.note("reserved", waiting.ctx, {"number": hold.number, **_data(amount)})
        return hold

    def settle(self, hold: Hold, used: Amount) -> None:
        """Give back what a hold has too much; once."""
        if self._holds.pop(hold.number, None) is None:
            return
        for level in hold.levels:
            level.account.held = level.account.held.minus(hold.amount)
            level.account.spent = level.account.spent.plus(used)
        self.note("spent", hold.ctx, {"number": hold.number, **_data(used)})
        self._serve()

    def charge(self, ctx: Context, used: Amount) -> None:
        """Count what was used without having been held."""
        levels = self.levels(ctx.frame, ctx.node)
        for level in levels:
            level.account.spent = level.account.spent.plus(used)
        if levels:
            self.note("spent", ctx, _data(used))
            self._serve()

    def use(self, ctx: Context, usage: Usage) -> None:
        """Count what a call has used of a model that it asked by itself, past what is held."""
        self.charge(ctx, Amount(usage.input_tokens + usage.output_tokens, usage.spent))

    def call_tool(self, ctx: Context) -> None:
        """Count a call of a tool, before it is made. Raises BudgetExceeded if it may not be."""
        levels = [one for one in self.levels(ctx.frame, ctx.node) if one.account.policy.max_tool_calls is not None]
        one_call = Amount(tool_calls=1)
        for level in levels:
            limit = level.account.short(one_call)
            if limit:
                error = refusal(level, limit, one_call)
                did = "partial_answer" if error.partial else "stop"
                self.tell(ctx, error.scope, limit, did, "a tool was not called")
                raise error
        if levels:
            self.charge(ctx, one_call)

    def abandoned(self, path: str) -> None:
        """Nobody waits any longer for the call at this path: what is held for it counts as used."""
        for hold in [hold for hold in self._holds.values() if inside(hold.ctx.path, path)]:
            hold.settle(None)

    def tell(self, ctx: Context, scope: str, limit: str, did: str, said: str) -> None:
        """Journal, and show, what a budget has changed in a call."""
        self.changed.add(ctx.path)
        self.told.append(Exceeded(scope, limit, did, ctx.path, said))
        data = {"scope": scope, "limit": limit, "did": did, "said": said}
        self._run.journal(Event("budget", ctx.frame, ctx.node, ctx.visit, data, ctx.item, ctx.member))

    def tell_of_graph(self, frame: str, scope: str, limit: str, did: str, said: str) -> None:
        """The same of a whole graph."""
        self.told.append(Exceeded(scope, limit, did, frame, said))
        self._run.journal(Event("budget", frame, data={"scope": scope, "limit": limit, "did": did, "said": said}))

    def number(self) -> int:
        """A number that nothing else was reserved under."""
        self.last += 1
        return self.last

    def note(self, kind: str, ctx: Context, data: dict[str, object]) -> None:
        """Journal what is held or spent; a stream does not show it."""
        self._run.append((kind, ctx.frame, ctx.node, ctx.visit, data, ctx.item, ctx.member, -1, 0, clock()))


def _bound(plan: Plan, node: str) -> BoundNode:
    for step in plan.steps:
        if step.name == node and step.bound is not None:
            return step.bound
    raise LookupError(node)


def _data(amount: Amount) -> dict[str, object]:
    data: dict[str, object] = {}
    if amount.tokens:
        data["tokens"] = amount.tokens
    if amount.usd:
        data["usd"] = str(amount.usd)
    if amount.tool_calls:
        data["tool_calls"] = amount.tool_calls
    return data
