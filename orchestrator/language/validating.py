"""Pydantic's errors as problems at their place in the file, in words that name the value and what is expected."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from ragweave.orchestrator.errors import closest, did_you_mean
from ragweave.orchestrator.language.report import Report, path, shown, surely
from ragweave.orchestrator.language.spec import Place

_EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a map",
    "mapping_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "dataclass_type": "a map",
    "none_required": "nothing",
    "path_type": "a path",
    "url_parsing": "an address such as https://host/v1",
}
_LIMITS = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of {max_length} or fewer",
}


def report_errors(
    report: Report,
    error: ValidationError,
    place: Place,
    model: type[BaseModel],
    *,
    beside: Iterable[str] = (),
    skip: Iterable[str] = (),
    secrets: Iterable[str] = (),
) -> None:
    """Say each error of `model`, whose data stands at `place`.

    `beside` are keys that may stand there besides the model's own; fields in `skip` are not judged; values of `secrets`
    are not shown.
    """
    ignored, hidden = set(skip), set(secrets)
    grouped: dict[Place, list[Any]] = {}
    meant: set[Place] = set()
    for item in error.errors(include_url=False):
        location = item["loc"]
        if location[0] in ignored if location else ignored:  # what is not known yet may be what the model misses
            continue
        if not location and _misspelt_settings(report, place, item, model, list(beside), meant):
            continue
        if item["type"] == "extra_forbidden":
            own, others = fields_of(model, location[:-1]), list(beside) if len(location) == 1 else []
            _unknown(report, (*place, *location), own, others)
            near = closest(str(location[-1]), [*own, *others])
            if near is not None:
                meant.add((*place, *location[:-1], near))
        else:
            grouped.setdefault(_standing(report, place, location, model, item), []).append(item)
    for where, items in grouped.items():
        if items[0]["type"] == "missing":
            if where not in meant:
                report.key(where[:-1], "RW107", f"{path(where[:-1])}: the setting {where[-1]!r} is required")
            continue
        _wrong(report, where, items, hidden & {str(part) for part in where} != set())


def fields_of(model: type[BaseModel], location: Sequence[int | str] = ()) -> list[str]:
    """The keys that a model takes, or the model inside it at `location`; none if that is no model."""
    inside: Any = model
    for part in location:
        fields = inside.model_fields if _is_model(inside) else {}
        info = next((info for name, info in fields.items() if part in (name, info.alias)), None)
        if info is not None:
            inside = _model_in(info.annotation)
        elif not isinstance(part, int):
            return []
    if not _is_model(inside):
        return []
    return [info.alias or name for name, info in inside.model_fields.items()]


def expectation(items: Sequence[Any]) -> str:
    """What would have been right instead of a value, given the errors that it caused."""
    wants: list[str] = []
    for item in items:
        kind, context = item["type"], item.get("ctx", {})
        if kind in _EXPECTED:
            wants.append(_EXPECTED[kind])
        elif kind in _LIMITS:
            wants.append(_LIMITS[kind].format(**context))
        elif kind in ("literal_error", "enum"):
            wants.append(str(context["expected"]))
    return " or ".join(dict.fromkeys(wants))


def _unknown(report: Report, where: Place, own: Sequence[str], beside: Sequence[str]) -> None:
    name = str(where[-1])
    message = f"{path(where[:-1])}: unknown setting {name!r}"
    known = [*own, *beside]
    if closest(name, known) is not None or not beside:
        report.unknown_key(where, "RW103", message, known)
        return
    listed = f"its settings are {', '.join(own)}, and" if own else "it has no settings but"
    report.key(where, "RW103", f"{message}; {listed} those of every {'node' if len(beside) > 1 else 'resource'}")


def _misspelt_settings(
    report: Report, place: Place, item: Any, model: type[BaseModel], beside: Sequence[str], meant: set[Place]
) -> bool:
    """Say which settings are unknown, if that explains why a validator of the whole model refused them."""
    given, own = item["input"], fields_of(model)
    strangers = [key for key in given if key not in own] if isinstance(given, Mapping) else []
    if item["type"] == "extra_forbidden" or not strangers or model.model_config.get("extra") != "forbid":
        return False
    for key in strangers:
        _unknown(report, (*place, key), own, beside)
        meant.add((*place, surely(str(key), [*own, *beside]) or key))
    return True


def _wrong(report: Report, where: Place, items: Sequence[Any], hidden: bool) -> None:
    item = items[0]
    value = item["input"]
    wanted = expectation(items)
    found = "another value" if hidden else shown(value)
    if not wanted:
        reason = str(item.get("ctx", {}).get("error", "")) or item["msg"][:1].lower() + item["msg"][1:]
        if not hidden or "error" not in item.get("ctx", {}):
            simple = isinstance(value, (str, int, float)) and not hidden and repr(value) not in reason
            tail = f" (found {found})" if simple else ""
            report.value(where, "RW106", f"{path(where)}: {reason}{tail}")
        else:
            report.value(where, "RW106", f"{path(where)}: the value is not accepted")
        return
    message = f"{path(where)}: expected {wanted}, found {found}"
    choices = _choices(items)
    if choices and isinstance(value, str):
        near = surely(value, choices)
        message += did_you_mean(value, choices) if near is not None else ""
        report.at(report.spec.value_mark(*where), "RW106", message, old=value, new=near)
        return
    if wanted == "text" and isinstance(value, (bool, int, float)):
        message += "; quote it"
    elif wanted == "a list" and isinstance(value, str) and not hidden:
        message += f"; write [{value}]" if len(value) <= 40 else "; put it in [ ]"
    report.value(where, "RW106", message)


def _choices(items: Sequence[Any]) -> list[str]:
    text = ", ".join(str(item["ctx"]["expected"]) for item in items if item["type"] in ("literal_error", "enum"))
    return [part.strip("' ") for part in text.replace(" or ", ", ").split(", ") if part.strip("' ")]


def _standing(report: Report, place: Place, location: Sequence[int | str], model: type[BaseModel], item: Any) -> Place:
    """The place of an error: its location as far as it is one of the data (pydantic adds the arms of unions)."""
    if item["type"] == "missing":
        return (*place, *location)
    if not report.spec.marks:
        return (*place, *location[:1])
    where = place
    for part in location:
        if (*where, part) not in report.spec.marks:
            break
        where = (*where, part)
    return where


def _model_in(annotation: Any) -> Any:
    """The first model inside an annotation."""
    if _is_model(annotation):
        return annotation
    for inner in typing.get_args(annotation):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def _is_model(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)
