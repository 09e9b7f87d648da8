"""Texts in which `{question}` stands for the state key of that name, and `{{` for a brace."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

_FORMATTER = string.Formatter()


def placeholders(text: str) -> list[str]:
    """The state keys that a text names, each once. Raises ValueError for braces that are no plain `{key}`."""
    found: dict[str, None] = {}
    try:
        pieces = list(_FORMATTER.parse(text))
    except ValueError as error:
        raise ValueError(f"{error} in {text!r}; write {{{{ and }}}} for braces that are meant as such") from None
    for _, name, form, conversion in pieces:
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            written = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            raise ValueError(
                f"'{{{written}}}' is not a placeholder such as {{question}}: the name of a state key, without fields, "
                "formats or spaces; write {{ and }} for braces that are meant as such"
            )
        found[name] = None
    return list(found)


def filled(text: str, values: Mapping[str, Any]) -> str:
    """The text with the values of the keys that it names."""
    return "".join(
        literal + (readable(values[name]) if name is not None else "") for literal, name, _, _ in _FORMATTER.parse(text)
    )


def readable(value: Any) -> str:
    """A value as a person reads it: value models by `str()`, lists with commas, maps as JSON."""
    if value is None:
        return ""
    if isinstance(value, (str, BaseModel)):
        return str(value)
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, Sequence):
        return ", ".join(map(readable, value))
    return json.dumps(value) if isinstance(value, bool) else str(value)
