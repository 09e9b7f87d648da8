"""Words that mark where texts of others begin and end in a prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ragweave.orchestrator.values import Document, Message

FENCE = "fence"
"""The variable of a prompt that is given such a word by the node that shows the prompt."""


def fence(texts: Iterable[str]) -> str:
    """A word that stands in none of the texts, the same for the same texts: nobody can write it into one of them.

    It is a hash of all of them, so a text that holds it would have to hold its own hash.
    """
    material = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass"))
    return f"TEXT-{material.hexdigest()[:20].upper()}"


def with_fence(variables: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a prompt, with the word for its variable `fence` if it has one and none was given."""
    if FENCE not in variables or values.get(FENCE) is not None:
        return dict(values)
    return {**values, FENCE: fence(_texts(values))}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Document):
        yield from (value.title, value.source, value.text)
    elif isinstance(value, Message):
        yield value.text
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)
