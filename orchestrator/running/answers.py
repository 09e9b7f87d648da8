"""What people answer, held against what they were asked."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from ragweave.orchestrator.errors import InputError, NodeError, did_you_mean
from ragweave.orchestrator.result import plain
from ragweave.orchestrator.schemas import fault_of, in_words, is_simple, short, unusable
from ragweave.orchestrator.values import Ask


def check_answers(
    asks: Mapping[str, Ask], answers: Mapping[str, Any], answered: Collection[str] = ()
) -> dict[str, Any]:
    """The answers as plain JSON. Raises InputError if one belongs to no open ask, or does not satisfy its schema.

    `answered` are the paths of calls that asked before and have had their answers.
    """
    found = {}
    for path, answer in answers.items():
        ask = asks.get(path)
        if ask is None:
            if path in answered:
                others = f"open is: {', '.join(asks)}" if asks else "the run asks nothing else"
                raise InputError(f"what {path!r} asked was answered already; {others}")
            raise InputError(f"nobody asks at {path!r}{did_you_mean(path, asks)}")
        found[path] = value = _json(path, answer)
        fault = fault_of(value, ask.answer_schema)
        if fault:
            raise InputError(
                f"{path}: {fault}; asked was: {_first_line(ask.question)}", hint=f"give {in_words(ask.answer_schema)}"
            )
    return found


def check_ask(shown: str, ask: Ask) -> None:
    """Raise NodeError for an Ask that nobody could answer: its schema is none, or points outside of itself."""
    schema = ask.answer_schema
    said = f"{shown} asks {short(ask.question)} with a schema that cannot be used"
    if schema.get("enum") in ([], ()):
        raise NodeError(f"{said}: its enum is empty")
    if is_simple(schema):
        return
    try:
        json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise NodeError(f"{said}: it is no JSON: {error}") from None
    fault = unusable(schema)
    if fault:
        raise NodeError(f"{said}: {fault}")


def _json(path: str, answer: Any) -> Any:
    """An answer as a journal keeps it."""
    try:
        return json.loads(json.dumps(plain(answer), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {short(answer)} cannot be an answer: {error}", hint="give JSON values") from None


def _first_line(question: str) -> str:
    return next(iter(question.splitlines()), "")
