"""Medians of the rounds, as tables for the terminal and for the docs, and what they say about the goals."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from scenarios import ENGINES, PEERS, SCENARIOS, TITLES, Measure

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


@dataclass
class Outcome:
    """All rounds of one scenario of one engine."""

    rounds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def skip(self) -> str:
        """Why the engine does not take part, or empty."""
        return next((report["skip"] for report in self.rounds if "skip" in report), "")

    @property
    def error(self) -> str:
        """What went wrong in a round, or empty."""
        return next((report["error"] for report in self.rounds if "error" in report), "")

    def median(self, key: str) -> float | None:
        """The median over the rounds; None if no round has this number."""
        numbers = [report[key] for report in self.rounds if key in report]
        return statistics.median(numbers) if numbers and not self.error else None


Outcomes = dict[str, dict[str, Outcome]]


@dataclass(frozen=True)
class Row:
    """One measure of one scenario over all engines, scaled to its unit."""

    scenario: str
    measure: Measure
    values: dict[str, float]

    @property
    def ours(self) -> float | None:
        """ragweave's value."""
        return self.values.get("ragweave")

    @property
    def share(self) -> float | None:
        """How much of the goal is used up: the goal is kept up to 1."""
        if self.ours is None or not self.measure.goal:
            return None
        return self.measure.goal / self.ours if self.measure.more_is_better else self.ours / self.measure.goal

    @property
    def best_peer(self) -> str | None:
        """The engine that does best among the peers."""
        peers = [engine for engine in PEERS if engine in self.values]
        choose = max if self.measure.more_is_better else min
        return choose(peers, key=lambda engine: self.values[engine]) if peers else None

    @property
    def factor(self) -> float | None:
        """How many times better than the best peer ragweave is."""
        if self.ours is None or self.best_peer is None:
            return None
        peer = self.values[self.best_peer]
        return self.ours / peer if self.measure.more_is_better else peer / self.ours

    def shown(self, engine: str) -> str:
        """An engine's value with three digits that matter."""
        return number(self.values[engine]) if engine in self.values else "–"

    @property
    def missed(self) -> bool:
        """Whether ragweave does not keep its goal."""
        return self.share is not None and self.share > 1


