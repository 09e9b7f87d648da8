"""The policies of a node as they are written: short forms, then validation at their place in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ragweave.orchestrator.language.given import implementation
from ragweave.orchestrator.language.policies import BudgetPolicy, NodePolicies
from ragweave.orchestrator.language.report import Report, path
from ragweave.orchestrator.language.spec import Place
from ragweave.orchestrator.language.validating import report_errors

MEMBERS = ("fallback", "race")


def read_policies(report: Report, data: Mapping[str, Any], place: Place) -> NodePolicies:
    """The policies in `data`; of those that are wrong, what they would be if they were not there."""
    given = dict(data)
    for key in MEMBERS:
        value = given.get(key)
        if isinstance(value, (list, tuple)):
            given[key] = tuple(_member(one) for one in value)
        elif isinstance(_member(value), Mapping):
            given[key] = (_member(value),)
        elif value is not None:
            report.wrong_kind((*place, key), "other settings, a node with its type, or a list of these", given.pop(key))
    if "cache" in given and not isinstance(given["cache"], Mapping) and given["cache"] is not None:
        given["cache"] = {} if given["cache"] is True else {"ttl": given["cache"]}
    asked = given.get("interrupt")
    if isinstance(asked, bool):
        given["interrupt"] = {} if asked else None
    elif isinstance(asked, str):
        given["interrupt"] = {"question": asked}
    elif asked is not None and not isinstance(asked, Mapping):
        report.wrong_kind((*place, "interrupt"), "true, a question, or a map", given.pop("interrupt"))
    _refuse_bools(report, given, place)
    while True:
        try:
            return NodePolicies.model_validate(given)
        except ValidationError as error:
            report_errors(report, error, place, NodePolicies)
            for item in error.errors():
                given.pop(str(item["loc"][0]), None)


def read_budget(report: Report, data: Any) -> BudgetPolicy | None:
    """The budget of the graph; None if it is wrong."""
    try:
        return BudgetPolicy.model_validate(data)
    except ValidationError as error:
        report_errors(report, error, ("budget",), BudgetPolicy)
        return None


def _member(thing: Any) -> Any:
    """What stands bare in Python, such as a function, as the node of that type."""
    return thing if implementation(thing) is None else {"type": thing}


def _refuse_bools(report: Report, given: dict[str, Any], place: Place) -> None:
    """`retry: true` is a mistake; pydantic would take it for 1."""
    for key in ("retry", "timeout"):
        if isinstance(given.get(key), bool):
            expected = "a whole number" if key == "retry" else "a time such as 30s"
            where = (*place, key)
            report.value(where, "RW106", f"{path(where)}: expected {expected}, found {str(given.pop(key)).lower()}")
