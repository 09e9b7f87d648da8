"""What becomes of a model's calls of tools: they are allowed, a person is asked, or they are denied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ragweave.orchestrator.errors import ConditionError

if TYPE_CHECKING:
    from ragweave.orchestrator.checking.condition import Condition

Action = Literal["allow", "ask", "deny"]
ACTIONS: tuple[Action, ...] = ("allow", "ask", "deny")
ARGUMENTS = "arguments"
"""What a rule's condition speaks of."""


class Rule(NamedTuple):
    """One entry of `approval`: for calls of these tools, and with these arguments."""

    action: Action
    tools: tuple[str, ...]
    """Names of tools; `*` stands for any characters."""
    condition: Condition | None = None

    def is_for(self, tool: str) -> bool:
        """True if it speaks of this tool."""
        return any(fnmatchcase(tool, pattern) for pattern in self.tools)


class Decision(NamedTuple):
    """What becomes of a call, and why if it is denied."""

    action: Action
    reason: str = ""


def decide(rules: Sequence[Rule], tool: str, arguments: Mapping[str, Any]) -> Decision:
    """That of the first rule that fits; a call that none fits is denied, and so is one that a rule cannot judge."""
    for rule in rules:
        if not rule.is_for(tool):
            continue
        try:
            if rule.condition is not None and not rule.condition.holds({ARGUMENTS: dict(arguments)}):
                continue
        except ConditionError as error:
            return Decision("deny", f"no rule allows it: {error}")
        return Decision(rule.action, "a rule of the graph denies it" if rule.action == "deny" else "")
    return Decision("deny", "no rule of the graph allows it")