def number(value: float) -> str:
    """`0.358`, `34.6`, `2,920`."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def rows(outcomes: Outcomes) -> Iterator[Row]:
    """Every row that was measured, in the order of the scenarios."""
    for scenario in SCENARIOS.values():
        measured = outcomes.get(scenario.name, {})
        for measure in scenario.measures:
            values = {
                engine: median * measure.scale
                for engine in ENGINES
                if engine in measured and (median := measured[engine].median(measure.key)) is not None
            }
            if values:
                yield Row(scenario.name, measure, values)


GOAL_HEADS = ["", "goal", "ragweave", "of goal", "best peer", "better by"]


def goal_cells(row: Row) -> list[str]:
    """Measure, goal, ragweave, share of the goal that is used up, best peer, how much better ragweave is."""
    measure, best = row.measure, row.best_peer
    return [
        measure.title,
        "" if measure.goal is None else f"{'≥' if measure.more_is_better else '≤'} {number(measure.goal)}",
        row.shown("ragweave"),
        "" if row.share is None else f"{row.share:.0%}",
        "–" if best is None else f"{TITLES[best]} {row.shown(best)}",
        "–" if row.factor is None else f"{number(row.factor)}x",
    ]


def engine_cells(row: Row, engines: list[str]) -> list[str]:
    """Measure, and the value of each engine."""
    return [row.measure.title, *(row.shown(engine) for engine in engines)]


def _table(title: str, heads: list[str]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, title_justify="left")
    for head in heads:
        table.add_column(head, justify="right" if head else "left", no_wrap=not head)
    return table


def goal_table(outcomes: Outcomes) -> Table:
    """ragweave against its goals and the best peer."""
    table = _table("ragweave, its goals and the best peer", GOAL_HEADS)
    for scenario, group in groupby(rows(outcomes), key=lambda row: row.scenario):
        table.add_row(scenario, style="bold")
        for row in group:
            table.add_row(*goal_cells(row), style="red" if row.missed else "green" if row.share is not None else None)
    return table


def engine_tables(outcomes: Outcomes) -> Iterator[Table]:
    """Every engine side by side: runs in memory, and runs that are kept."""
    for title, part in _parts(outcomes):
        yield _engine_table(title, part)


def _parts(outcomes: Outcomes) -> Iterator[tuple[str, Outcomes]]:
    for title, durable in (("all engines", False), ("runs that are kept on the disk", True)):
        part = {name: measured for name, measured in outcomes.items() if SCENARIOS[name].durable is durable}
        if part:
            yield title, part


def _engine_table(title: str, outcomes: Outcomes) -> Table:
    engines = measured_engines(outcomes)
    table = _table(title, ["", *(TITLES[engine] for engine in engines)])
    for scenario, group in groupby(rows(outcomes), key=lambda row: row.scenario):
        table.add_row(scenario, style="bold")
        for row in group:
            table.add_row(*engine_cells(row, engines))
    return table


def measured_engines(outcomes: Outcomes) -> list[str]:
    """The engines that took part, in the order of the tables."""
    return [engine for engine in ENGINES if any(engine in measured for measured in outcomes.values())]


def missed(outcomes: Outcomes) -> list[str]:
    """The goals that ragweave does not keep, one line each."""
    return [
        f"{row.scenario}: {row.measure.title} is {row.shown('ragweave')}, the goal is {number(row.measure.goal)}"
        for row in rows(outcomes)
        if row.measure.goal is not None and row.missed
    ]


def problems(outcomes: Outcomes) -> list[str]:
    """What went wrong, one line for each engine and message."""
    found: dict[tuple[str, str], list[str]] = {}
    for scenario, measured in outcomes.items():
        for engine, outcome in measured.items():
            if outcome.error:
                found.setdefault((engine, outcome.error), []).append(scenario)
    return [f"{TITLES[engine]}, {', '.join(names)}: {message}" for (engine, message), names in found.items()]


def markdown(outcomes: Outcomes, versions: dict[str, str], conditions: str) -> str:
    """All tables and how they came about, for the docs."""
    peers = ", ".join(f"{package} {version}" for package, version in sorted(versions.items()))
    goals: list[list[str]] = []
    for scenario, group in groupby(rows(outcomes), key=lambda row: row.scenario):
        goals.append([f"**{scenario}**", *[""] * (len(GOAL_HEADS) - 1)])
        goals += [goal_cells(row) for row in group]
    return "\n\n".join(
        [
            f"{conditions} {peers}.",
            _markdown_table(GOAL_HEADS, goals),
            *(_markdown_engines(part) for _, part in _parts(outcomes)),
            "\n".join(f"- **{name}**: {SCENARIOS[name].what}" for name in SCENARIOS if name in outcomes),
        ]
    )


def _markdown_engines(outcomes: Outcomes) -> str:
    engines = measured_engines(outcomes)
    values: list[list[str]] = []
    for scenario, group in groupby(rows(outcomes), key=lambda row: row.scenario):
        values.append([f"**{scenario}**", *[""] * len(engines)])
        values += [engine_cells(row, engines) for row in group]
    return _markdown_table(["", *(TITLES[engine] for engine in engines)], values)


def _markdown_table(heads: list[str], lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ["---", *["---:"] * (len(heads) - 1)], *lines])


def write_between_markers(page: Path, text: str) -> None:
    """Replace what stands between the two markers of a page. Raises ValueError if it has none."""
    old = page.read_text(encoding="utf-8")
    if BEGIN not in old or END not in old:
        raise ValueError(f"{page.name} has no {BEGIN} and {END} to write between")
    before, _, rest = old.partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
