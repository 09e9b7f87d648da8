"""What a caller gives to a run, held against what the graph declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.errors import InputError, did_you_mean
from ragweave.orchestrator.types import Type, converter, instance_check

if TYPE_CHECKING:
    from ragweave.orchestrator.running.plan import Plan


def check_inputs(plan: Plan, given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a run, converted to their declared types, defaults filled in. Raises InputError with candidates."""
    declared = plan.spec.inputs
    for name in given:
        if name not in declared:
            raise InputError(f"{plan.spec.name!r} has no input {name!r}{did_you_mean(name, declared)}")
    values = {}
    for name, key in declared.items():
        if name not in given:
            if not key.has_default:
                raise InputError(f"{plan.spec.name!r} needs the input {name!r} ({key.type})")
            values[name] = key.default
            continue
        value = given[name]
        kind = key.type or Type("json")
        if _fits(kind, value):
            values[name] = value
            continue
        try:
            values[name] = converter(kind)(value)
        except ValueError as error:
            reason = str(error).splitlines()[-2].strip() if "\n" in str(error) else str(error)
            raise InputError(f"input {name!r} must be {kind}, not {value!r}: {reason}") from None
    return values


def _fits(kind: Type, value: Any) -> bool:
    """True if a value is of its type already, which is told faster than it is converted."""
    classes = instance_check(kind)
    if kind.word == "list" and kind.item is not None and kind.item.item is None and value.__class__ is list:
        items = instance_check(kind.item)
        return items is not None and set(map(type, value)) <= set(items)
    return kind.item is None and classes is not None and value.__class__ in classes
