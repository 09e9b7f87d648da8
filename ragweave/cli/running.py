"""`ragweave run`: one run of a graph, its inputs from flags, JSON or a pipe, and on request what each node did."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragweave.cli.answers import write_result
from ragweave.cli.asking import NOBODY, Whose, play, prepare
from ragweave.cli.explaining import Trace
from ragweave.cli.graphs import open_graph
from ragweave.cli.inputs import add_input, check_missing, with_files

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph

_OWN = ("json", "thread", "user", "explain", "yes", "plugin", "format")
"""Options of the command, which an input of such a name cannot have."""


def run_graph(
    path: Path,
    flags: Sequence[str],
    text: str | None,
    *,
    whose: Whose = NOBODY,
    yes: bool = False,
    plugins: Sequence[str] = (),
    as_json: bool = False,
    explain: bool = False,
) -> int:
    """Run a graph file once and write its outputs. 1 if it asks a person and nobody is there. Raises RagweaveError."""
    graph = open_graph(path, plugins)
    given = _from_flags(graph, flags)
    # With inputs on the command line nobody means to pipe some in: a pipe that stays open must not be waited for.
    inputs = {**(_from_text(graph, text) if text is not None or not flags else {}), **given}
    check_missing(graph, inputs, f"ragweave run {path}", _option)
    inputs = with_files(graph, inputs)
    folders = prepare(graph, path, agreed=yes)
    trace = Trace() if explain else None
    try:
        result, shown = play(graph, inputs, whose, quiet=as_json, watch=trace.see if trace is not None else None)
    finally:
        if trace is not None:
            trace.write(sys.stderr)
    if result is None:
        return 1
    write_result(result, folders, as_json=as_json, already=shown)
    return 0


def _option(name: str, value: str) -> str:
    return f"""--json '{{"{name}": "{value}"}}'""" if name in _OWN else f"--{name} {value}"


def _from_flags(graph: Graph, flags: Sequence[str]) -> dict[str, Any]:
    """Inputs of `--name value` and `--name=value`; a `bool` may stand alone. Raises InputError."""
    from ragweave.orchestrator.errors import InputError, did_you_mean

    declared = graph.plan.spec.inputs
    inputs: dict[str, Any] = {}
    left = list(flags)
    while left:
        flag = left.pop(0)
        if not flag.startswith("--") or flag == "--":
            raise InputError(f"{flag!r} belongs to no input", hint=_usage(graph))
        name, sign, value = flag[2:].partition("=")
        name = name.replace("-", "_")
        if name not in declared:
            raise InputError(f"{graph.name!r} has no input {name!r}{did_you_mean(name, declared)}", hint=_usage(graph))
        kind = declared[name].type
        if not sign and str(kind) == "bool" and (not left or left[0].startswith("--")):
            value = "true"
        elif not sign and not left:
            raise InputError(f"--{name} needs a value ({declared[name].shown})")
        elif not sign:
            value = left.pop(0)
        add_input(inputs, name, value, kind)
    return inputs


def _from_text(graph: Graph, text: str | None) -> dict[str, Any]:
    """Inputs of `--json`, or of what is piped in: a JSON object, or else the text of the one input that is a text."""
    from ragweave.orchestrator.errors import InputError

    where = "--json"
    if text is None and (sys.stdin is None or sys.stdin.isatty()):
        return {}
    if text in (None, "-"):
        where, text = "the input", sys.stdin.read()
    assert text is not None
    if not text.strip():
        return {}
    try:
        data = json.loads(text)
    except ValueError as error:
        texts = [name for name, key in graph.plan.spec.inputs.items() if str(key.type) == "str"]
        if where != "--json" and len(texts) == 1 and not text.lstrip().startswith("{"):
            return {texts[0]: text}
        raise InputError(f"{where} is not JSON: {error}", hint=_usage(graph)) from None
    if not isinstance(data, dict):
        raise InputError(f"{where} holds no JSON object with the inputs as keys", hint=_usage(graph))
    return data


def _usage(graph: Graph) -> str:
    inputs = graph.plan.spec.inputs
    if not inputs:
        return "it takes no inputs"
    return "inputs: " + ", ".join(f"--{name} ({key.shown})" for name, key in inputs.items())
