"""100,000 passages, one thread: `python benchmarks/retrieval/scale.py`.

ragweave's default index beside bare FAISS, Chroma, tantivy and bm25s. Vectors are those of real passages, moved a
little in a random direction, texts are sentences of real passages put together anew; questions are real. Every index
is built once and kept in `build/retrieval`, by the version of its engine (ragweave's by its code), and served by a
process of its own, engine after engine in an order that rotates from round to round; shown are medians.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import sets
import tables
import typer
import vectors
from scaling import ENGINES, TOP

SIZE = 100_000
#: Length of the random step from a real vector, of length 1 as well; the cosine to it is about 0.9.
STEP = 0.5
SENTENCES = 4
#: Words of a sentence that is taken: no text is so long that ragweave gives it two vectors.
SHORT, LONG = 5, 30
HERE = Path(__file__).parent
PACKAGES = {"faiss": "faiss-cpu", "chroma": "chromadb", "tantivy": "tantivy", "bm25s": "bm25s"}
MEANING = """
Memory is what the process has more than before the index was opened, the engine's code included; `first query` is
opening and one search. Indexes were built by this run or an earlier one. ragweave's one index on disk holds
vectors, words and texts; its first two rows ask what finds by vectors and what finds by words, the last the retriever.
""".strip().replace("\n", " ")
GOALS = {"ragweave": "≤ 0.6, recall ≥ .99", "ragweave_words": "≤ 1.2"}


def corpus(size: int) -> Path:
    """The folder of passages and questions, made from the data sets unless it is there."""
    data = [sets.read(name) for name in sets.HOPS]
    said = f"{size} {STEP} {SENTENCES} {SHORT} {LONG} {[one.digest for one in data]}"
    folder = sets.BUILD / "scale" / hashlib.sha256(said.encode()).hexdigest()[:12]
    if (folder / "exact.npy").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    made = [np.load(vectors.make(one)) for one in data]
    real = np.concatenate([one["vectors"] for one in made])
    asked = np.concatenate([one["query_vectors"] for one in made])
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((size, real.shape[1]), dtype=np.float32)
    steps *= STEP / np.linalg.norm(steps, axis=1, keepdims=True)
    matrix = real[rng.integers(0, len(real), size)] + steps
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    np.save(folder / "vectors.npy", matrix)
    np.save(folder / "question_vectors.npy", asked)
    sentences = [
        sentence.strip()
        for one in data
        for passage in one.passages
        for sentence in re.split(r"(?<=[.!?])\s+", passage.text)
        if SHORT <= len(sentence.split()) <= LONG
    ]
    chance = random.Random(0)
    texts = [" ".join(chance.choices(sentences, k=SENTENCES)) for _ in range(size)]
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    questions = [question.text for one in data for question in one.questions]
    (folder / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
    exact = [np.argsort(-(matrix @ vector), kind="stable")[:TOP] for vector in asked]
    np.save(folder / "exact.npy", np.array(exact))
    return folder


@cache
def code() -> str:
    """Of ragweave: what its index is built by, as it was when this run began."""
    sources = sorted((sets.ROOT / "retrievers").rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def home(name: str, data: Path) -> Path:
    """Where an engine's index is kept."""
    if name.startswith("ragweave"):
        return data / f"ragweave-{code()}"
    package = PACKAGES[name.partition("_")[0]]
    return data / f"{name}-{version(package)}"


def run(task: str, name: str, data: Path) -> dict[str, Any]:
    """What a process of its own found. Raises RuntimeError."""
    command = [sys.executable, str(HERE / "scaling.py"), task, name, str(data), str(home(name, data))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip()[-500:]}")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def built(name: str, data: Path) -> float:
    """CPU seconds that building took, now or when it was built."""
    folder = home(name, data)
    note = folder.with_name(f"{folder.name}.json")
    if not note.is_file():
        for old in data.glob("ragweave-*") if name.startswith("ragweave") else ():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        note.write_text(json.dumps(run("build", name, data)), encoding="utf-8")
    return float(json.loads(note.read_text(encoding="utf-8"))["build_cpu_s"])


def row(name: str, data: Path, built_s: float, rounds: list[dict[str, float]]) -> list[str]:
    """The cells of an engine."""
    disk = sum(path.stat().st_size for path in home(name, data).rglob("*") if path.is_file()) / 1e6
    median = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    return [
        ENGINES[name].kind,
        ENGINES[name].title,
        GOALS.get(name, ""),
        f"{median['p50_ms']:.2f}",
        f"{median['p99_ms']:.2f}",
        f"{median['cpu_ms']:.2f}",
        f"{median['recall']:.3f}" if "recall" in median else "",
        f"{built_s:.1f}",
        f"{disk:.0f}",
        f"{median['rss_mb']:.0f}",
        f"{median['first_s']:.2f}",
    ]


def main(
    engine: Annotated[list[str] | None, typer.Option(help="Only this engine; may be repeated.")] = None,
    size: Annotated[int, typer.Option(min=1000, help="Passages.")] = SIZE,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the table shows medians over them.")] = 2,
    write: Annotated[bool, typer.Option(help="Write the table into docs/benchmarks.md.")] = False,
) -> None:
    """Build what is not there, ask all, print the table."""
    began = time.perf_counter()
    if absent := sets.missing(sets.HOPS):
        print(f"not measured: {sets.SHARED} does not have {', '.join(absent)}")
        return
    load = os.getloadavg()[0]
    data = corpus(size)
    names = engine or list(ENGINES)
    took: dict[str, float] = {}
    problems: list[str] = []
    for name in names:
        try:
            took[name] = built(name, data)
        except RuntimeError as error:
            problems.append(str(error))
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in took}
    for turn in range(rounds):
        order = list(taken)
        shift = turn % max(1, len(order))
        for name in order[shift:] + order[:shift]:
            try:
                taken[name].append(run("serve", name, data))
            except RuntimeError as error:
                problems.append(str(error))
    heads = [
        "",
        "",
        "goal",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "recall@10",
        "build CPU s",
        "disk MB",
        "memory MB",
        "first query s",
    ]
    lines = [row(name, data, took[name], found) for name, found in taken.items() if found]
    parts = [tables.Table(f"{size:,} passages, one thread", heads, lines)]
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES.values())
    how = f"Medians of {rounds} interleaved rounds; {packages}; load {load:.1f} at the start"
    notes = [f"{how}; this run took {time.perf_counter() - began:.0f} s.", MEANING]
    tables.show(parts, notes)
    for problem in problems:
        tables.console.print(f"[red]error[/] {problem}")
    if write and not problems:
        tables.write("scale", parts, notes)
    raise typer.Exit(bool(problems))


if __name__ == "__main__":
    typer.run(main)
