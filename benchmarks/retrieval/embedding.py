"""Embedding beside sentence-transformers: `python benchmarks/retrieval/embedding.py [ROUNDS [TABLE …]]`.

Passages of ../shared/data/hotpotqa, or of the documentation where that is missing, in turn. What is reported is CPU
time, medians over the rounds, since neighbours take wall time and not work: passages with the threads that each takes
unasked, a question with one; sentence-transformers is shown with one thread for passages, too, where its threads do not
wait for each other. Every text is embedded every time: it differs from the last time by a space. The export of the
model is made before, once, in the user's cache. Tables are speed, starts and together.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from ragweave.orchestrator.contracts import Embedder
from ragweave.retrievers.embedders.minilm import MiniLM, available, model_folder
from ragweave.retrievers.embedders.sentence_transformers import SentenceTransformers

ROOT = Path(__file__).resolve().parents[2]
PASSAGES = ROOT.parent / "shared" / "data" / "hotpotqa" / "corpus.jsonl"
COUNT, WORDS, QUESTIONS = 96, (90, 160), 256
QUESTION = "Which of the two magazines was started first, and by whom was it edited?"
console = Console(width=150)
laps = count(1)
Embed = Callable[[Sequence[str]], np.ndarray]

FRESH = """
import sys, time
begin = time.perf_counter()
{}
wall = time.perf_counter() - begin
high = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(wall, time.process_time(), int(high.split()[1]) / 1024)
"""
STARTS = {
    "minilm": "from ragweave.retrievers.embedders.minilm import MiniLM\nMiniLM().load().embed_queries([sys.argv[1]])",
    "sentence_transformers, exported": (
        "from ragweave.retrievers.embedders.sentence_transformers import SentenceTransformers\n"
        "SentenceTransformers(model=sys.argv[2]).load().embed_queries([sys.argv[1]])"
    ),
    "sentence-transformers itself": (
        "from sentence_transformers import SentenceTransformer\n"
        "SentenceTransformer(sys.argv[2], device='cpu').encode([sys.argv[1]])"
    ),
}


def passages() -> list[str]:
    """Texts of about 170 tokens."""
    if PASSAGES.is_file():
        rows = [json.loads(line) for line in PASSAGES.read_text("utf-8").splitlines()]
        found = [f"{row['title']}. {row['text']}" for row in rows]
    else:
        found = [
            part for page in sorted((ROOT / "docs").rglob("*.md")) for part in page.read_text("utf-8").split("\n\n")
        ]
    found = [" ".join(text.split()[: WORDS[1]]) for text in found]
    return [text for text in found if len(text.split()) >= WORDS[0]][:COUNT]


def cpu(embed: Embed, texts: Sequence[str]) -> float:
    """CPU seconds of texts that were never seen before."""
    lap = " " * next(laps)
    begin = time.process_time()
    embed([text + lap for text in texts])
    return time.process_time() - begin


def in_turn(engines: dict[str, Embed], texts: Sequence[str], rounds: int, times: int = 1) -> dict[str, float]:
    """The median CPU seconds of each engine, which take turns."""
    took: dict[str, list[float]] = {name: [] for name in engines}
    for embed in engines.values():
        cpu(embed, texts)
    for _ in range(rounds):
        for name, embed in engines.items():
            took[name] += [cpu(embed, texts) for _ in range(times)]
    return {name: statistics.median(seconds) for name, seconds in took.items()}


def peer() -> tuple[Embed, Embed]:
    """The model by sentence-transformers in float32, with its own batches of 32: with its threads, and with one."""
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(model_folder()), device="cpu")
    model.max_seq_length = 256
    usual = torch.get_num_threads()

    def by(threads: int) -> Embed:
        def embed(texts: Sequence[str]) -> np.ndarray:
            torch.set_num_threads(threads)
            return np.asarray(model.encode(list(texts), batch_size=32, normalize_embeddings=True))

        return embed

    return by(usual), by(1)


def agreement(vectors: np.ndarray, reference: np.ndarray) -> str:
    """The mean and the least cosine, and the share of each text's 10 nearest that stay."""
    cosines = (vectors * reference).sum(1)
    near = []
    for rows in (vectors, reference):
        scores = rows @ rows.T
        np.fill_diagonal(scores, -2)
        near.append([set(row[:10]) for row in np.argsort(-scores, axis=1).tolist()])
    kept = statistics.mean(len(one & other) / 10 for one, other in zip(*near, strict=True))
    return f"{cosines.mean():.5f}, least {cosines.min():.5f}, top 10 {kept:.0%}"


