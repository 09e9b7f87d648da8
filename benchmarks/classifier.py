"""How good classifiers are, offline: `python benchmarks/classifier.py`.

Each set's examples teach, its queries are asked, and nothing is tuned on them. The sets are read from `../shared/data`
beside the repository and are not part of it; one that is not there is left out.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ragweave.orchestrator.classifying.examples import of_file, of_names
from ragweave.orchestrator.classifying.trained import Trained, trained
from ragweave.retrievers.minilm import MiniLM

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = ("banking77", "clinc150")
OUT_OF_SCOPE = "oos"
WAYS = ("linear", "nearest", "names only", "words, linear")
GOALS = {("banking77", "linear"): 0.90, ("clinc150", "linear"): 0.90}
console = Console(width=140)


class Remembered:
    """MiniLM that embeds each text once, so that training and deciding are timed apart from embedding."""

    def __init__(self, texts: list[str]) -> None:
        model = MiniLM()
        begin = time.perf_counter()
        vectors = model.embed(texts)
        self.seconds = time.perf_counter() - begin
        self.identity = model.identity
        self._vectors = dict(zip(texts, vectors, strict=True))
        self._model = model

    def embed(self, texts: list[str]) -> Any:
        """Rows of length 1."""
        import numpy as np

        missing = [text for text in texts if text not in self._vectors]
        if missing:
            self._vectors.update(zip(missing, self._model.embed(missing), strict=True))
        return np.stack([self._vectors[text] for text in texts])


def main() -> None:
    """Print one row for each set and way, and which goals are missed."""
    table = Table(title="Classifiers: trained on the examples, asked the queries")
    for column in (
        "set", "way", "accuracy", "goal", "expected", "with threshold auto", "out of scope found", "training, CPU s",
        "ms a text beyond embedding",
    ):  # fmt: skip
        table.add_column(column, justify="left" if column in ("set", "way") else "right")
    missed = []
    for name in SETS:
        folder = SHARED / f"intents_{name}"
        if not folder.is_dir():
            console.print(f"{name}: left out, {folder} is not there")
            continue
        examples = of_file(folder / "examples.jsonl", "examples.jsonl")
        queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text("utf-8").splitlines()]
        source = Remembered([*examples.texts, *(row["text"] for row in queries)])
        for way in WAYS:
            taught = of_names(examples.labels) if way == "names only" else examples
            begin = time.process_time()
            one = trained(
                taught,
                None if way.startswith("words") else source,
                "nearest" if way == "nearest" else "linear",
                None,
                names_only=way == "names only",
            )
            seconds = time.process_time() - begin
            accuracy = row_of(table, name, way, one, queries, seconds)
            goal = GOALS.get((name, way))
            if goal is not None and accuracy < goal:
                missed.append(f"{name}, {way}: {accuracy:.4f} of {goal:.2f}")
    console.print(table)
    for line in missed:
        console.print(f"missed: {line}")


def row_of(table: Table, name: str, way: str, one: Trained, queries: list[dict[str, str]], seconds: float) -> float:
    """Add a row; the share of queries in scope that get their label when none is refused."""
    decided = one.decide([row["text"] for row in queries])
    pairs = list(zip(decided, queries, strict=True))
    inside = [(decision, row) for decision, row in pairs if row["intent"] != OUT_OF_SCOPE]
    outside = [decision for decision, row in pairs if row["intent"] == OUT_OF_SCOPE]
    threshold = one.calibration.threshold
    right = sum(decision.label == row["intent"] for decision, row in inside) / len(inside)
    kept = sum(decision.label == row["intent"] and decision.confidence >= threshold for decision, row in inside)
    found = sum(decision.confidence < threshold for decision in outside) / len(outside) if outside else None
    goal = GOALS.get((name, way))
    table.add_row(
        name,
        way,
        f"{right:.4f}",
        f"≥ {goal:.2f}" if goal is not None else "",
        f"{one.calibration.accuracy:.4f}" if one.calibration.accuracy >= 0 else "",
        f"{kept / len(inside):.4f}" if threshold else "",
        f"{found:.2f}" if found is not None and threshold else "",
        f"{seconds:.1f}",
        f"{beyond_embedding(one, [row['text'] for row in queries[:300]]):.2f}",
    )
    return right


def beyond_embedding(one: Trained, texts: list[str]) -> float:
    """The median milliseconds of deciding one text whose vector is known."""
    vectors = one.source.embed(texts)
    one.decide_vectors(vectors[:1])
    taken = []
    for row in range(len(texts)):
        begin = time.perf_counter()
        one.decide_vectors(vectors[row : row + 1])
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1000


if __name__ == "__main__":
    main()
