"""What a parked run asks, put to the person at the terminal until each question has its answer."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragweave.cli.interrupts import unwinding
from ragweave.cli.terminal import clean, is_terminal, note, one_line, paint

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Result
    from ragweave.orchestrator.values import Ask

_YES, _NO = ("y", "yes", "true", "1"), ("n", "no", "false", "0")
_JSON = {"integer": "a whole number", "number": "a number", "array": "a JSON list", "object": "a JSON object"}


def person() -> str:
    """The name of the user whose terminal this is, "" where the system knows none."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def answers_to(result: Result, again: str = "") -> dict[str, Any] | None:
    """What the person answers to all that a parked run asks; None if nobody is there, or leaves, which is said with
    the command that goes on with the run, `again`; empty if nothing can, since it is not kept.

    Ctrl-C leaves at once: it raises KeyboardInterrupt.
    """
    if not (sys.stdin.isatty() and is_terminal(sys.stderr)):
        for path, ask in result.asks.items():
            words = _words(ask.answer_schema)
            note(f"{path} asks: {one_line(ask.question)}{f' [{words}]' if words else ''}")
        value = "VALUE" if len(result.asks) == 1 else "PATH=VALUE"
        kept = f"the run waits: {again} --answer {value}" if again else "this run is not kept: ask again on one"
        note(f"nobody is at a terminal to answer; {kept}")
        return None
    left = f"the run waits: {again}" if again else "this run is not kept; the same command asks again"
    answers: dict[str, Any] = {}
    for path, ask in result.asks.items():
        try:
            answers[path] = _answer_of(path, ask, named=len(result.asks) > 1)
        except EOFError:
            sys.stderr.write("\n")
            note(f"nothing was answered; {left}")
            return None
        except KeyboardInterrupt:
            sys.stderr.write("\n")
            note(f"nothing was answered; {left}")
            raise
    return answers


def _answer_of(path: str, ask: Ask, *, named: bool) -> Any:
    """One answer, asked for until it is of its type. Raises EOFError, KeyboardInterrupt."""
    from ragweave.orchestrator.schemas import fault_of, is_simple

    before = f"{path}: " if named else ""
    question = paint(clean(before + ask.question).strip(), "bold", sys.stderr)
    words = _words(ask.answer_schema)
    prompt = f"{question} [{words}] " if words else f"{question} "
    while True:
        text = _line(prompt)
        try:
            value = parsed(text, ask.answer_schema)
        except ValueError:
            note(f"{text!r} is no answer to this: {wanted(ask.answer_schema)}")
            continue
        fault = fault_of(value, ask.answer_schema)
        if not fault:
            return value
        reason = wanted(ask.answer_schema) if is_simple(ask.answer_schema) else fault
        note(f"{text!r} is no answer to this: {reason}")


def parsed(text: str, schema: Mapping[str, Any]) -> Any:
    """What was typed as the answer that a JSON schema describes. Raises ValueError where it is none."""
    choices = schema.get("enum")
    if isinstance(choices, (list, tuple)):
        for choice in choices:
            if text.lower() == _shown(choice).lower():
                return choice
        raise ValueError(text)
    for arm in _arms(schema):
        with contextlib.suppress(ValueError):
            return parsed(text, arm)
    if _arms(schema):
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
    if _arms(schema):
        return _words(_arms(schema)[0])
    kind = schema.get("type")
    return "y/n" if kind == "boolean" else _JSON.get(str(kind), "")


def wanted(schema: Mapping[str, Any]) -> str:
    """What an answer of this schema is typed as."""
    choices = schema.get("enum")
    if isinstance(choices, (list, tuple)):
        return f"type one of {', '.join(map(_shown, choices))}"
    if _arms(schema):
        return ", or ".join(dict.fromkeys(map(wanted, _arms(schema))))
    if schema.get("type") == "boolean":
        return "type y or yes, or n or no"
    return f"type {_JSON.get(str(schema.get('type')), 'something else')}"


def _arms(schema: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The kinds of answers of which any will do, the one that is asked for first."""
    arms = schema.get("anyOf")
    fit = isinstance(arms, (list, tuple)) and all(isinstance(arm, Mapping) for arm in arms)
    return arms if fit else ()  # type: ignore[return-value]


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
