"""What a call returned, held against what the node declares."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ragweave.orchestrator.checking.bound import Member
from ragweave.orchestrator.errors import NodeError, closest
from ragweave.orchestrator.running.run import Parked
from ragweave.orchestrator.types import Type, instance_check
from ragweave.orchestrator.values import Ask

if TYPE_CHECKING:
    from ragweave.orchestrator.running.plan import Step


class Slot(NamedTuple):
    """Where a part of what a call returns goes, and what it has to be."""

    key: str
    """The state key."""
    classes: tuple[type, ...] | None
    """One of them, or anything."""
    items: tuple[type, ...] | None
    """Of a list, what its first item has to be: looking at each would cost as much as the list is long."""
    type: Type


def slots(member: Member) -> dict[str, Slot]:
    """By name in what the call returns."""
    found = {}
    for name, key in member.writes.items():
        kind = member.signature.writes[name].type
        items = instance_check(kind.item) if kind.word == "list" and kind.item is not None else None
        found[name] = Slot(key, instance_check(kind), items, kind)
    return found


def accept(shown: str, result: Any, written: Mapping[str, Slot], always: frozenset[str]) -> Any:
    """What a call returned, by state key; an Ask stays as it is. Raises NodeError for what the type does not
    declare, and for an Ask that nobody could answer."""
    if result is None:
        result = {}
    if not isinstance(result, Mapping):
        if isinstance(result, Ask):
            from ragweave.orchestrator.running.answers import check_ask  # most runs ask nothing

            check_ask(shown, result)
            return result.model_copy(update={"approval": False}) if result.approval else result
        if isinstance(result, Parked):
            return result
        raise NodeError(_no_mapping(shown, result, written))
    writes = {}
    for name, value in result.items():
        declared = written.get(name)
        if declared is None:
            near = closest(name, written) if isinstance(name, str) else None
            meant = f"; did you mean {near!r}?" if near is not None else ""
            raise NodeError(
                f"{shown} returned the undeclared key {name!r}; it declares: {', '.join(written) or 'none'}{meant}"
            )
        if declared.classes is not None and not isinstance(value, declared.classes):
            raise NodeError(f"{shown} returned {_a(value)} for {name!r}, which is {declared.type}")
        if declared.items is not None and len(value) and not isinstance(value[0], declared.items):
            raise NodeError(f"{shown} returned a list with {_a(value[0])} for {name!r}, which is {declared.type}")
        writes[declared.key] = value
    if len(writes) < len(always) or not always.issubset(result):
        raise NodeError(f"{shown} did not return {', '.join(sorted(always - set(result)))}, which it declares")
    return writes


def _no_mapping(shown: str, result: Any, written: Mapping[str, Slot]) -> str:
    said = f"{shown} returned {_a(result)}, not a dict of {', '.join(written) or 'nothing'}"
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        return f"{said}; a node does not yield: it returns once, and streams text by `await ctx.emit(text)`"
    return f"{said}; write return {{{next(iter(written))!r}: …}}" if len(written) == 1 else said


def _a(value: Any) -> str:
    if value is None:
        return "None"
    text = repr(value)
    return f"{text} ({type(value).__name__})" if len(text) <= 40 and not text.startswith("<") else type(value).__name__


def accept_directly(step: Step, result: Any) -> Any:
    """`accept` for a direct call, with a short way for the usual one key of the right type."""
    if result.__class__ is dict and step.single is not None and len(result) == 1:
        name, key, classes = step.single
        value = result.get(name)
        if value is not None and (classes is None or isinstance(value, classes)):
            return {key: value}
    return accept(step.name, result, step.written, step.always)
