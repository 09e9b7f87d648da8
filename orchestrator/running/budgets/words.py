"""What is said of a budget: why a call was not made, and what was done instead."""

from __future__ import annotations

from decimal import Decimal

from ragweave.orchestrator.errors import BudgetExceeded
from ragweave.orchestrator.running.budgets.accounts import Amount, Level

_HINTS = {
    "max_tokens": "raise it, give the node a smaller max_tokens, or let on_exceed try more",
    "max_cost_usd": "raise it, give the node a smaller max_tokens or a cheaper model, or let on_exceed try more",
    "max_seconds": "raise it, or let on_exceed name partial_answer",
    "max_tool_calls": "raise it, or let on_exceed name partial_answer",
}
_PARTS_HELP = ("max_seconds", "max_tool_calls")
"""Limits for which partial_answer is all that on_exceed can do."""


def refusal(level: Level, limit: str, asked: Amount, *, why: str = "") -> BudgetExceeded:
    """The error of a call that does not fit; `why` where it was made and came to its end too early."""
    account = level.account
    allowed = getattr(account.policy, limit)
    if limit == "max_tokens":
        said = f"{account.spent.tokens:,} are spent, and the next call may need {asked.tokens:,}"
        shown = f"{allowed:,}"
    elif limit == "max_cost_usd":
        said = f"{dollars(account.spent.usd)} are spent, and the next call may cost {dollars(asked.usd)}"
        shown = f"{allowed:g}"
    elif limit == "max_seconds":
        said, shown = "they have passed", f"{allowed:g}"
    else:
        said, shown = "they are made", f"{allowed:,}"
    return BudgetExceeded(
        f"the budget of {account.name} ({limit}: {shown}) has no room: {why or said}",
        scope=account.name,
        limit=limit,
        hint="raise it" if account.policy.keeps_parts and limit in _PARTS_HELP else _HINTS[limit],
        frame=level.frame,
        partial=account.policy.keeps_parts,
    )


def dollars(amount: Decimal) -> str:
    """An amount of money, to a millionth of a dollar."""
    shown = f"{amount:.6f}".rstrip("0").rstrip(".")
    return f"{shown or '0'} USD"
