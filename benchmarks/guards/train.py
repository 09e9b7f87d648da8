"""Trains the heads of the checks `injection` and `toxicity`, measures them and writes their model card:
`python benchmarks/guards/train.py`, with `--write` also the weights and the card.

A head is a logistic regression over the vectors of MiniLM and the hashes of words and pairs of words, for windows of
whole sentences; a text scores as its highest window. Each figure is of texts that the head has not seen: five folds, in
which texts that begin with the same 60 characters stay together, and, for attacks, each source left out whole.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ragweave.orchestrator.guardrails.heads.head import WORDS, words_of
from ragweave.orchestrator.guardrails.heads.windows import windows
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.embedders.minilm import MiniLM

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HEADS = ROOT / "orchestrator" / "guardrails" / "heads"
CARD = ROOT / "docs" / "guardrail-models.md"
BURIED = ROOT.parent / "shared" / "data" / "indirect_injection" / "tool_outputs.jsonl"
FOLDS, DRAWS = 5, 2_000
HARD = "notinject"
"""The source of harmless texts that are full of words of attacks; each counts as much as four others."""
STRENGTH = {"injection": 10.0, "toxicity": 5.0}
"""The inverse of the regularisation."""
DOCUMENT = "document_"
"""How the sources of harmless documents begin."""
RATES = (0.01, 0.03)
console = Console(width=120)


@dataclass(frozen=True, slots=True)
class Texts:
    """Labelled texts as windows."""

    sources: np.ndarray
    labels: np.ndarray
    """True for what is to be found."""
    folds: np.ndarray
    owner: np.ndarray
    """By window, the text that it is of."""
    features: Any
    weights: np.ndarray
    """By window: a prompt counts as one, however long it is, and each window of a document, since all have to pass."""

    def trained(self, chosen: np.ndarray, strength: float) -> LogisticRegression:
        """A head that has seen the chosen texts."""
        seen = chosen[self.owner]
        head = LogisticRegression(C=strength, max_iter=5_000)
        return head.fit(self.features[seen], self.labels[self.owner][seen], sample_weight=self.weights[seen])

    def scores(self, head: LogisticRegression) -> np.ndarray:
        """By text, its highest window."""
        best = np.full(len(self.labels), -np.inf)
        np.maximum.at(best, self.owner, head.decision_function(self.features))
        return best


def rows(name: str) -> list[dict[str, Any]]:
    """The texts of a file."""
    with gzip.open(HERE / "data" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def divided(embedder: MiniLM, texts: Sequence[str]) -> tuple[np.ndarray, Any]:
    """By window its text's place, and its features."""
    parts = [[one.text for one in windows(text)] or [text] for text in texts]
    flat = [part for of_text in parts for part in of_text]
    counted = [words_of(part) for part in flat]
    at = ([row for row, found in enumerate(counted) for _ in found], [place for found in counted for place in found])
    held = csr_matrix(([value for found in counted for value in found.values()], at), shape=(len(flat), WORDS))
    owner = np.repeat(np.arange(len(texts)), [len(of_text) for of_text in parts])
    return owner, hstack([csr_matrix(embedder.embed(flat)), held]).tocsr()


def read(embedder: MiniLM, positive: str, *names: str) -> Texts:
    """The texts of files, ready to be trained on."""
    given = [row for name in names for row in rows(name)]
    owner, features = divided(embedder, [row["text"] for row in given])
    sources = np.array([row.get("source", "") for row in given])
    begins = [re.sub(r"\W+", " ", row["text"][:60].lower()) for row in given]
    folds = np.array([int(hashlib.md5(begin.encode()).hexdigest(), 16) % FOLDS for begin in begins])
    weights = np.where(sources == HARD, 4.0, 1.0) * 2 / np.bincount(owner)
    weights[np.char.startswith(sources, DOCUMENT)] = 1.0
    return Texts(sources, np.array([row["label"] == positive for row in given]), folds, owner, features, weights[owner])


def out_of_fold(texts: Texts, strength: float) -> np.ndarray:
    """By text, the score of a head that has not seen it."""
    scores = np.zeros(len(texts.labels))
    for fold in range(FOLDS):
        own = texts.folds == fold
        scores[own] = texts.scores(texts.trained(~own, strength))[own]
    return scores


