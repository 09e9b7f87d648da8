"""Values that a file declares by name: their type, whether they have to be there, and what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from ragweave.orchestrator.errors import did_you_mean
from ragweave.orchestrator.types import Type, parse_type

_DECLARATION = {
    "anyOf": [
        {"type": "string", "description": "A type, such as str or list[Document]; with ? at its end, optional."},
        {
            "type": "object",
            "properties": {
                "type": {"type": "string"},
                "required": {"type": "boolean"},
                "description": {"type": "string"},
            },
            "required": ["type"],
            "additionalProperties": False,
        },
    ]
}


@dataclass(frozen=True, slots=True)
class Variable:
    """A value of a prompt, or one that a model is to give."""

    type: Type
    required: bool = True
    description: str = ""


def read_variable(value: Any) -> Variable:
    """A variable as it is declared: a type word, or a map with type, required and description. Raises ValueError."""
    if isinstance(value, Variable):
        return value
    given = value if isinstance(value, Mapping) else {"type": value}
    for key in given:
        if key not in ("type", "required", "description"):
            raise ValueError(f"unknown key {key!r}{did_you_mean(str(key), ('type', 'required', 'description'))}")
    word, required = given.get("type"), given.get("required", True)
    if not isinstance(word, str):
        raise ValueError(f"a type such as str or list[Document] is needed, not {word!r}")
    if not isinstance(required, bool):
        raise ValueError(f"required is true or false, not {required!r}")
    optional = word.endswith("?")
    return Variable(parse_type(word.removesuffix("?")), required and not optional, str(given.get("description", "")))


Declared = Annotated[Variable, PlainValidator(read_variable), WithJsonSchema(_DECLARATION)]
"""A setting that declares a variable."""
