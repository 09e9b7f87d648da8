"""What is wrong with data, in one line of our words: pydantic's own have a tail of types and addresses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from ragweave.orchestrator.errors import RagweaveError
from ragweave.orchestrator.language.report import path, shown
from ragweave.orchestrator.language.validating import expectation

_MOST = 2


def reason_of(error: ValidationError, *, secrets: Iterable[str] = (), at: tuple[str, ...] = ()) -> str:
    """`documents[0].text: expected text, found 3`, and so on for up to two faults; then how many more there are.

    `at` is where the data stands. Values below keys in `secrets` are not shown.
    """
    hidden = set(secrets)
    faults: dict[tuple[int | str, ...], list[Any]] = {}
    for item in error.errors(include_url=False):
        faults.setdefault(item["loc"], []).append(item)
    said = []
    for place, items in faults.items():
        words = _fault(items, hidden & {str(part) for part in place} != set())
        where = path((*at, *(place[:-1] if _names_key(items[0]) else place)))
        said.append(f"{where}: {words}" if where else words)
    more = len(said) - _MOST
    return "; ".join(said[:_MOST]) + (f" (and {more} more)" if more > 0 else "")


def told(error: BaseException) -> str:
    """An error on one line: the message of ours, type and message of others."""
    if isinstance(error, RagweaveError):
        return str(error)
    said = reason_of(error) if isinstance(error, ValidationError) else " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _names_key(item: Any) -> bool:
    return item["type"] in ("missing", "extra_forbidden", "unexpected_keyword_argument")


def _fault(items: list[Any], hidden: bool) -> str:
    item = items[0]
    if item["type"] == "missing":
        return f"{item['loc'][-1]!r} is missing" if item["loc"] else "a value is missing"
    if _names_key(item):
        return f"unknown key {str(item['loc'][-1])!r}"
    found = "another value" if hidden else shown(item["input"])
    wanted = expectation(items)
    if wanted:
        return f"expected {wanted}, found {found}"
    own = item.get("ctx", {}).get("error")
    if own is not None:  # a validator's own words, which may quote the value
        return "the value is not accepted" if hidden else " ".join(str(own).split())
    if item["type"] == "json_invalid":
        return f"no JSON: {item['ctx']['error'] if 'ctx' in item else found}"
    words = " ".join(str(item["msg"]).split())
    return f"{words[:1].lower()}{words[1:]}" + ("" if hidden else f", found {found}")
