"""Inputs of a run as the commands are given them: values by their types, files as `@path`, and what is missing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.types import Type
    from ragweave.orchestrator.values import BlobPart

_MARK = "@"


def add_input(inputs: dict[str, Any], name: str, text: str, kind: Type | None) -> None:
    """Add what an option says to the inputs, as its type wants it: a text as it is, all else as JSON where it is JSON.

    A list of files may be given one by one. Raises InputError for another input that is given twice.
    """
    from ragweave.orchestrator.errors import InputError

    value = _value(text, kind)
    if name in inputs:
        if not (kind is not None and kind.word == "list" and _is_file(value)):
            raise InputError(f"the input {name!r} is given twice")
        before = inputs[name]
        value = [*(before if isinstance(before, list) else [before]), value]
    inputs[name] = value


def _value(text: str, kind: Type | None) -> Any:
    if kind is None or str(kind) == "str":
        return text
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text


def check_missing(graph: Graph, inputs: Mapping[str, Any], command: str, option: Callable[[str, str], str]) -> None:
    """Raise InputError that names all inputs that are missing, and the command with the option of each.

    `option` writes one, from the input's name and what stands for its value. Where an input is unknown, it may be a
    missing one misspelt: the run will say so.
    """
    from ragweave.orchestrator.errors import InputError

    declared = graph.plan.spec.inputs
    missing = [name for name, key in declared.items() if not key.has_default and name not in inputs]
    if not missing or inputs.keys() - declared.keys():
        return
    needed = ", ".join(f"{name!r} ({declared[name].shown})" for name in missing)
    options = [
        option(name, f"{_MARK}FILE" if _takes_files(declared[name].type) else "…")
        for name in sorted(missing, key=lambda name: name != "question")
    ]
    raise InputError(
        f"{graph.name!r} needs the input{'s' if len(missing) > 1 else ''} {needed}",
        hint=f"{command} {' '.join(options)}",
    )


def with_files(
    graph: Graph,
    inputs: Mapping[str, Any],
    folder: Path | None = None,
    attach: Callable[[Path], BlobPart] | None = None,
) -> dict[str, Any]:
    """The inputs of a run, checked, with parts of the files that `@path` stands for where a part or message belongs.

    Paths are relative to `folder`, by default the working directory; `attach` is by default the graph's. Raises
    InputError for a file that cannot be read, is too large or empty, for a text in the place of a part, and for what is
    not of its type.
    """
    from ragweave.orchestrator.errors import InputError
    from ragweave.orchestrator.running.inputs import check_inputs

    declared = graph.plan.spec.inputs

    def attached(text: str) -> BlobPart:
        if not _is_file(text):
            raise InputError(f"the input {name!r} takes a file, not {text!r}", hint=f"a file is {_MARK}PATH")
        return (attach or graph.attach)((folder or Path()) / Path(text.removeprefix(_MARK)).expanduser())

    values = {}
    for name, value in inputs.items():
        kind = declared[name].type if name in declared else None
        values[name] = _attached(value, kind, attached) if _takes_files(kind) else value
    return check_inputs(graph.plan, values)


def _takes_files(kind: Type | None) -> bool:
    return kind is not None and (kind.word in ("Part", "Message") or _takes_files(kind.item))


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_MARK) and len(value) > 1


def _attached(value: Any, kind: Type | None, attach: Callable[[str], BlobPart]) -> Any:
    """A value with parts in the place of paths; what is not of its type is left for the run to refuse."""
    from ragweave.orchestrator.values import Message

    if kind is None:
        return value
    if kind.word == "list":
        items = [value] if _is_file(value) else value
        return [_attached(item, kind.item, attach) for item in items] if isinstance(items, list) else value
    if kind.word == "map" and isinstance(value, dict):
        return {key: _attached(item, kind.item, attach) for key, item in value.items()}
    if kind.word == "Part" and isinstance(value, str):
        return attach(value)
    if kind.word == "Message" and _is_file(value):
        return Message(role="user", parts=(attach(value),))
    if kind.word == "Message" and isinstance(value, dict) and isinstance(value.get("parts"), list):
        return {**value, "parts": [attach(part) if _is_file(part) else part for part in value["parts"]]}
    return value
