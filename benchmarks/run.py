"""Measure ragweave and its peers side by side: `python benchmarks/run.py`, or `make bench`.

Every scenario of every engine runs in a fresh process of that engine's own virtual environment, engine after engine
in an order that rotates from round to round, so that a busy moment of the machine hits all alike. Every result is
checked; a wrong one is an error, not a number.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import venvs
from report import Outcome, Outcomes, engine_tables, goal_table, markdown, missed, problems, write_between_markers
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from scenarios import ENGINES, SCENARIOS, TITLES

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "latest.json"
PAGE = HERE.parent / "docs" / "benchmarks.md"
#: What is measured of ragweave alone, a script each; some skip, with a reason, what needs data beside the repository.
ALONE = (
    "models", "tools", "guardrails", "batching", "batch", "classifier", "compress", "reviews", "embed", "replay",
    "kill", "cookbook", "retrieval/embedding", "retrieval/quality", "retrieval/cost", "retrieval/scale", "multihop",
    "analyst",
)  # fmt: skip
QUICK = {
    "retrieval/embedding": ["2"],
    "retrieval/quality": ["--only", "hotpotqa"],
    "retrieval/cost": ["--rounds", "1"],
    "retrieval/scale": ["--size", "10000", "--rounds", "1"],
    "multihop": ["--set", "islands"],
    "analyst": ["--limit", "50"],
    "models": ["--calls", "50"],
    "cookbook": ["--quick"],
    "batch": ["10000"],
    "replay": ["140"],
    "kill": ["5"],
}
#: These put their tables into the docs.
WRITE = ("tools", "guardrails", "cookbook", "multihop", "retrieval/quality", "retrieval/cost", "retrieval/scale")
TIMEOUT_S = 300
console = Console(width=max(100, Console().width))


@dataclass(frozen=True)
class Job:
    """One worker process."""

    scenario: str
    engine: str
    seconds: float


def plan(scenarios: list[str], engines: list[str], rounds: int, seconds: float) -> list[Job]:
    """All worker processes in order: in each round every scenario, its engines rotated by one from the round before."""
    jobs = []
    for number in range(rounds):
        for name in scenarios:
            taking_part = [engine for engine in engines if engine in SCENARIOS[name].engines]
            shift = number % max(1, len(taking_part))
            jobs += [Job(name, engine, seconds) for engine in taking_part[shift:] + taking_part[:shift]]
    return jobs


def work(job: Job) -> dict[str, Any]:
    """The report of one worker; whatever goes wrong with the process is an `error` in it."""
    command = [str(venvs.interpreter(job.engine)), str(HERE / "worker.py"), job.engine, job.scenario, str(job.seconds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"error": f"no result after {TIMEOUT_S} s"}
    except (IndexError, ValueError):
        return {"error": f"the worker ended with {done.returncode}: {done.stderr.strip()[-300:]}"}
    return report


def prepare(engines: list[str], progress: Progress) -> list[str]:
    """Make the environments that are missing; engines whose environment cannot be made are left out, with a warning."""
    ready = []
    for engine in engines:
        if not venvs.is_ready(engine):
            task = progress.add_task(f"installing {TITLES[engine]}", total=None)
            try:
                venvs.make(engine)
            except venvs.VenvError as error:
                console.print(f"[yellow]{TITLES[engine]} is left out: {error}")
                continue
            finally:
                progress.remove_task(task)
        ready.append(engine)
    return ready


def measure(scenarios: list[str], engines: list[str], rounds: int, seconds: float) -> Outcomes:
    """Run every worker of every round, with a progress bar."""
    outcomes: Outcomes = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        jobs = plan(scenarios, prepare(engines, progress), rounds, seconds)
        task = progress.add_task("measuring", total=len(jobs))
        for job in jobs:
            progress.update(task, description=f"{job.scenario}: {TITLES[job.engine]}")
            outcome = outcomes.setdefault(job.scenario, {}).setdefault(job.engine, Outcome())
            if not (outcome.skip or outcome.error):
                outcome.rounds.append(work(job))
            progress.advance(task)
        progress.update(task, description="measured")
    return outcomes


def versions(outcomes: Outcomes) -> dict[str, str]:
    """Package -> version, over all reports."""
    found: dict[str, str] = {}
    for measured in outcomes.values():
        for outcome in measured.values():
            for report in outcome.rounds:
                found |= report.get("versions", {})
    return found


def conditions(rounds: int, load: float) -> str:
    """One sentence on where and how the numbers were taken."""
    return (
        f"Medians of {rounds} interleaved rounds on {datetime.now(UTC):%Y-%m-%d}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} at the start;"
    )


def save(outcomes: Outcomes, sentence: str, took: float) -> None:
    """Every round of every engine, as JSON."""
    RESULTS.parent.mkdir(exist_ok=True)
    results = {
        scenario: {engine: outcome.rounds for engine, outcome in measured.items()}
        for scenario, measured in outcomes.items()
    }
    body = {"conditions": sentence, "took_s": round(took), "versions": versions(outcomes), "results": results}
    RESULTS.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def chosen(names: list[str] | None, known: list[str], kind: str) -> list[str]:
    """The names asked for, or all. Ends the program if one is unknown."""
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise typer.BadParameter(f"unknown {kind} {unknown[0]!r}; there are {', '.join(known)}")
    return names or known


def main(
    scenario: Annotated[list[str] | None, typer.Option(help="Only this scenario; may be repeated.")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="Only this engine; may be repeated.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the tables show medians over them.")] = 3,
    quick: Annotated[bool, typer.Option(help="One short round: a look, not a measurement.")] = False,
    strict: Annotated[bool, typer.Option(help="End with an error if ragweave misses a goal.")] = False,
    write: Annotated[bool, typer.Option(help="Write the tables into docs/benchmarks.md.")] = False,
) -> None:
    """Measure ragweave and its peers on identical work."""
    alone = [name for name in ALONE if (HERE / f"{name}.py").is_file()]
    scenarios = chosen(scenario, [*SCENARIOS, *alone], "scenario")
    engines = chosen(engine, list(ENGINES), "engine")
    if write and (scenario or engine or quick):
        raise typer.BadParameter("--write takes whole measurements: leave out --scenario, --engine and --quick")
    rounds = 1 if quick else rounds
    begin, load = time.perf_counter(), os.getloadavg()[0]
    outcomes = measure([name for name in scenarios if name in SCENARIOS], engines, rounds, 0.15 if quick else 0.5)
    sentence = conditions(rounds, load)
    if outcomes:
        save(outcomes, sentence, time.perf_counter() - begin)
        for table in engine_tables(outcomes):
            console.print(table)
        console.print(goal_table(outcomes))
    for line in problems(outcomes):
        console.print(f"[red]error[/] {line}", highlight=False)
    if write:
        write_between_markers(PAGE, markdown(outcomes, versions(outcomes), sentence))
    failed = bool(problems(outcomes)) or (strict and bool(missed(outcomes)))
    for name in (name for name in alone if name in scenarios):
        console.rule(name)
        options = [*(QUICK.get(name, []) if quick else []), *(["--write"] if write and name in WRITE else [])]
        failed |= subprocess.run([sys.executable, str(HERE / f"{name}.py"), *options], check=False).returncode != 0
    raise typer.Exit(int(failed))


if __name__ == "__main__":
    typer.run(main)
