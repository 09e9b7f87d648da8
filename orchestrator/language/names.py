"""Which resources settings name, wherever in them the names stand; and resources that name one another in a circle."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, NamedTuple

from pydantic import BaseModel

from ragweave.orchestrator.naming import Uses


class Named(NamedTuple):
    """A name in settings: of which kind, and where. `is_key` if it is a key of a map, not a value."""

    place: tuple[str | int, ...]
    kind: str
    name: str
    is_key: bool = False


def names_in(model: type[BaseModel], settings: Mapping[str, Any]) -> list[Named]:
    """The names of resources that stand in settings, be it in a list or a map; empty ones and references left out."""
    found: list[Named] = []
    for field, annotation in _naming_fields(model).items():
        key = model.model_fields[field].alias or field
        given = settings.get(key, settings.get(field))
        found += _walk(annotation, given, (key,))
    return found


def circles(resources: Mapping[tuple[str, str], Sequence[tuple[str, str]]]) -> list[list[tuple[str, str]]]:
    """The circles of resources that name one another, each once, from the first that was declared."""
    found: list[list[tuple[str, str]]] = []
    done: set[tuple[str, str]] = set()

    def visit(one: tuple[str, str], way: list[tuple[str, str]]) -> None:
        if one in way:
            found.append([*way[way.index(one) :], one])
        elif one not in done:
            for other in resources.get(one, ()):
                visit(other, [*way, one])
            done.add(one)

    for one in resources:
        visit(one, [])
    return found


@cache
def _naming_fields(model: type[BaseModel]) -> dict[str, Any]:
    """The fields whose type has a name of a resource in it, with that type."""
    found = {}
    for name, info in model.model_fields.items():
        own = [mark for mark in info.metadata if isinstance(mark, Uses)]
        annotation = typing.Annotated[info.annotation, own[0]] if own else info.annotation
        if own or _mentions(annotation):
            found[name] = annotation
    return found


def _mentions(annotation: Any) -> bool:
    return _use(annotation) is not None or any(_mentions(inner) for inner in typing.get_args(annotation))


def _use(annotation: Any) -> Uses | None:
    if typing.get_origin(annotation) is not typing.Annotated:
        return None
    return next((mark for mark in annotation.__metadata__ if isinstance(mark, Uses)), None)


def _walk(annotation: Any, value: Any, place: tuple[str | int, ...]) -> Iterator[Named]:
    use, origin, inside = _use(annotation), typing.get_origin(annotation), typing.get_args(annotation)
    if use is not None and isinstance(value, str):
        if value and "${env:" not in value:
            yield Named(place, use.kind, value)
    elif origin is typing.Annotated:
        yield from _walk(inside[0], value, place)
    elif origin in (typing.Union, UnionType):
        yield from dict.fromkeys(one for arm in inside for one in _walk(arm, value, place))
    elif isinstance(value, Mapping) and len(inside) == 2 and isinstance(origin, type) and issubclass(origin, Mapping):
        for key, item in value.items():
            yield from (named._replace(is_key=True) for named in _walk(inside[0], key, (*place, str(key))))
            yield from _walk(inside[1], item, (*place, str(key)))
    elif isinstance(value, (list, tuple)) and inside:
        for index, item in enumerate(value):
            yield from _walk(inside[0], item, (*place, index))
    elif use is not None and isinstance(value, (list, tuple)):
        yield from (Named((*place, index), use.kind, item) for index, item in enumerate(value) if isinstance(item, str))