def interval(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """95% of the AUROC, by drawing texts anew."""
    lot = np.random.default_rng(5)
    drawn = [lot.integers(0, len(labels), len(labels)) for _ in range(DRAWS // 10)]
    found = [roc_auc_score(labels[one], scores[one]) for one in drawn]
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


def share(labels: np.ndarray) -> str:
    """A share with its standard error and its number."""
    mean = float(labels.mean())
    return f"{mean:.3f} ± {(mean * (1 - mean) / max(1, len(labels))) ** 0.5:.3f} of {len(labels)}"


def attacks(texts: Texts, embedder: MiniLM) -> tuple[list[tuple[str, str]], dict[str, float]]:
    """The figures of the head of attacks, and its scores' thresholds by rate of false alarms."""
    scores = out_of_fold(texts, STRENGTH["injection"])
    hard, found = texts.sources == HARD, [("AUROC, five folds", f"{roc_auc_score(texts.labels, scores):.3f}")]
    limits = {rate: float(np.quantile(scores[hard], 1 - rate)) for rate in RATES}
    for rate, limit in limits.items():
        caught = share(scores[texts.labels] > limit)
        found.append((f"attacks found where {rate:.0%} of the look-alikes are taken for one", caught))
    limit = limits[0.03]
    for source in sorted(set(texts.sources)):
        own = texts.sources == source
        kind = "found" if texts.labels[own][0] else "false alarms"
        found.append((f"{source}: {kind} at the threshold of 3%", share(scores[own] > limit)))
    for source in sorted(set(texts.sources)):
        own = texts.sources == source
        attack = bool(texts.labels[own][0])
        if attack or source.startswith(DOCUMENT):
            judged = texts.scores(texts.trained(~own, STRENGTH["injection"]))[own] > limit
            kind = "found" if attack else "false alarms"
            found.append((f"{source}: {kind}, of a head that has seen no text of this source", share(judged)))
    found += buried(texts, embedder, limit)
    return found, {f"{rate:g}": limit for rate, limit in limits.items()}


def buried(texts: Texts, embedder: MiniLM, limit: float) -> list[tuple[str, str]]:
    """Instructions planted in tables and code (BIPIA), none of which the head has seen."""
    if not BURIED.is_file():
        return [("instructions in tool results", "not measured: ../shared/data is not there")]
    given = [row for row in map(json.loads, BURIED.read_text(encoding="utf-8").splitlines()) if row["kind"] != "email"]
    head = texts.trained(np.ones(len(texts.labels), dtype=bool), STRENGTH["injection"])
    owner, features = divided(embedder, [row["text"] for row in given])
    best = np.full(len(given), -np.inf)
    np.maximum.at(best, owner, head.decision_function(features))
    planted = np.array([row["label"] == "injected" for row in given])
    return [
        ("instructions planted in tables and code: found", share(best[planted] > limit)),
        ("the same texts without them: false alarms", share(best[~planted] > limit)),
    ]


def toxic(texts: Texts) -> tuple[list[tuple[str, str]], dict[str, float]]:
    """The figures of the head of toxicity."""
    scores = out_of_fold(texts, STRENGTH["toxicity"])
    low, high = interval(texts.labels, scores)
    harmless = scores[~texts.labels]
    limits = {rate: float(np.quantile(harmless, 1 - rate)) for rate in (0.01, 0.03, 0.1)}
    found = [("AUROC, five folds", f"{roc_auc_score(texts.labels, scores):.3f} [{low:.3f}, {high:.3f}]")]
    for rate, limit in limits.items():
        caught = share(scores[texts.labels] > limit)
        found.append((f"toxic comments found where {rate:.0%} of the others are taken for one", caught))
    return found, {f"{rate:g}": limit for rate, limit in limits.items()}


def weights_of(texts: Texts, strength: float, limits: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The head that has seen all texts, as it is shipped: half precision, with the thresholds of its rates."""
    head = texts.trained(np.ones(len(texts.labels), dtype=bool), strength)
    vector, words = head.coef_[0][:-WORDS], head.coef_[0][-WORDS:]
    rates = np.array([[float(rate), 1 / (1 + np.exp(-limit))] for rate, limit in limits.items()])
    return {
        "vector": vector.astype(np.float16),
        "words": words.astype(np.float16),
        "bias": np.float32(head.intercept_[0]),
        "rates": rates.astype(np.float32),
    }


def main() -> None:
    """Train, measure, print, and write what is asked for."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--write", action="store_true", help="write the weights and the model card")
    write = reader.parse_args().write
    embedder = MiniLM()
    embedder.open(Resources())
    prompts, comments = read(embedder, "attack", "prompts", "documents"), read(embedder, "toxic", "toxicity")
    tables = {"injection": attacks(prompts, embedder), "toxicity": toxic(comments)}
    for name, (found, limits) in tables.items():
        console.print(f"[bold]{name}[/]")
        for what, value in found:
            console.print(f"  {what}: {value}", highlight=False)
        if write:
            texts = prompts if name == "injection" else comments
            np.savez_compressed(HEADS / f"{name}.npz", **weights_of(texts, STRENGTH[name], limits))
    if write:
        CARD.write_text(card({name: found for name, (found, _) in tables.items()}), encoding="utf-8")
        console.print(f"wrote {HEADS}/*.npz and {CARD}")


def card(tables: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """The model card."""
    written = (HERE / "card.md").read_text(encoding="utf-8")
    for name, found in tables.items():
        lines = "\n".join(f"| {what} | {value} |" for what, value in found)
        written = written.replace(f"<!-- {name} -->", f"| measured | |\n|---|---|\n{lines}")
    return written


if __name__ == "__main__":
    sys.exit(main())
