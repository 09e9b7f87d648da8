"""How fast and how right `examples/reviews` is: `python benchmarks/reviews.py [SECONDS]`.

The rate is of the comments of `../shared/data/toxicity` (26 words on average), round after round for SECONDS each:
every text is embedded every time, since it differs from the last time by a space, and the whole graph runs. Three more
classifiers on the same text show what it costs that they read one text. The labels are those of the example's own
reviews, none of which its classifiers were taught.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory

from ragweave import Graph, Result

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "reviews"
COMMENTS = ROOT.parent / "shared" / "data" / "toxicity" / "comments.jsonl"
GOAL = 10_000
"""Texts a minute."""
CHUNK = 512
laps = count()
"""Texts that differ in their last spaces have the same tokens, and what was kept of one is of no use to another."""
FOUR = """
schema: ragweave/v1
name: four
inputs: {review: str}
outputs: [topic, topic_again, mood, mood_again]
nodes:
  topic: {type: classifier, labels_file: topics.yaml, reads: {text: review}, writes: {label: topic}}
  topic_again: {type: classifier, labels_file: topics.yaml, head: nearest, reads: {text: review}, writes: {label: topic_again}}
  mood: {type: classifier, labels_file: moods.yaml, reads: {text: review}, writes: {label: mood}}
  mood_again: {type: classifier, labels_file: moods.yaml, head: nearest, reads: {text: review}, writes: {label: mood_again}}
edges: ["start -> topic, mood", "topic -> topic_again -> end", "mood -> mood_again -> end"]
"""  # noqa: E501 - a node a line


def lines(path: Path) -> list[dict[str, str]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def rate(work: Callable[[Sequence[str]], object], texts: Sequence[str], seconds: float) -> tuple[float, float]:
    """Texts a minute of wall time, and CPU milliseconds a text."""
    source = (text + " " * lap for lap in laps for text in texts)
    work([next(source) for _ in range(CHUNK)])  # what is loaded and trained once is not counted
    done, begin, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begin < seconds:
        work([next(source) for _ in range(CHUNK)])
        done += CHUNK
    return done / (time.perf_counter() - begin) * 60, (time.process_time() - used) / done * 1000


def speed(graph: Graph, texts: Sequence[str], seconds: float) -> None:
    """Print what the graph does in a minute, and its embedder alone."""
    words = sum(len(text.split()) for text in texts) / len(texts)
    print(f"{len(texts)} texts, {words:.0f} words on average, {os.cpu_count()} CPUs, {seconds:g} s each\n")
    print("| what | texts a minute | CPU ms a text |\n| --- | ---: | ---: |")

    def runs(one: Graph, at_once: int) -> Callable[[Sequence[str]], object]:
        return lambda some: one.batch([{"review": text} for text in some], max_concurrency=at_once)

    for at_once in (1, 16, 128):
        found, cpu = rate(runs(graph, at_once), texts, seconds)
        goal = f" (goal {GOAL:,})" if at_once == 128 else ""
        print(f"| the graph, {at_once} runs at once | {found:,.0f}{goal} | {cpu:.2f} |", flush=True)
    with TemporaryDirectory() as folder:
        for name in ("topics.yaml", "moods.yaml"):
            copy(EXAMPLE / name, folder)
        path = Path(folder, "four.yaml")
        path.write_text(FOUR)
        with Graph.load(path) as four:
            found, cpu = rate(runs(four, 128), texts, seconds)
    print(f"| four classifiers by meaning, 128 runs at once | {found:,.0f} | {cpu:.2f} |", flush=True)
    found, cpu = rate(graph.resources.get("embedders", "minilm").embed, texts, seconds)
    print(f"| the embedder alone, {CHUNK} texts at once | {found:,.0f} | {cpu:.2f} |")


def accuracy(graph: Graph) -> dict[str, int]:
    """How many of the example's reviews get their mood, topic and priority; and of the urgent ones, their alert."""
    reviews = lines(EXAMPLE / "reviews.jsonl")
    rows = [{"review": row["review"], "product": row["product"]} for row in reviews]
    results = [one for one in graph.batch(rows) if isinstance(one, Result)]
    pairs = list(zip(results, reviews, strict=True))
    found = {key: sum(one[key] == row[key] for one, row in pairs) for key in ("mood", "topic", "priority")}
    urgent = [one for one, row in pairs if row["priority"] == "urgent"]
    found["urgent"] = len(urgent)
    found["urgent, with an alert"] = sum(bool(one["alert"]) for one in urgent)
    found["alerts in all"] = sum(bool(one["alert"]) for one in results)
    found["reviews"] = len(reviews)
    return found


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with Graph.load(EXAMPLE / "reviews.yaml") as graph:
        print(", ".join(f"{name}: {count}" for name, count in accuracy(graph).items()), end="\n\n")
        if COMMENTS.is_file():
            speed(graph, [row["text"] for row in lines(COMMENTS)], seconds)
        else:
            print(f"no rate: {COMMENTS} is not there")


if __name__ == "__main__":
    main()
