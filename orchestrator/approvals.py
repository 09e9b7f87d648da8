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
ARGUMENTS, REQUEST = "arguments", "request"
"""What a rule's condition speaks of: the arguments of a call, and the words of the user whose run it is."""

UNTRUSTED = {"retrieved": "what was retrieved", "tool": "what tools gave", "memory": "what was remembered"}
"""The origins of words that neither the user nor the author of the graph has written, and how they are called."""


class Rule(NamedTuple):
    """One entry of `approval`: for calls of these tools, and with these arguments."""

    action: Action
    tools: tuple[str, ...]
    """Names of tools; `*` stands for any characters."""
    condition: Condition | None = None
    named: tuple[str, ...] = ()
    """Arguments whose values have to stand in the user's own words."""
    accepts: tuple[str, ...] = ()
    """Origins of which the author says that their words may lead to these calls, such as `tool`."""
    judged: frozenset[str] = frozenset()
    """The arguments that its condition speaks of."""

    def is_for(self, tool: str) -> bool:
        """True if it speaks of this tool."""
        return any(fnmatchcase(tool, pattern) for pattern in self.tools)

    @property
    def always(self) -> bool:
        """True if it is for every call of its tools."""
        return self.condition is None and not self.named

    def loose(self, parameters: Mapping[str, Any] | None) -> list[str]:
        """The arguments of a tool with these parameters that may hold any words for all that this rule says. `*` stands
        for those that are not known. A tool without arguments counts: which tool is called is a choice too."""
        from ragweave.orchestrator.choices import open_arguments  # for calls that others' words may have led to

        held = {*self.named, *self.judged}
        if parameters is not None and not parameters.get("properties"):
            return [] if self.condition is not None or self.named else ["*"]
        return [name for name in open_arguments(parameters) if name not in held]


class Decision(NamedTuple):
    """What becomes of a call, and why if it is denied."""

    action: Action
    reason: str = ""


def decide(
    rules: Sequence[Rule],
    tool: str,
    arguments: Mapping[str, Any],
    request: Sequence[str] = (),
    *,
    made_from: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
) -> Decision:
    """That of the first rule that fits; a call that none fits is denied, and so is one that a rule cannot judge.

    `request` are the words of the user, `made_from` the untrusted origins of what led to the call. Where there are any,
    a rule that allows fits only if it accepts all of them, or holds every argument that the `parameters` leave open.
    """
    passed_over = False
    for rule in rules:
        if not rule.is_for(tool):
            continue
        try:
            known = {ARGUMENTS: dict(arguments), REQUEST: "\n".join(request)}
            if rule.condition is not None and not rule.condition.holds(known):
                continue
        except ConditionError as error:
            return Decision("deny", f"no rule allows it: {error}")
        if rule.named and not _all_named(rule.named, arguments, request):
            continue
        if rule.action == "allow" and set(made_from) - set(rule.accepts) and rule.loose(parameters):
            passed_over = True
            continue
        return Decision(rule.action, "a rule of the graph denies it" if rule.action == "deny" else "")
    where = f" where it is made from {in_words(made_from)}" if passed_over else ""
    return Decision("deny", f"no rule of the graph allows it{where}")


def in_words(origins: Sequence[str]) -> str:
    """Untrusted origins for people."""
    said = [UNTRUSTED[name] for name in origins]
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def _all_named(names: Sequence[str], arguments: Mapping[str, Any], request: Sequence[str]) -> bool:
    from ragweave.orchestrator.choices import is_named  # for graphs with such a rule

    return all(is_named(arguments.get(name), request) for name in names)
