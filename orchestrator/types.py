"""The types of state keys: words in YAML (`str`, `list[Document]`), annotations in Python, both the same thing."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ragweave.orchestrator.errors import did_you_mean

SCALARS: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}


class Type(NamedTuple):
    """A type of state: a scalar, `json`, a registered value model, or `list[…]` and `map[…]` of one."""

    word: str
    item: Type | None = None

    def __str__(self) -> str:
        return f"{self.word}[{self.item}]" if self.item else self.word


JSON = Type("json")
STR = Type("str")


def list_of(item: Type) -> Type:
    """`list[item]`."""
    return Type("list", item)


def value_models() -> dict[str, type[Any]]:
    """The registered value models by name: those of ragweave and those that plugins added."""
    return _models


def register_value(model: type[Any]) -> type[Any]:
    """Make a frozen pydantic model usable as the type of a state key, under its class name."""
    _models[model.__name__] = model
    return model


def parse_type(word: str) -> Type:
    """The type that a word of YAML means. Raises ValueError that names the candidates."""
    text = word.replace(" ", "")
    for outer in ("list", "map"):
        if text == outer:
            return Type(outer, JSON)
        if text.startswith(f"{outer}[") and text.endswith("]"):
            return Type(outer, parse_type(text[len(outer) + 1 : -1]))
    if text in SCALARS or text == "json" or text in _models:
        return Type(text)
    raise ValueError(f"unknown type {word!r}{did_you_mean(text, [*SCALARS, 'json', 'list', 'map', *_models])}")


def type_of(annotation: Any) -> Type:
    """The type that a Python annotation means. Raises TypeError for what state cannot hold."""
    if annotation in (Any, object, None, type(None)):
        return JSON
    if annotation in _PARTS:
        return Type("Part")
    if isinstance(annotation, type):
        word = annotation.__name__
        if SCALARS.get(word) is annotation or _models.get(word) is annotation:
            return Type(word)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_of(args[0])
    if origin is typing.Literal:
        classes = {type(arg) for arg in args}
        return type_of(classes.pop()) if len(classes) == 1 else JSON
    if annotation in (list, tuple) or origin in (list, tuple, Sequence):
        return Type("list", type_of(args[0]) if args else JSON)
    if annotation is dict or origin in (dict, Mapping):
        return Type("map", type_of(args[1]) if args else JSON)
    if origin in (typing.Union, types.UnionType):
        kinds = {type_of(arg) for arg in args if arg is not type(None)}
        return kinds.pop() if len(kinds) == 1 else JSON
    name = getattr(annotation, "__name__", str(annotation))
    raise TypeError(f"{name!r} cannot be the type of a state key{did_you_mean(name, [*SCALARS, 'json', *_models])}")


def texts_of(annotation: Any) -> frozenset[str] | None:
    """The only texts that an annotation allows: `Literal["a", "b"]`, or a list of it. None if it allows any."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return frozenset(args) if all(isinstance(arg, str) for arg in args) else None
    if origin in (typing.Annotated, list, Sequence):
        return texts_of(args[0])
    if origin in (tuple, typing.Union, types.UnionType):
        parts = [texts_of(arg) for arg in args if arg not in (type(None), ...)]
        known = [part for part in parts if part is not None]
        return frozenset().union(*known) if known and len(known) == len(parts) else None
    return None


def assignable(reader: Type, writer: Type) -> bool:
    """True if what `writer` describes may be read as `reader`."""
    if reader == writer or reader.word == "json":
        return True
    if reader.word == "float" and writer.word == "int":
        return True
    if reader.word == writer.word and reader.item and writer.item:
        return assignable(reader.item, writer.item)
    return False


def instance_check(kind: Type) -> tuple[type, ...] | None:
    """The Python classes of a value of this type for one `isinstance`, or None if anything goes.

    Only the outermost layer is looked at, so that a check costs the same for a list of any length.
    """
    if kind.word == "json":
        return None
    if kind.word == "float":
        return (float, int)
    if kind.word in SCALARS:
        return (SCALARS[kind.word],)
    if kind.word == "list":
        return (list, tuple, Sequence)
    if kind.word == "map":
        return (dict, Mapping)
    return (_models[kind.word],)


def annotation_of(kind: Type) -> Any:
    """The Python annotation of a type, for pydantic."""
    if kind.word in SCALARS:
        return SCALARS[kind.word]
    if kind.word == "list":
        return list[annotation_of(kind.item or JSON)]  # type: ignore[misc]
    if kind.word == "map":
        return dict[str, annotation_of(kind.item or JSON)]  # type: ignore[misc]
    return _models.get(kind.word, Any)


def converter(kind: Type) -> Callable[[Any], Any]:
    """A function that turns JSON into a value of this type. It raises pydantic's ValidationError."""
    from pydantic import TypeAdapter  # only inputs and decoding need it, never the path of a run

    return TypeAdapter(annotation_of(kind)).validate_python


_models: dict[str, type[Any]] = {}
_PARTS: list[Any] = []


def _register_own() -> None:
    from ragweave.orchestrator import values

    for name in ("Document", "Citation", "Answer", "Message", "ToolCall", "ToolResult", "Verdict", "Usage", "Failure"):
        register_value(getattr(values, name))
    _models["Part"] = values.BlobPart  # a text of its own is a str
    _PARTS.extend((values.BlobPart, values.Part))


_register_own()
