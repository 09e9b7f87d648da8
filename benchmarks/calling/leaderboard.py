"""The schemas and calls of the Berkeley Function Calling Leaderboard.

Every schema must be taken, every expected call must be let through, and every call that is made wrong here (an argument
left out, one of another type, one too many, a function that is none) must be refused with the argument's name.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tables import Line, data, share

from ragweave.orchestrator.arguments import faults_of
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Tool, ToolSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import ToolCall
from ragweave.tools.executor import ToolExecutor

CONTRADICTED = ("parallel_multiple_12", "parallel_multiple_21", "simple_python_149")
"""Whose expected calls contradict their own schemas; no more than these may be refused."""
WRONG = {
    "string": 7, "integer": "x", "float": "x", "number": "x", "boolean": "x", "array": "x", "dict": "x", "tuple": "x",
}  # fmt: skip


class Listed(Tool):
    """The functions of one row of the leaderboard; a call of one runs, and does nothing."""

    listed: list[dict[str, Any]]

    def specs(self) -> Sequence[ToolSpec]:
        """As the row has them."""
        return [ToolSpec(one["description"], one["parameters"], one["name"]) for one in self.listed]

    async def call(self, name: str, arguments: Mapping[str, Any], ctx: Context) -> str:
        """That it ran."""
        return "it ran"


class Row:
    """One row of the leaderboard, with its functions as tools."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.id = row["id"]
        self.schemas = {one["name"]: one["parameters"] for one in row["tools"]}
        self.calls = [next(iter(call.items())) for call in row["expected_calls"]]
        resources = Resources()
        resources.put("tools", "it", Listed(listed=row["tools"]))
        self._node, self._context = ToolExecutor(tools=["it"]), Context(resources=resources)

    async def error(self, name: str, arguments: dict[str, Any]) -> str:
        """Why a call is refused; empty if it ran."""
        call = ToolCall(id="c", name=f"it_{name}", arguments=arguments)
        done = await self._node(call, self._context)
        result = done["tool_results"][0]
        assert result.error or result.content == "it ran"
        return result.error


async def leaderboard() -> list[Line]:
    """Schemas taken, calls let through, and wrong calls refused by name."""
    schemas = taken = calls = 0
    refused: dict[str, str] = {}
    wrong: collections.Counter[str] = collections.Counter()
    named: collections.Counter[str] = collections.Counter()
    for line in (data("bfcl") / "calls.jsonl").read_text(encoding="utf-8").splitlines():
        row = Row(json.loads(line))
        for parameters in row.schemas.values():
            schemas += 1
            taken += _is_taken(parameters)
        for name, accepted in row.calls:
            given = {key: _first(values) for key, values in accepted.items() if values[:1] != [""]}
            calls += 1
            error = await row.error(name, given)
            if error:
                refused[row.id] = error
                continue
            for kind, argument, broken in _broken(given, row.schemas[name]):
                wrong[kind] += 1
                named[kind] += f"{argument}: " in await row.error(name, broken)
            wrong["an unknown function"] += 1
            named["an unknown function"] += f"'it_{name}_x'" in await row.error(f"{name}_x", given)
    told = tuple(f"BFCL, refused: {name}: {reason}" for name, reason in refused.items())
    ran = set(refused) <= set(CONTRADICTED)
    goal = f"all but at most {len(CONTRADICTED)}, which contradict their schemas"
    return [
        Line("BFCL: schemas taken", "all", share(taken, schemas), taken == schemas),
        Line("BFCL: expected calls that run", goal, share(calls - len(refused), calls), ran, told),
        *(
            Line(f"BFCL: refused by name: {kind}", "all", share(named[kind], count), named[kind] == count)
            for kind, count in wrong.items()
        ),
    ]


def _is_taken(schema: dict[str, Any]) -> bool:
    try:
        faults_of({}, schema)
    except Exception:  # whatever a schema that is none leads to
        return False
    return True


def _first(accepted: Any) -> Any:
    """The first of the accepted values, of maps that of each key."""
    value = accepted[0] if isinstance(accepted, list) and accepted else accepted
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _first(one) for key, one in value.items() if not (isinstance(one, list) and one[:1] == [""])}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _broken(given: dict[str, Any], parameters: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The call made wrong: what is wrong, with which argument, and the arguments."""
    for name in given:
        if name in parameters.get("required", ()):
            yield "one left out", name, {key: value for key, value in given.items() if key != name}
        kind = parameters["properties"][name].get("type")
        if kind in WRONG:
            yield "one of another type", name, {**given, name: WRONG[kind]}
    yield "one too many", "zzz_extra", {**given, "zzz_extra": 1}
