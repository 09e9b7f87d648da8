"""`approval`: which calls of tools are allowed, asked about or denied; the first rule that fits decides."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from ragweave.orchestrator import registry
from ragweave.orchestrator.approvals import ACTIONS, ARGUMENTS, REQUEST, UNTRUSTED, Rule
from ragweave.orchestrator.language.report import Report, path
from ragweave.orchestrator.language.spec import Place
from ragweave.orchestrator.types import JSON, parse_type

_LISTS = (
    ("named", "a list of arguments", "such as named: [order]"),
    ("from", "a list of retrieved, tool and memory", "such as from: [tool]"),
)
_SUCH = 'such as {ask: refund, when: "arguments.amount > 20"}'


def read_approval(report: Report, data: Any) -> None:
    """What `approval` says, into the spec; whether these tools exist is looked at later."""
    if not isinstance(data, list) or not data:
        report.wrong_kind(("approval",), "a list of rules", data, _SUCH)
        report.spec.approval = ()  # nothing is allowed, rather than everything
        return
    rules = (_rule(report, entry, ("approval", index)) for index, entry in enumerate(data))
    report.spec.approval = tuple(rule for rule in rules if rule is not None)


def check_approval(report: Report) -> None:
    """Say which rules speak of no tool that a node uses or the graph declares."""
    declared = {name for kind, name in report.spec.resources if kind == "tools"}
    known = sorted(declared | set(registry.names("tools")))
    for index, rule in enumerate(report.spec.approval or ()):
        place: Place = ("approval", index, rule.action)
        for at, pattern in enumerate(rule.tools):
            if any(_speaks_of(pattern, name) for name in known):
                continue
            where = (*place, at) if (*place, at) in report.spec.value_marks else place
            message = f"{path(where)}: there is no tool {pattern!r}"
            report.unknown(report.spec.value_mark(*where), "RW134", message, pattern, sorted(declared) or known)


def _rule(report: Report, entry: Any, place: Place) -> Rule | None:
    if not isinstance(entry, Mapping):
        report.wrong_kind(place, "a rule", entry, _SUCH)
        return None
    entry = report.known_keys(place, entry, (*ACTIONS, "when", "named", "from"))
    actions = [action for action in ACTIONS if action in entry]
    if len(actions) != 1:
        said = (
            "one of allow, ask and deny is missing" if not actions else f"{' and '.join(actions)} exclude one another"
        )
        report.key(place, "RW134", f"{path(place)}: {said}; {_SUCH}")
        return None
    (action,) = actions
    named = entry[action]
    tools = [named] if isinstance(named, str) else named
    if not isinstance(tools, list) or not tools or not all(isinstance(one, str) and one for one in tools):
        report.wrong_kind(
            (*place, action), "the name of a tool, or a list of names", named, f'such as {action}: "shop_*"'
        )
        return None
    rule = Rule(action, tuple(tools))
    for word, what, such in _LISTS:
        if word in entry:
            names = [entry[word]] if isinstance(entry[word], str) else entry[word]
            wrong = not isinstance(names, list) or not names or not all(isinstance(one, str) and one for one in names)
            if wrong or (word == "from" and not UNTRUSTED.keys() >= set(names)):
                report.wrong_kind((*place, word), what, entry[word], such)
                return None
            found = tuple(names)
            rule = rule._replace(named=found) if word == "named" else rule._replace(accepts=found)
    if "when" not in entry:
        return rule
    return _when(report, rule, entry["when"], (*place, "when"))


def _when(report: Report, rule: Rule, text: Any, place: Place) -> Rule | None:
    if not isinstance(text, str) or not text.strip():
        report.wrong_kind(place, "a condition on the arguments", text, 'such as "arguments.amount <= 20"')
        return None
    from ragweave.orchestrator.checking.condition import ConditionSyntax, compile_condition, read_keys  # a C++ library

    try:
        condition = compile_condition(text, {ARGUMENTS: JSON, REQUEST: parse_type("str")})
        judged = {name.split(".")[1] for name, _ in read_keys(text) if name.startswith(f"{ARGUMENTS}.")}
        return rule._replace(condition=condition, judged=frozenset(judged))
    except ConditionSyntax as error:
        mark = report.within(report.spec.value_mark(*place), text, error.column - 1 if error.line == 1 else 0)
        report.at(
            mark,
            "RW134",
            f"{path(place)}: {error.message}; it speaks of {ARGUMENTS}, such as {ARGUMENTS}.amount",
        )
        return None


def _speaks_of(pattern: str, resource: str) -> bool:
    """True if a pattern may mean a tool of this resource, whose tools are known only when it is open."""
    several = f"{resource}_"
    if fnmatchcase(resource, pattern) or pattern.startswith(several):
        return True
    before, star, _ = pattern.partition("*")
    return bool(star) and several.startswith(before)
