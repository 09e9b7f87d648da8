"""Calls of tools: which are made, which are refused, and what a call costs: `python benchmarks/tools.py`.

The schemas and calls of the Berkeley Function Calling Leaderboard are read from `../shared/data` beside the repository
and are not part of it. Every schema must be taken, every expected call must be let through, and every call that is made
wrong here (an argument left out, one of another type, one too many, a function that is none) must be refused with
the argument's name.
"""

from __future__ import annotations

import asyncio
import collections
import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ragweave.orchestrator.arguments import faults_of
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Tool, ToolSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import ToolCall
from ragweave.tools.executor import ToolExecutor
from ragweave.tools.function import tool_type

CALLS = Path(__file__).resolve().parents[2] / "shared" / "data" / "bfcl" / "calls.jsonl"
CONTRADICTED = ("parallel_multiple_12", "parallel_multiple_21", "simple_python_149")
"""Whose expected calls contradict their own schemas; no more than these may be refused."""
WRONG = {
    "string": 7, "integer": "x", "float": "x", "number": "x", "boolean": "x", "array": "x", "dict": "x", "tuple": "x",
}  # fmt: skip
ROUNDS, EACH = 7, 2_000
GOAL_US = 50
console = Console(width=120)


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


def main() -> None:
    """Print the tables; end with 1 where a goal is missed."""
    missed = [*asyncio.run(leaderboard()), *overhead(), *asyncio.run(together())]
    for one in missed:
        console.print(f"[red]missed[/]: {one}")
    sys.exit(1 if missed else 0)


async def leaderboard() -> list[str]:
    """Schemas taken, calls let through and wrong calls refused; what should not be so."""
    if not CALLS.is_file():
        console.print(f"left out: {CALLS.name} of the leaderboard is not beside the repository")
        return []
    schemas, calls, refused = 0, 0, {}
    wrong: collections.Counter[str] = collections.Counter()
    passed: collections.Counter[str] = collections.Counter()
    for line in CALLS.read_text(encoding="utf-8").splitlines():
        row = Row(json.loads(line))
        for parameters in row.schemas.values():
            faults_of({}, parameters)  # raises for a schema that is none
            schemas += 1
        for name, accepted in row.calls:
            given = {key: _first(values) for key, values in accepted.items() if values[:1] != [""]}
            calls += 1
            error = await row.error(name, given)
            if error:
                refused[row.id] = error
                continue
            for kind, argument, broken in _broken(given, row.schemas[name]):
                wrong[kind] += 1
                passed[kind] += f"{argument}: " not in await row.error(name, broken)
            wrong["unknown function"] += 1
            passed["unknown function"] += f"'it_{name}_x'" not in await row.error(f"{name}_x", given)
    table = Table("of the leaderboard", "all", "as it should be", title="Calls of tools")
    table.add_row("schemas taken", f"{schemas:,}", f"{schemas:,}")
    table.add_row("expected calls that ran", f"{calls:,}", f"{calls - len(refused):,}")
    for kind, count in wrong.items():
        table.add_row(f"refused by name: {kind}", f"{count:,}", f"{count - passed[kind]:,}")
    console.print(table)
    for name, reason in refused.items():
        console.print(f"refused: {name}: {reason}")
    missed = [f"the expected call of {name} is refused" for name in refused if name not in CONTRADICTED]
    return missed + [f"{count} calls with {kind} are let through" for kind, count in passed.items() if count]


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


def overhead() -> Iterator[str]:
    """What the executor adds to a call, without the validation of its arguments."""
    resources, call = _resources(), ToolCall(id="c", name="nothing", arguments={"x": 1})
    node, context = ToolExecutor(tools=["nothing"]), Context(resources=resources)
    specification = resources.get("tools", "nothing").specs()[0]

    async def executed() -> float:
        for _ in range(100):
            await node(call, context)
        begin = time.process_time()
        for _ in range(EACH):
            await node(call, context)
        return (time.process_time() - begin) / EACH

    def validated() -> float:
        begin = time.process_time()
        for _ in range(EACH):
            faults_of(call.arguments, specification.parameters)
        return (time.process_time() - begin) / EACH

    with_all = [asyncio.run(executed()) for _ in range(ROUNDS)]
    alone = [validated() for _ in range(ROUNDS)]
    whole, part = statistics.median(with_all) * 1e6, statistics.median(alone) * 1e6
    table = Table("µs of CPU", "median", title=f"A call of an async tool, {ROUNDS} × {EACH:,}")
    table.add_row("all of it", f"{whole:.1f}")
    table.add_row("validating the arguments", f"{part:.1f}")
    table.add_row(f"the rest (goal {GOAL_US})", f"{whole - part:.1f}")
    console.print(table)
    if whole - part > GOAL_US:
        yield f"a call costs {whole - part:.1f} µs beside validation"


async def together() -> list[str]:
    """Three calls side by side of which one hangs and one fails."""
    resources = _resources()
    node, context = ToolExecutor(tools=["nothing", "stuck", "broken"]), Context(resources=resources)
    begin = time.perf_counter()
    calls = [ToolCall(id=name, name=name, arguments={"x": 1}) for name in ("nothing", "stuck", "broken")]
    results = [one["tool_results"][0] for one in await asyncio.gather(*(node(call, context) for call in calls))]
    seconds = time.perf_counter() - begin
    for result in results:
        console.print(f"{result.name}: {result.content or f'error: {result.error}'}")
    console.print(f"all over after {seconds:.2f} s; the timeout of the one that hangs is 0.5 s")
    good = results[0].content == "1" and all(result.error for result in results[1:]) and seconds < 1
    return [] if good else ["of three calls side by side the good one was not kept in time"]


def _resources() -> Resources:
    async def nothing(x: int) -> int:
        """Gives back what it got."""
        return x

    async def stuck(x: int) -> int:
        """Never comes back."""
        await asyncio.sleep(60)
        return x

    async def broken(x: int) -> int:
        """Fails."""
        raise ValueError(f"no {x}")

    resources = Resources()
    for function in (nothing, stuck, broken):
        resources.put("tools", function.__name__, tool_type(function, timeout=0.5)())
    return resources


if __name__ == "__main__":
    main()
