"""Accounts: what one budget allows, what of it is spent, and what is held for calls that go on."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

from ragweave.orchestrator.language.policies import BudgetPolicy

NOTHING_SPENT = Decimal(0)
REST, LONGEST_REST = 0.05, 1.0
"""Of the time, the part, and the most of it in seconds, that is kept for what follows a reply that is broken off."""


class Amount(NamedTuple):
    """What calls use, or may use."""

    tokens: int = 0
    usd: Decimal = NOTHING_SPENT
    tool_calls: int = 0

    def plus(self, other: Amount) -> Amount:
        """Both together."""
        return Amount(self.tokens + other.tokens, self.usd + other.usd, self.tool_calls + other.tool_calls)

    def minus(self, other: Amount) -> Amount:
        """This one without the other."""
        return Amount(self.tokens - other.tokens, self.usd - other.usd, self.tool_calls - other.tool_calls)


NOTHING = Amount()


class Bound(NamedTuple):
    """The most that a call of a model can use: what it reads, and what each token that it writes adds."""

    read: int = 0
    """Tokens."""
    copies: int = 1
    """How many replies may be paid for: more than one where models are asked side by side."""
    usd_read: Decimal = NOTHING_SPENT
    """Of all that is read."""
    usd_written: Decimal = NOTHING_SPENT
    """Of one token written, in every copy."""

    def of(self, written: int) -> Amount:
        """With a reply of at most so many tokens."""
        return Amount(self.read + self.copies * written, self.usd_read + self.usd_written * written)


class Clock:
    """Seconds in which at least one call of a scope went on."""

    __slots__ = ("_going", "_since", "_spent", "number")

    def __init__(self) -> None:
        self._spent = 0.0
        self._since = 0.0
        self._going = 0
        self.number = 0
        """Under which the journal knows the stretch that goes on."""

    def spent(self, now: float) -> float:
        """The seconds so far."""
        return self._spent + (now - self._since if self._going else 0.0)

    def add(self, seconds: float) -> None:
        """Seconds of a stretch that is over."""
        self._spent += seconds

    def start(self, now: float) -> bool:
        """One more call goes on; True if it is the only one."""
        self._going += 1
        if self._going == 1:
            self._since = now
        return self._going == 1

    def stop(self, now: float) -> float | None:
        """One call less; if it was the last, the seconds of the stretch that is over."""
        self._going -= 1
        if self._going:
            return None
        self._spent += now - self._since
        return now - self._since


class Account:
    """What one graph or node may use in a run."""

    __slots__ = ("broken_off", "clock", "cost", "held", "keeping", "name", "policy", "scope", "spent")

    def __init__(self, scope: str, name: str, policy: BudgetPolicy) -> None:
        self.scope = scope
        """A graph's frame, or the names that lead to a node: what the journal calls it."""
        self.name = name
        """For people: graph 'cookbook', node 'answer'."""
        self.policy = policy
        self.cost = Decimal(str(policy.max_cost_usd)) if policy.max_cost_usd is not None else None
        self.spent = NOTHING
        self.held = NOTHING
        self.clock = Clock()
        self.keeping = 0
        """How many replies go on whose text is kept when the time is over."""
        self.broken_off = float("-inf")
        """When the last of them was broken off, by the clock of the event loop."""

    @property
    def counts(self) -> bool:
        """True if calls of models are counted: their tokens or their cost."""
        return self.policy.max_tokens is not None or self.cost is not None

    def short(self, asked: Amount, *, beside_held: bool = False) -> str:
        """The limit that is passed if this much is used as well, such as `max_tokens`; empty if none is. What is held
        counts if so wanted; else only what can never come back does."""
        policy, spent, held = self.policy, self.spent, self.held if beside_held else NOTHING
        tokens, calls = policy.max_tokens, policy.max_tool_calls
        if tokens is not None and asked.tokens and spent.tokens + held.tokens + asked.tokens > tokens:
            return "max_tokens"
        if self.cost is not None and asked.usd and spent.usd + held.usd + asked.usd > self.cost:
            return "max_cost_usd"
        if calls is not None and asked.tool_calls and spent.tool_calls + held.tool_calls + asked.tool_calls > calls:
            return "max_tool_calls"
        return ""

    def room(self, bound: Bound, most: int) -> int:
        """Up to how many tokens a reply may have so that the call fits into what is not spent; negative if none may."""
        if self.policy.max_tokens is not None:
            most = min(most, (self.policy.max_tokens - self.spent.tokens - bound.read) // bound.copies)
        if self.cost is not None:
            left = self.cost - self.spent.usd - bound.usd_read
            if left < 0:
                return -1
            if bound.usd_written:
                most = min(most, int((left / bound.usd_written).to_integral_value(ROUND_FLOOR)))
        return most

    @property
    def rest(self) -> float:
        """The seconds at the end that are for what follows a reply that was broken off."""
        return min(REST * (self.policy.max_seconds or 0.0), LONGEST_REST)

    def more(self, now: float) -> float:
        """The seconds that are given once when the time is over, since the loop was late to break off a reply."""
        return self.rest if self.keeping or now - self.broken_off < self.rest else 0.0

    def left(self, now: float) -> float | None:
        """The seconds that are left; None if time is not limited."""
        limit = self.policy.max_seconds
        return None if limit is None else limit - self.clock.spent(now)


class Level(NamedTuple):
    """An account that a call is charged to."""

    account: Account
    frame: str
    """The graph that ends if nothing can be done any more there."""
    of_node: bool = False


class Short(NamedTuple):
    """A call that does not fit: into which account, by which limit, and the least that it asked for."""

    level: Level
    limit: str
    asked: Amount
