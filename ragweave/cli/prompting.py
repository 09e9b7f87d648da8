"""What a parked run asks, put to the person at the terminal until each question has its answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ragweave.cli.interrupts import unwinding
from ragweave.cli.terminal import clean, is_terminal, note, one_line, paint

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Result
    from ragweave.orchestrator.values import Ask

_YES, _NO = ("y", "yes", "true", "1"), ("n", "no", "false", "0")
_JSON = {"integer": "a whole number", "number": "a number", "array": "a JSON list", "object": "a JSON object"}
_GO_ON = "nothing was answered, and this run is not kept; the same command asks again"


def answers_to(result: Result) -> dict[str, Any] | None:
    """What the person answers to all that a parked run asks; None if nobody is there, or leaves, which is said.

    Ctrl-C leaves at once: it raises KeyboardInterrupt.
    """
    if not (sys.stdin.isatty() and is_terminal(sys.stderr)):
        for path, ask in result.asks.items():
            note(f"{path} asks: {one_line(ask.question)}")
        note("nobody is at a terminal to answer, and this run is not kept: ask again on one")
        return None
    answers: dict[str, Any] = {}
    for path, ask in result.asks.items():
        try:
            answers[path] = _answer_of(path, ask, named=len(result.asks) > 1)
        except EOFError:
            sys.stderr.write("\n")
            note(_GO_ON)
            return None
        except KeyboardInterrupt:
            sys.stderr.write("\n")
            note(_GO_ON)
            raise
    return answers


def _answer_of(path: str, ask: Ask, *, named: bool) -> Any:
    """One answer, asked for until it is of its type. Raises EOFError, KeyboardInterrupt."""
    from ragweave.orchestrator.errors import InputError
    from ragweave.orchestrator.running.answers import check_answers

    before = f"{path}: " if named else ""
    question = paint(clean(before + ask.question).strip(), "bold", sys.stderr)
    words = _words(ask.answer_schema)
    prompt = f"{question} [{words}] " if words else f"{question} "
    while True:
        text = _line(prompt)
        try:
            value = parsed(text, ask.answer_schema)
            check_answers({path: ask}, {path: value})
        except (ValueError, InputError):
            note(f"{text!r} is no answer to this: {_wanted(ask.answer_schema)}")
        else:
            return value


def parsed(text: str, schema: Mapping[str, Any]) -> Any:
    """What was typed as the answer that a JSON schema describes. Raises ValueError where it is none."""
    choices = schema.get("enum")
    if isinstance(choices, (list, tuple)):
        for choice in choices:
            if text.lower() == _shown(choice).lower():
                return choice
        raise ValueError(text)
    kind = schema.get("type")
    if kind == "boolean":
        if text.lower() in _YES + _NO:
            return text.lower() in _YES
        raise ValueError(text)
    return json.loads(text) if kind in _JSON else text


def _words(schema: Mapping[str, Any]) -> str:
    """What may be typed, shortly; nothing where anything may."""
    choices = schema.get("enum")
    if isinstance(choices, (list, tuple)):
        return "/".join(map(_shown, choices))
    kind = schema.get("type")
    return "y/n" if kind == "boolean" else _JSON.get(str(kind), "")


def _wanted(schema: Mapping[str, Any]) -> str:
    choices = schema.get("enum")
    if isinstance(choices, (list, tuple)):
        return f"type one of {', '.join(map(_shown, choices))}"
    if schema.get("type") == "boolean":
        return "type y or yes, or n or no"
    return f"type {_JSON.get(str(schema.get('type')), 'something else')}"


def _shown(choice: Any) -> str:
    return choice if isinstance(choice, str) else json.dumps(choice, ensure_ascii=False)


def _line(prompt: str) -> str:
    """A typed line without the space around it. Raises EOFError at Ctrl-D, KeyboardInterrupt at Ctrl-C."""
    with unwinding():
        sys.stderr.write(prompt)
        sys.stderr.flush()
        text = sys.stdin.readline()
    if not text:
        raise EOFError
    return text.strip()
