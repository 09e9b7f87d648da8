"""What `compress` costs in right answers: `python benchmarks/compress.py`.

The passages that the cookbook's graph finds for its questions are given to the extractive model whole, cut to a share
of their tokens by `compress`, and, for comparison, cut off at the same number of tokens. A question counts as right as
in `benchmarks/cookbook.py`.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import cookbook  # noqa: E402 -- it lies beside this file
from rich.table import Table  # noqa: E402

from ragweave.orchestrator.graph import Graph  # noqa: E402
from ragweave.orchestrator.models.extractive import Extractive  # noqa: E402
from ragweave.orchestrator.nodes.compress import ABOUT, compress  # noqa: E402
from ragweave.orchestrator.resources import Resources  # noqa: E402
from ragweave.orchestrator.texts.tokens import estimate_tokens  # noqa: E402
from ragweave.orchestrator.values import Document  # noqa: E402

SHARES = (0.75, 0.5, 0.25)


def main(
    set: Annotated[str, typer.Option(help="Which questions: cookbook or more.")] = "cookbook",
    show: Annotated[bool, typer.Option(help="Print the questions that compressing by half gets wrong.")] = False,
) -> None:
    """Print right answers, by the share of the tokens that is kept."""
    for name in ("CHAT_MODEL", "CHAT_BASE_URL", "CHAT_API_KEY"):
        os.environ.pop(name, None)
    cookbook.index()
    rows = [
        row
        for row in cookbook.read(cookbook.EXAMPLE / cookbook.FILES[set])
        if row["type"] in cookbook.EXTRACTIVE_TYPES or not row["answerable"]
    ]
    found = asyncio.run(passages(rows))
    model = Extractive()
    model.open(Resources())
    table = Table("passages", "tokens, median", "right", "wrong only so", title=f"{len(rows)} questions of {set!r}")
    whole = judged(model, rows, found)
    table.add_row("whole", tokens(found), str(sum(whole)), "")
    for share in SHARES:
        budgets = [int(share * size(documents)) for documents in found]
        short = [
            compress(row["question"], documents, budget, estimate_tokens)
            for row, documents, budget in zip(rows, found, budgets, strict=True)
        ]
        ends = [cut_off(documents, budget) for documents, budget in zip(found, budgets, strict=True)]
        for name, cut in ((f"compressed to {share:.0%}", short), (f"cut off at {share:.0%}", ends)):
            right = judged(model, rows, cut)
            lost = [row for row, before, after in zip(rows, whole, right, strict=True) if before and not after]
            table.add_row(name, tokens(cut), str(sum(right)), str(len(lost)))
            if show and cut is short and share == 0.5:
                for row in lost:
                    cookbook.console.print(f"{row['id']}: {row['question']} {row['must_include_any_of']}", markup=False)
    cookbook.console.print(table)


async def passages(rows: Sequence[dict[str, Any]]) -> list[list[Document]]:
    """What the graph gives its generator for each question."""
    async with Graph.load(cookbook.EXAMPLE / "cookbook.yaml") as graph:
        return [
            list(event.data["documents"])
            for row in rows
            async for event in graph.stream(question=row["question"])
            if event.kind == "finished" and event.node == "rerank"
        ]


def judged(model: Extractive, rows: Sequence[dict[str, Any]], found: Sequence[list[Document]]) -> list[bool]:
    """Whether the model is right about each question, given these passages."""
    cases = [
        cookbook.Case(row["question"], documents, row["answerable"], [])
        for row, documents in zip(rows, found, strict=True)
    ]
    return [
        cookbook.Outcome(row, asyncio.run(cookbook.answer_alone(model, case))).right
        for row, case in zip(rows, cases, strict=True)
    ]


def cut_off(documents: Sequence[Document], budget: int) -> list[Document]:
    """The first documents that fit, the last one shortened."""
    kept = []
    for document in documents:
        room = budget - ABOUT - estimate_tokens(document.title)
        if room <= 0:
            break
        words, text = document.text.split(" "), document.text
        while estimate_tokens(text) > room:
            words = words[: max(1, len(words) * room // estimate_tokens(text))] if len(words) > 1 else []
            text = " ".join(words)
        kept.append(document.model_copy(update={"text": text}))
        budget -= size([kept[-1]])
    return kept


def size(documents: Sequence[Document]) -> int:
    """The tokens of documents as `compress` counts them."""
    return sum(ABOUT + estimate_tokens(document.title) + estimate_tokens(document.text) for document in documents)


def tokens(found: Sequence[Sequence[Document]]) -> str:
    """The median of their sizes."""
    return f"{statistics.median(size(documents) for documents in found):.0f}"


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
