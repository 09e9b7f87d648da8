"""Filters over the metadata of passages: `where: {year: {">=": 2020}, language: de, tags: {contains: fish}}`.

A retriever declares which fields of its passages' metadata can be filtered by, and of which kind they are. A filter is
checked against them when a graph is loaded, is kept by the index itself, and is held against every row that comes back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal, NamedTuple

from ragweave.orchestrator.errors import InputError, a, did_you_mean
from ragweave.orchestrator.values import Document

FieldKind = Literal["str", "int", "float", "bool", "date", "list[str]"]
Operator = Literal["==", "in", "<", "<=", ">", ">=", "contains"]
Fields = Mapping[str, FieldKind]

OPERATORS: Mapping[FieldKind, tuple[Operator, ...]] = {
    "str": ("==", "in"),
    "int": ("==", "in", "<", "<=", ">", ">="),
    "float": ("==", "in", "<", "<=", ">", ">="),
    "bool": ("==",),
    "date": ("==", "in", "<", "<=", ">", ">="),
    "list[str]": ("contains",),
}
OWN_FIELDS: Fields = {"source": "str", "title": "str"}
"""What every passage can be filtered by, beside the fields of its metadata."""
EXAMPLES: Mapping[FieldKind, str] = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "date": "a date such as 2026-01-31, or with a time",
    "list[str]": "a text",
}
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": lambda found, wanted: found == wanted,
    "in": lambda found, wanted: found in wanted,
    "<": lambda found, wanted: found < wanted,
    "<=": lambda found, wanted: found <= wanted,
    ">": lambda found, wanted: found > wanted,
    ">=": lambda found, wanted: found >= wanted,
    "contains": lambda found, wanted: wanted in found,
}


class Demand(NamedTuple):
    """What one field of a passage must be. `value` is of the field's kind, for `in` a tuple of such; a date is seconds
    since 1970 (UTC). `key` names the state key that the value is to come from, where it is not known yet."""

    field: str
    kind: FieldKind
    operator: Operator
    value: Any = None
    key: str = ""


Filter = tuple[Demand, ...]
"""All of its conditions hold for a passage that it lets through; the empty one lets all through."""


class Fault(NamedTuple):
    """What is wrong with a filter, and the way to it: `("year", ">=")`."""

    message: str
    place: tuple[str | int, ...]


def compiled(where: Mapping[str, Any], fields: Fields) -> tuple[Filter, list[Fault]]:
    """The filter that `where` says, over these fields (and `source` and `title`), and all that is wrong with it."""
    known: Fields = {**OWN_FIELDS, **fields}
    conditions: list[Demand] = []
    faults: list[Fault] = []
    for field, wanted in where.items():
        kind = known.get(field)
        if kind is None:
            faults.append(Fault(f"the retriever has no field {field!r}{did_you_mean(field, known)}", (field,)))
        else:
            for one in _conditions(field, kind, wanted):
                (conditions if isinstance(one, Demand) else faults).append(one)  # type: ignore[arg-type]
    return tuple(conditions), faults


def filter_of(where: Mapping[str, Any], fields: Fields) -> Filter:
    """The filter that `where` says. Raises InputError for the first thing that is wrong with it."""
    conditions, faults = compiled(where, fields)
    for fault in faults:
        raise InputError(f"where.{'.'.join(map(str, fault.place))}: {fault.message}")
    for one in conditions:
        if one.key:
            raise InputError(f"where.{one.field}: {{{one.key}}} names a state key, which only a graph has")
    return conditions


def bound(conditions: Filter, state: Mapping[str, Any]) -> Filter:
    """The filter with the values of the state keys that it names. Raises InputError for one of another kind."""
    return tuple(_bound(one, state) if one.key else one for one in conditions)


def refuse_all(conditions: Filter) -> None:
    """Raise InputError for the filter that lets everything through, where it says what is deleted."""
    if not conditions:
        raise InputError(
            "deleting needs a condition: the empty filter would delete everything",
            hint="give one, such as index.filter({'source': 'a.md'})",
        )


def matches(document: Document, conditions: Filter) -> bool:
    """True if all conditions hold for a passage; a field that it lacks, or has of another kind, fulfils none."""
    return all(_holds(one, value_of(document, one.field, one.kind)) for one in conditions)


def value_of(document: Document, field: str, kind: FieldKind) -> Any:
    """A passage's field as its kind has it: dates as seconds, lists as tuples. None if it is missing or no such."""
    if field in OWN_FIELDS:
        return getattr(document, field)
    return typed(document.metadata.get(field), kind)


