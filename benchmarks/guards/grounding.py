"""Groundedness: answers against versions of them with a number, a name or a negation that their sources do not have."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from sklearn.metrics import roc_auc_score
from tables import ROOT, Line, data

from ragweave.orchestrator.guardrails.check import Subject
from ragweave.orchestrator.values import Document
from ragweave.prompts.grounded import Grounded

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][a-z]+(?:\s[A-Z][a-z]+)*")
_VERB = re.compile(r"\b(?:is|was|are|were|can|has|had|did|does|will|would)\b")
_STEP = re.compile(r"(?<=[.!?])\s+")
Told = tuple[str, Sequence[Document]]


async def grounded() -> list[Line]:
    """AUROC of how sure the rules are, of a text that was changed against the same text as it was."""
    told = [*_questions(data("clapnq")), *_recipes(ROOT / "examples" / "cookbook" / "recipes")]
    names = [match[0] for text, _ in told for match in _NAME.finditer(text)]
    lot = random.Random(3)
    changes: dict[str, tuple[Callable[[str], str | None], str]] = {
        "a number": (lambda text: _other_number(text, lot), "≥ .95"),
        "a name": (lambda text: _other_name(text, names, lot), "≥ .95"),
        "a negation": (lambda text: _negated(text, lot), "printed"),
    }
    before = [await _risk(*one) for one in told]
    lines = [
        Line(
            "groundedness: answers as they were that are taken for unfounded",
            "printed",
            f"{sum(risk >= 0.3 for risk in before) / len(told):.3f} of {len(told)}",
        )
    ]
    for what, (change, goal) in changes.items():
        changed = [
            (risk, await _risk(other, sources))
            for (text, sources), risk in zip(told, before, strict=True)
            if (other := change(text))
        ]
        scores = [old for old, _ in changed] + [new for _, new in changed]
        area = float(roc_auc_score([0] * len(changed) + [1] * len(changed), scores))
        met = goal == "printed" or area >= 0.95
        lines.append(Line(f"groundedness: {what} is another, AUROC", goal, f"{area:.3f} of {len(changed)} pairs", met))
    return lines


async def _risk(text: str, sources: Sequence[Document]) -> float:
    found = await Grounded(threshold=0.0).find(text, Subject(documents=sources))
    return max((one.score for one in found), default=0.0)


def _questions(folder: Path) -> list[Told]:
    """Answers that people wrote, each with the passage that they wrote it from."""
    passages = {}
    for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        passages[row["id"]] = Document(id=row["id"], title=row["title"], text=row["text"])
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(row["answers"][0], [passages[name] for name in row["gold_ids"]]) for row in rows if row["answerable"]]


def _recipes(folder: Path) -> list[Told]:
    """Two sentences of each recipe of the cookbook, as an answer that quotes it."""
    told: list[Told] = []
    for path in sorted(folder.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        plain = [line for line in text.splitlines() if len(line) > 60 and line[0].isalpha()]
        if plain:
            told.append((" ".join(_STEP.split(plain[-1])[:2]), [Document(id=path.stem, title=path.stem, text=text)]))
    return told


def _other_number(text: str, lot: random.Random) -> str | None:
    found = list(_NUMBER.finditer(text))
    if not found:
        return None
    match = lot.choice(found)
    at = lot.choice([place for place in range(match.start(), match.end()) if text[place].isdigit()])
    return f"{text[:at]}{(int(text[at]) + lot.randint(1, 9)) % 10}{text[at + 1 :]}"


def _other_name(text: str, names: Sequence[str], lot: random.Random) -> str | None:
    found = list(_NAME.finditer(text))
    others = [name for name in names if name not in text]
    if not found or not others:
        return None
    match = lot.choice(found)
    return f"{text[: match.start()]}{lot.choice(others)}{text[match.end() :]}"


def _negated(text: str, lot: random.Random) -> str | None:
    found = list(_VERB.finditer(text))
    if not found:
        return None
    at = lot.choice(found).end()
    return f"{text[:at]} not{text[at:]}"
