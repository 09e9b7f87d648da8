"""Passages as a database keeps them: as JSON, and as typed facts to filter by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ragweave.orchestrator.filters import OWN_FIELDS, Demand, FieldKind, Fields, value_of
from ragweave.orchestrator.values import Document

if TYPE_CHECKING:
    import numpy as np

_MARK = "\ufffe"  # no character: what begins with it is no text that anybody has


class Row(NamedTuple):
    """A passage on its way into a database, with the vectors of its windows."""

    document: Document
    body: str
    """All of it as JSON."""
    vectors: np.ndarray
    """float32 of shape (windows, dimension)."""


def safe(text: str) -> str:
    """A text for databases that take neither lone surrogates nor NUL; different texts stay different."""
    if "\0" not in text and not text.startswith(_MARK):
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return _MARK + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def fact_name(field: str, kind: FieldKind) -> str:
    """What a field is called as a fact: with its kind, so that one that is declared anew never meets old values."""
    return f"{safe(field)}:{kind}"


def fact_names(fields: Fields) -> dict[str, tuple[str, FieldKind]]:
    """The facts that these fields, and those that every passage has, are kept as."""
    return {fact_name(field, kind): (field, kind) for field, kind in {**OWN_FIELDS, **fields}.items()}


def facts_of(document: Document, names: Mapping[str, tuple[str, FieldKind]]) -> dict[str, Any]:
    """What a passage says of these facts: texts that are `safe`, numbers, truths, dates as seconds, lists of texts.
    One that it lacks, or has of another kind, is left out."""
    found: dict[str, Any] = {}
    for name, (field, kind) in names.items():
        value = value_of(document, field, kind)
        if value is not None and value != ():
            found[name] = fact_value(value)
    return found


def fact_value(value: Any) -> Any:
    """A typed value, or a tuple of such, as facts have it."""
    if isinstance(value, tuple):
        return sorted({fact_value(one) for one in value})
    return safe(value) if isinstance(value, str) else value


def named_facts(names: Iterable[str]) -> dict[str, tuple[str, FieldKind]]:
    """The fields and kinds of facts that an index wrote down by their names."""
    found: dict[str, tuple[str, FieldKind]] = {}
    for name in names:
        field, _, kind = name.rpartition(":")
        found[name] = (field, kind)  # type: ignore[assignment]
    return found


def asked(condition: Demand) -> tuple[str, Any]:
    """The fact that a condition asks for, and the value, or for `in` the list of values, that it is compared with."""
    return fact_name(condition.field, condition.kind), fact_value(condition.value)


def last_of_each(documents: Sequence[Document]) -> list[Document]:
    """Of passages with the same id the last one."""
    return list({document.id: document for document in documents}.values())