def typed(value: Any, kind: FieldKind) -> Any:
    """A value as this kind has it, read from text where it is one, as in CSV files; None if it cannot be."""
    if value is None or (isinstance(value, bool) and kind != "bool"):
        return None
    return _READ[kind](value)


def _conditions(field: str, kind: FieldKind, wanted: Any) -> Iterator[Demand | Fault]:
    if not isinstance(wanted, Mapping):
        operator: Operator = "contains" if kind == "list[str]" else "==" if not isinstance(wanted, list) else "in"
        yield _condition(field, kind, operator, wanted, (field,))
        return
    if not wanted:
        yield Fault(f"{field} has no condition; there is: {', '.join(OPERATORS[kind])}", (field,))
    for operator, value in wanted.items():
        place = (field, str(operator))
        if operator not in OPERATORS[kind]:
            allowed = ", ".join(OPERATORS[kind])
            yield Fault(f"{field} is {a(kind)}, which has no {operator!r}; there is: {allowed}", place)
        else:
            yield _condition(field, kind, operator, value, place)


def _condition(field: str, kind: FieldKind, operator: Operator, value: Any, place: tuple[str, ...]) -> Demand | Fault:
    if operator not in OPERATORS[kind]:
        return Fault(f"{field} is {a(kind)}, which has no {operator!r}; there is: {', '.join(OPERATORS[kind])}", place)
    key = state_key(value)
    if key:
        return Demand(field, kind, operator, key=key)
    read = _value(value, kind, operator)
    if read is None:
        one = f"a list, each item {EXAMPLES[kind]}" if operator == "in" else EXAMPLES[kind]
        return Fault(f"expected {one}, found {value!r}", place)
    return Demand(field, kind, operator, read)


def state_key(value: Any) -> str:
    """The state key that a value names as `{key}`; empty if it is a value itself."""
    if isinstance(value, str) and value[:1] == "{" and value[-1:] == "}" and value[1:-1].isidentifier():
        return value[1:-1]
    return ""


def _value(value: Any, kind: FieldKind, operator: Operator) -> Any:
    inner: FieldKind = "str" if kind == "list[str]" else kind
    if operator != "in":
        return typed(value, inner)
    if not isinstance(value, (list, tuple)) or not value:
        return None
    read = tuple(typed(one, inner) for one in value)
    return None if None in read else read


def _bound(one: Demand, state: Mapping[str, Any]) -> Demand:
    given = state.get(one.key)
    # An empty list is a value here: nothing is in it, so nothing is found.
    read = () if one.operator == "in" and given == [] else _value(given, one.kind, one.operator)
    if read is None:
        raise InputError(
            f"where.{one.field}: the state key {one.key!r} is {given!r}, expected "
            + (f"a list, each item {EXAMPLES[one.kind]}" if one.operator == "in" else EXAMPLES[one.kind])
        )
    return one._replace(value=read, key="")


def _holds(one: Demand, found: Any) -> bool:
    if one.key:
        raise InputError(f"where.{one.field}: the state key {one.key!r} has no value yet")
    return found is not None and _COMPARE[one.operator](found, one.value)


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) else None


def _whole(value: Any) -> int | None:
    if isinstance(value, str):
        digits = value.strip()
        # More digits than a double has are an identifier, which is a str; no index holds them as numbers.
        return int(digits) if digits.removeprefix("-").isdecimal() and len(digits) < 17 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else None
    return value if isinstance(value, int) and abs(value) < 2**53 else None


def _number(value: Any) -> float | None:
    try:
        read = float(value) if isinstance(value, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def _truth(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else None


def _moment(value: Any) -> float | None:
    """Seconds since 1970; a date without a time zone is in UTC."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
        elif isinstance(value, datetime):
            moment = value
        elif isinstance(value, date):
            moment = datetime(value.year, value.month, value.day)  # noqa: DTZ001
        else:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _texts(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Sequence) or not all(isinstance(one, (str, int, float)) for one in value):
        return None
    return tuple(map(str, value))


_READ: Mapping[FieldKind, Callable[[Any], Any]] = {
    "str": _text,
    "int": _whole,
    "float": _number,
    "bool": _truth,
    "date": _moment,
    "list[str]": _texts,
}
