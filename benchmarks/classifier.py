"""How good classifiers are, offline: `python benchmarks/classifier.py`.

Each set's examples teach, its queries are asked, and nothing is tuned on them. The sets are read from `../shared/data`
beside the repository and are not part of it; one that is not there is left out.

`python benchmarks/classifier.py words` asks no query: it prints what examples left out say of counting words beside
MiniLM's vectors.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ragweave.orchestrator.classifying.examples import of_file, of_names
from ragweave.orchestrator.classifying.heads import Linear, surprise
from ragweave.orchestrator.classifying.trained import Trained, trained
from ragweave.orchestrator.classifying.words import Words
from ragweave.retrievers.embedders.minilm import MiniLM

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = ("banking77", "clinc150")
OUT_OF_SCOPE = "oos"
WAYS = ("linear", "nearest", "names only", "words, linear")
EACH = {"banking77": (5, 10, 20), "clinc150": (4, 8, 13)}
"""Examples of each label that are taught to compare with and without words."""
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
    one.decide_vectors(vectors[:1], texts[:1])
    taken = []
    for row in range(len(texts)):
        begin = time.perf_counter()
        one.decide_vectors(vectors[row : row + 1], texts[row : row + 1])
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1000


def with_and_without_words() -> None:
    """Print, for some examples of each label, what heads say of examples left out when words count and when not."""
    import numpy as np

    table = Table(title="Examples left out: accuracy and mean surprise (nats)")
    for column in ("set", "examples of each label", "accuracy", "with words", "surprise", "with words"):
        table.add_column(column, justify="left" if column == "set" else "right")
    for name in SETS:
        folder = SHARED / f"intents_{name}"
        if not folder.is_dir():
            console.print(f"{name}: left out, {folder} is not there")
            continue
        examples = of_file(folder / "examples.jsonl", "examples.jsonl")
        number = {label: place for place, label in enumerate(examples.labels)}
        all_labels = np.array([number[example.label] for example in examples.examples])
        for each in EACH[name]:
            rows = np.sort(np.concatenate([np.flatnonzero(all_labels == label)[:each] for label in number.values()]))
            texts, labels = [examples.texts[row] for row in rows], all_labels[rows]
            vectors = MiniLM().embed(texts)
            told = []
            for words in (None, Words.of(texts).embed(texts)):
                scores = Linear.train(vectors, labels, len(number), words)[1].without_example
                told.append(((scores.argmax(1) == labels).mean(), surprise(scores, labels)))
            (right, loss), (right_with, loss_with) = told
            table.add_row(name, str(each), f"{right:.4f}", f"{right_with:.4f}", f"{loss:.3f}", f"{loss_with:.3f}")
    console.print(table)


if __name__ == "__main__":
    with_and_without_words() if sys.argv[1:] == ["words"] else main()
