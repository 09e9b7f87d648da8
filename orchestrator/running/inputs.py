"""What a caller gives to a run, held against what the graph declares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ragweave.orchestrator.errors import InputError, closest, did_you_mean
from ragweave.orchestrator.language.policies import seconds
from ragweave.orchestrator.types import Type, converter, instance_check

if TYPE_CHECKING:
    from ragweave.orchestrator.language.spec import KeySpec
    from ragweave.orchestrator.running.plan import Plan


OPTIONS = ("thread_id", "user", "tenant", "deadline", "overrides")
"""What a run takes beside its inputs."""


def check_inputs(plan: Plan, given: Mapping[str, Any], *, options: Sequence[str] = ()) -> dict[str, Any]:
    """The inputs of a run, converted to their declared types, defaults filled in. Raises InputError with candidates.

    `options` are further names that the caller might have meant.
    """
    declared = plan.spec.inputs
    for name in given:
        if name not in declared:
            known = [*declared, *options] if closest(str(name), options) is not None else declared
            raise InputError(f"{plan.spec.name!r} has no input {name!r}{did_you_mean(str(name), known)}")
    values = {}
    for name, key in declared.items():
        if name not in given:
            if key.optional:
                continue
            if not key.has_default:
                taken = f"`{name}=` says something else of a run: give it in a dict, run({{{name!r}: …}})"
                hint = taken if name in options else ""
                raise InputError(f"{plan.spec.name!r} needs the input {name!r} ({key.shown})", hint=hint)
            values[name] = key.default
            continue
        value = given[name]
        kind = key.type or Type("json")
        if _fits(kind, value):
            values[name] = value
            _check_choices(key, value)
            continue
        try:
            values[name] = converter(kind)(value)
        except ValidationError as error:
            from ragweave.orchestrator.language.reasons import reason_of  # only what is wrong needs it

            inside = any(item["loc"] for item in error.errors(include_url=False))
            said = f": {reason_of(error)}" if inside else ""
            raise InputError(f"input {name!r} must be {kind}, not {value!r}{said}") from None
        _check_choices(key, values[name])
    return values


def _check_choices(key: KeySpec, value: Any) -> None:
    """Raise InputError if the input has choices, and this is none of them."""
    if not key.choices:
        return
    for text in [value] if isinstance(value, str) else value:
        if text not in key.choices:
            raise InputError(f"input {key.name!r} cannot be {text!r}{did_you_mean(text, key.choices)}")


def gathered(given: Mapping[str, Any] | None, named: Mapping[str, Any]) -> Mapping[str, Any]:
    """The inputs of one run that come as a dict, by name, or both. Raises InputError for what is neither."""
    if given is None:
        return named
    if not isinstance(given, Mapping):
        raise InputError(f"inputs are given by name or as a dict, not as {given!r}", hint="write run(question=…)")
    twice = [name for name in given if name in named]
    if twice:
        raise InputError(f"the input {twice[0]!r} is given twice: in the dict and by name")
    return {**given, **named}


def check_rows(plan: Plan, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The inputs of many runs. Raises InputError that names the first row that is wrong, counted from 0."""
    if isinstance(rows, (Mapping, str, bytes)) or not isinstance(rows, Iterable):
        found = f"a {type(rows).__name__} of one run's inputs" if isinstance(rows, Mapping) else repr(rows)
        raise InputError(f"batch takes a list of inputs, not {found}", hint="put them into a list: batch([{…}, {…}])")
    checked = []
    for at, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InputError(f"row {at} (from 0) is {row!r}, not a dict of inputs such as {_such_as(plan)}")
        try:
            checked.append(check_inputs(plan, row))
        except InputError as error:
            raise InputError(f"row {at} (from 0): {error.message}", hint=error.hint) from None
    return checked


def check_deadline(value: Any) -> float | None:
    """Seconds of a deadline as it may be written: a number, `30s`, `1m30s`, a timedelta, None. Raises InputError."""
    if value is None:
        return None
    given = value.total_seconds() if isinstance(value, timedelta) else value
    try:
        given = seconds(given)
    except ValueError as error:
        raise InputError(f"deadline: {error}") from None
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given < math.inf:
        raise InputError(f"deadline: {value!r} is not a time", hint="give seconds above 0, or a text such as 10m")
    return float(given)


def check_text(option: str, value: Any) -> None:
    """Raise InputError if this cannot be the `thread_id`, the `user` or the `tenant` of a run."""
    if not isinstance(value, str):
        none = f"leave it out where there is no {option.removesuffix('_id')}"
        such = f"write {option}={str(value)!r}" if isinstance(value, int) else none
        raise InputError(f"{option} is a text, not {value!r}", hint=such)


def check_resume(run_id: Any, answers: Any) -> None:
    """Raise InputError for what is no id of a run, or no answers by call path."""
    said = "resume takes the id of a run and answers by path, not"
    if not isinstance(run_id, str):
        raise InputError(f"{said} {run_id!r}", hint="give result.run_id")
    if answers is not None and not isinstance(answers, Mapping):
        raise InputError(f"{said} {answers!r}", hint="give answers={path: …}")


def _such_as(plan: Plan) -> str:
    return "{" + ", ".join(f"{name!r}: …" for name in plan.spec.inputs) + "}"


def _fits(kind: Type, value: Any) -> bool:
    """True if a value is of its type already, which is told faster than it is converted."""
    classes = instance_check(kind)
    if kind.word == "list" and kind.item is not None and kind.item.item is None and value.__class__ is list:
        items = instance_check(kind.item)
        return items is not None and set(map(type, value)) <= set(items)
    return kind.item is None and classes is not None and value.__class__ in classes
