"""Type words of other languages, as this one has them: only a file that uses one needs this module."""

from __future__ import annotations

import re
from typing import NamedTuple

from ragweave.orchestrator.types import parse_type

_SAME = {
    "str": ("string", "text", "varchar", "char"),
    "int": ("integer", "long", "int32", "int64"),
    "float": ("number", "double", "decimal", "float32", "float64"),
    "bool": ("boolean",),
    "json": ("any", "typing.any"),
    "map[json]": ("dict", "dictionary", "mapping", "hash", "typeddict"),
    "list[json]": ("array", "sequence", "tuple", "iterable"),
}
_WORDS = {word: meant for meant, words in _SAME.items() for word in words}
_LISTS = ("list", "sequence", "array", "iterable")
_MAPS = ("map", "dict", "mapping", "record")


class Meant(NamedTuple):
    """What a word of another language means here; `sure` if it means nothing else, `more` is what to add to it."""

    word: str
    sure: bool = True
    more: str = ""


def meant(word: str) -> Meant | None:
    """The type that was meant by a word of Python, TypeScript or JSON Schema; None if it is none of theirs."""
    text = re.sub(r"\s+", "", word).removeprefix("typing.")
    if text.lower() == "object":  # a map to JSON Schema, anything to Python
        return Meant("map[json]", False, " or 'json'")
    optional = re.fullmatch(r"(?i:optional)\[(.+)\]|(.+)\|(?:None|null)|(?:None|null)\|(.+)|(.+)\?", text)
    if optional is not None:
        inner = _one(next(part for part in optional.groups() if part))
        return Meant(inner.word, False, " with a default, for what may be left out") if inner is not None else None
    found = _one(text)
    return found if found is not None and found.word != text else None


def _one(text: str) -> Meant | None:
    """The same for a word without spaces; a word of this language means itself."""
    try:
        return Meant(str(parse_type(text)) if "[" in text else text) if parse_type(text) else None
    except ValueError:
        known = _WORDS.get(text.lower())
    if known is not None:
        return Meant(known)
    if text.endswith("[]"):
        return _around("list", text[:-2])
    outer = re.fullmatch(r"(?:typing\.)?([A-Za-z]+)\[(.+)\]", text)
    if outer is None:
        return None
    name, inside = outer[1].lower(), outer[2]
    if name in _LISTS:
        return _around("list", inside)
    if name in _MAPS:
        return _around("map", re.sub(r"^(?:str|string),", "", inside))
    return None


def _around(outer: str, inside: str) -> Meant | None:
    inner = _one(inside)
    return Meant(f"{outer}[{inner.word}]", inner.sure) if inner is not None else None
