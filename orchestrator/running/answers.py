"""What people answer, held against what they were asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragweave.orchestrator.errors import InputError, did_you_mean
from ragweave.orchestrator.values import Ask

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict, Mapping),
    "null": (type(None),),
}


def check_answers(asks: Mapping[str, Ask], answers: Mapping[str, Any]) -> None:
    """Raise InputError if an answer belongs to no open ask, or is not of the type or the choices that were asked
    for."""
    for path, answer in answers.items():
        ask = asks.get(path)
        if ask is None:
            raise InputError(f"nobody asks at {path!r}{did_you_mean(path, asks)}")
        choices = ask.answer_schema.get("enum")
        if choices is not None and answer not in choices:
            raise InputError(f"{path}: {answer!r} is not one of {', '.join(map(repr, choices))}")
        kind = ask.answer_schema.get("type")
        if isinstance(kind, str) and kind in _KINDS:
            fits = isinstance(answer, _KINDS[kind]) and not (isinstance(answer, bool) and kind in ("integer", "number"))
            if not fits:
                raise InputError(f"{path}: {answer!r} is not of type {kind}; asked was: {ask.question}")
