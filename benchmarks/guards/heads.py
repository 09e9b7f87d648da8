"""The heads of `injection` and `toxicity`, on texts that they have not seen."""

from __future__ import annotations

import asyncio
import re

from tables import Line

from guards.train import attacks, read, toxic
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.embedders.minilm import MiniLM

GOALS = {
    "attacks found where 3% of the look-alikes are taken for one": 0.7,
    "AUROC, five folds": 0.9,
}


async def heads() -> list[Line]:
    """What the training script measures; a goal only where there is one."""
    return await asyncio.to_thread(_measured)


def _measured() -> list[Line]:
    embedder = MiniLM()
    embedder.open(Resources())
    found, _ = attacks(read(embedder, "attack", "prompts", "documents"), embedder)
    abuse, _ = toxic(read(embedder, "toxic", "toxicity"))
    lines = [_line("injection", what, value) for what, value in found]
    return lines + [_line("toxicity", what, value) for what, value in abuse]


def _line(name: str, what: str, value: str) -> Line:
    goal = None if (name, what) == ("injection", "AUROC, five folds") else GOALS.get(what)
    measured = re.match(r"[\d.]+", value)
    met = goal is None or (measured is not None and float(measured[0]) >= goal)
    return Line(f"{name}: {what}", "printed" if goal is None else f"≥ {goal:.2f}", value, met)
