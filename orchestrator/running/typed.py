"""What a journal says, with the types that the graph declares: plain JSON becomes documents, messages, answers.

Which class a value gets is decided by the state's declared type, never by what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ragweave.orchestrator.checking.bound import Member
from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.types import JSON, Type, converter

if TYPE_CHECKING:
    from ragweave.orchestrator.running.plan import Plan, Step

_converters: dict[Type, Callable[[Any], Any]] = {}


def typed(value: Any, kind: Type, shown: str) -> Any:
    """A value of this type. Raises JournalError if what is stored is not."""
    if kind.word == "json":
        return value
    convert = _converters.get(kind)
    if convert is None:
        convert = _converters[kind] = converter(kind)
    try:
        return convert(value)
    except ValidationError as error:
        from ragweave.orchestrator.language.reasons import reason_of  # only what is wrong needs it

        raise JournalError(f"the journal has for {shown} what is no {kind}: {reason_of(error)}") from None


def typed_inputs(plan: Plan, values: Any, shown: str) -> dict[str, Any]:
    """The inputs of a graph."""
    if not isinstance(values, Mapping):
        raise JournalError(f"the journal has no inputs at {shown}")
    kinds = {name: key.type for name, key in plan.spec.inputs.items()}
    return {
        name: typed(value, kinds.get(name) or Type("json"), f"the input {name!r}") for name, value in values.items()
    }


def typed_writes(plan: Plan, step: Step, event: Event) -> dict[str, Any]:
    """What a call has written, by state key; `item` and effects in a map have it for one item."""
    members = step.bound.members if step.bound is not None else ()
    kinds = plan.keys if event.kind == "finished" else member_types(members)
    return {key: typed(value, kinds.get(key, JSON), f"{event.path}: {key!r}") for key, value in event.data.items()}


def typed_outputs(plan: Plan, values: Any) -> dict[str, Any]:
    """What a run gave back."""
    if not isinstance(values, Mapping):
        raise JournalError("the journal has no outputs")
    return {key: typed(value, plan.keys.get(key, JSON), f"the output {key!r}") for key, value in values.items()}


def typed_values(plan: Plan, values: Any, shown: str) -> dict[str, Any]:
    """Values of state keys."""
    if not isinstance(values, Mapping):
        raise JournalError(f"the journal has no values at {shown}")
    return {key: typed(value, plan.keys.get(key, JSON), f"{shown}: {key!r}") for key, value in values.items()}


def member_types(members: Iterable[Member]) -> dict[str, Type]:
    """By state key, what one call of these members writes."""
    return {key: member.signature.writes[name].type for member in members for name, key in member.writes.items()}
