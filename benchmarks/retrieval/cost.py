"""What retrieval costs in ragweave and in other frameworks: `python benchmarks/retrieval/cost.py`.

Each measurement of each framework runs in a fresh process of its own virtual environment, framework after framework in
an order that rotates from round to round; shown are medians. Embeddings are real in `ingest` and `first query`, made by
each framework's own wrapper of the same weights on one core; in `query` they are looked up.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import running
import sets
import tables
import typer
import vectors
from pipelines.protocol import Passage, Work, write

#: Passages that are embedded in each round, and that a first query is asked of.
COUNT = 200
#: Passages that are searched in `query`.
SIZE = 2000
TITLES = {"ragweave": "ragweave", "langchain": "LangChain", "haystack": "Haystack", "llama_index": "LlamaIndex"}
#: The way to fuse that all have.
RRF = {"langchain": "rrf", "haystack": "reciprocal_rank_fusion", "llama_index": "reciprocal_rerank"}
#: Key -> what it says, how many digits, and what ragweave has to reach, at most or at least.
ROWS: dict[str, tuple[str, str]] = {
    "per_cpu_second": ("ingest, passages per CPU-second", "≥ 3.5 × the best"),
    "p50_ms": (f"hybrid query of {SIZE:,} passages, vector known: p50 ms", "≤ 0.5"),
    "p99_ms": ("p99 ms", ""),
    "cpu_ms": ("CPU ms", ""),
    "rss_mb": ("peak MB of that process", ""),
    "import_wall": ("import: wall s", ""),
    "import_cpu": ("CPU s", ""),
    "import_rss": ("peak MB", ""),
    "first_wall": ("first query in a new process, model and index on disk: wall s", "≤ 1"),
    "first_cpu": ("CPU s", ""),
    "first_rss": ("peak MB", "≤ 300"),
}


def sample() -> Work:
    """2,000 passages of MuSiQue and HotpotQA, and MuSiQue's questions."""
    passages: list[Passage] = []
    matrices = []
    for name in ("musique", "hotpotqa"):
        data = sets.read(name)
        with np.load(vectors.make(data)) as made:
            taken = SIZE - len(passages)
            passages += [one._replace(id=f"{name}-{one.id}") for one in data.passages[:taken]]
            matrices.append(made["vectors"][:taken])
            if name == "musique":
                asked = [(question.id, question.text) for question in data.questions]
                query_matrix = made["query_vectors"]
    return Work(passages, asked, np.concatenate(matrices), query_matrix)


def process(command: list[str]) -> dict[str, float]:
    """Wall and CPU seconds and peak memory of a process. Raises Failed if it fails."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout is not None
    said = child.stdout.read()
    child.stdout.close()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode or '"error"' in said:
        raise running.Failed(f"{command[:3]} ended with {child.returncode}: {said.strip()[-500:]}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss / 1024}


def measure(name: str, work: Path, folder: Path) -> dict[str, float]:
    """One round of one framework."""
    module: Any = {"work": str(work)}
    model = str(vectors.model_folder())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    real = {**module, "model": model, "count": COUNT, "folder": str(folder)}
    os.environ["RAGWEAVE_CACHE"] = str(folder / "cache")  # or the second round would find the vectors of the first
    found = dict(running.work("ingest", name, **real)["found"])
    statements = running.imports(name)
    for key, value in process([running.python(name), "-c", statements]).items():
        found[f"import_{key}"] = value
    for key, value in process(running.command("first", name, **real)).items():
        found[f"first_{key}"] = value
    os.environ["RAGWEAVE_CACHE"] = str(sets.BUILD / "cache")
    found |= running.work("ask", name, **module, fusion=RRF.get(name, "hybrid"), rounds=1)["found"]
    return found


def table(rounds: dict[str, list[dict[str, float]]]) -> tables.Table:
    """A row for each number, a column for each framework; last how many times better ragweave is than the best peer."""
    names = [name for name in TITLES if rounds.get(name)]
    rows = []
    for key, (title, goal) in ROWS.items():
        values = {name: statistics.median(one[key] for one in rounds[name]) for name in names}
        peers = [value for name, value in values.items() if name != "ragweave"]
        better = ""
        if "ragweave" in values and peers:
            ours = values["ragweave"]
            better = f"{ours / max(peers) if key == 'per_cpu_second' else min(peers) / ours:.2g}x"
        rows.append([title, goal, *(number(values[name]) for name in names), better])
    heads = ["", "goal", *(TITLES[name] for name in names), "better than the best peer"]
    return tables.Table("what retrieval costs", heads, rows)


def number(value: float) -> str:
    """`0.358`, `34.6`, `2,920`."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main(
    pipeline: Annotated[list[str] | None, typer.Option(help="Only this framework; may be repeated.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the table shows medians over them.")] = 2,
    write_: Annotated[bool, typer.Option("--write", help="Write the table into docs/benchmarks.md.")] = False,
) -> None:
    """Measure, and print the table."""
    began = time.perf_counter()
    if absent := sets.missing(["musique", "hotpotqa"]):
        print(f"not measured: {sets.SHARED} does not have {', '.join(absent)}")
        return
    names = pipeline or list(TITLES)
    left_out = running.prepare(names)
    problems = [f"{name} is left out: {why}" for name, why in left_out.items()]
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in names if name not in left_out}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "work.npz")
        write(path, sample())
        for turn in range(rounds):
            order = list(taken)
            shift = turn % max(1, len(order))
            for name in order[shift:] + order[:shift]:
                try:
                    taken[name].append(measure(name, path, Path(folder, name)))
                except running.Failed as error:
                    problems.append(str(error))
                    del taken[name]
    parts = [table(taken)] if any(taken.values()) else []
    took = time.perf_counter() - began
    how = f"Medians of {rounds} interleaved rounds, {COUNT} passages embedded in each"
    notes = [f"{how}; load {load:.1f} at the start; this run took {took:.0f} s."]
    tables.show(parts, notes)
    for problem in problems:
        tables.console.print(f"[red]error[/] {problem}")
    if write_ and not problems:
        tables.write("cost", parts, notes)
    raise typer.Exit(bool(problems))


if __name__ == "__main__":
    typer.run(main)