def speed(rounds: int) -> None:
    """Passages per CPU-second, and one question."""
    texts = passages()
    ours: dict[str, Embedder] = {
        "minilm": MiniLM(),
        "minilm, fp32": MiniLM(precision="fp32"),
        "minilm, int8": MiniLM(precision="int8"),
        "sentence_transformers, exported": SentenceTransformers(model=str(model_folder())),
    }
    original, alone = peer()
    engines: dict[str, Embed] = {
        "sentence-transformers": original,
        "sentence-transformers, one thread": alone,
        **{name: one.embed for name, one in ours.items()},
    }
    bulk = in_turn(engines, texts, rounds)
    one = in_turn(engines | {"sentence-transformers": alone}, [QUESTION], rounds, times=20)
    reference = original(texts)
    goals = {
        "minilm": "≥ 3.8",
        "minilm, fp32": "≥ 2.2",
        "minilm, int8": "≥ 5",
        "sentence_transformers, exported": "≥ 3.8",
    }
    table = Table(
        "", "passages per CPU-s", "× ST", "× ST, one thread", "goal", "question, CPU ms", "goal", "cosine to ST"
    )
    for name, embed in engines.items():
        times, single = (bulk[st] / bulk[name] for st in ("sentence-transformers", "sentence-transformers, one thread"))
        goal = "≤ 5" if "fp32" not in name and name in ours else ""
        cells = [f"{len(texts) / bulk[name]:.1f}", f"{times:.2f}", f"{single:.2f}", goals.get(name, "")]
        cells += [f"{one[name] * 1000:.2f}", goal, agreement(embed(texts), reference)]
        table.add_row(name, *cells)
    console.print(table)


def starts(rounds: int) -> None:
    """The first question in a new process; memory as Linux tells it."""
    took: dict[str, list[list[float]]] = {name: [] for name in STARTS}
    for number in range(rounds + 1):
        for name, code in STARTS.items():
            command = [sys.executable, "-c", FRESH.format(code), QUESTION, str(model_folder())]
            done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
            if number:
                took[name].append([float(one) for one in done.stdout.split()[-3:]])
    table = Table("first question in a new process", "wall s, median", "least", "goal, idle", "CPU s", "MB", "goal")
    for name, rows in took.items():
        wall, used, memory = (statistics.median(one) for one in zip(*rows, strict=True))
        goal = ("≤ 1", "≤ 300") if "itself" not in name else ("", "")
        least = min(row[0] for row in rows)
        table.add_row(name, f"{wall:.2f}", f"{least:.2f}", goal[0], f"{used:.2f}", f"{memory:.0f}", goal[1])
    console.print(table)


def together(rounds: int) -> None:
    """Questions from many threads at once, and one after the other, and without the batcher."""
    model = MiniLM().load()
    compute = model._served.shared._compute
    questions = [
        f"Who edited the magazine number {number} that was started in {1800 + number}?" for number in range(QUESTIONS)
    ]

    def at_once(texts: Sequence[str]) -> float:
        """Wall time from when all threads are there, as those of a server are, until the last has its vector."""
        ready = threading.Barrier(len(texts) + 1)

        def ask(text: str) -> None:
            ready.wait()
            model.embed_queries([text])

        threads = [threading.Thread(target=ask, args=(text,)) for text in texts]
        for thread in threads:
            thread.start()
        ready.wait()
        begin = time.perf_counter()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begin

    def in_a_row(texts: Sequence[str]) -> float:
        begin = time.perf_counter()
        for text in texts:
            model.embed_queries([text])
        return time.perf_counter() - begin

    def without(texts: Sequence[str]) -> float:
        begin = time.perf_counter()
        for text in texts:
            compute([text])
        return time.perf_counter() - begin

    took: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds + 1):
        for name, work in (("at once", at_once), ("one at a time", in_a_row), ("one at a time, no batcher", without)):
            texts = [text + " " * next(laps) for text in questions]
            begin = time.process_time()
            wall = work(texts)
            took.setdefault(name, []).append((wall, time.process_time() - begin))
    medians = {name: [statistics.median(one) for one in zip(*pairs[1:], strict=True)] for name, pairs in took.items()}
    table = Table(
        f"{QUESTIONS} questions", "wall: questions a second", "CPU ms a question", "× one at a time (wall)", "goal"
    )
    for name, (wall, used) in medians.items():
        goal = {"at once": "≥ 4", "one at a time, no batcher": "no faster"}.get(name, "")
        times = medians["one at a time"][0] / wall
        table.add_row(name, f"{QUESTIONS / wall:.0f}", f"{used / QUESTIONS * 1000:.2f}", f"{times:.2f}", goal)
    console.print(table)


def main() -> None:
    """Print the three tables."""
    missing = available() or next(
        (name for name in ("torch", "sentence_transformers") if find_spec(name) is None), None
    )
    if missing:
        console.print(f"skipped: needs the extra 'local' ({missing} is missing)")
        return
    rounds = int(sys.argv[1]) if sys.argv[1:] else 5
    for table in (speed, starts, together):
        if not sys.argv[2:] or table.__name__ in sys.argv[2:]:
            table(rounds)


if __name__ == "__main__":
    main()
