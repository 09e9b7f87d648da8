"""What models made of other models add to a call: `python benchmarks/models.py`.

The endpoint that answers is a server on loopback that streams one short reply. `first_of` has a dead endpoint before
it, whose breaker has opened; what it adds is its time less that of the same endpoint asked directly, in turns, so that
a busy moment of the machine hits both alike. Medians. Ends with an error if a goal is missed.

`--semantic` counts how often `cached` with `match: semantic` takes one question for another, on 1,500 real ones of 77
intents (banking77): a hit is wrong if the two have different intents. That set is read from `../shared/data` beside the
repository and is not part of it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ragweave.orchestrator.contracts import ChatModel, ChatRequest
from ragweave.orchestrator.models.composed.first_of import FirstOf
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Message
from tests.support.openai_server import OpenAIServer, Reply

GOAL_MS = 1.0
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
QUESTION = "Where is the tea?"
console = Console(width=100)


def resources_at(server: OpenAIServer) -> Resources:
    """A live endpoint, a dead one, and the models made of them."""
    live = {"model": "test-model", "base_url": server.url, "api_key": server.key}
    dead = {"model": "gone", "base_url": "http://127.0.0.1:9/v1", "max_retries": 0}
    declared: dict[str, tuple[str, dict[str, Any]]] = {
        "live": ("openai", live),
        "dead": ("openai", dead),
        "first_of": ("first_of", {"models": ["dead", "live"], "open_after": 3, "retry_after": "1h"}),
        "weighted": ("weighted", {"models": {"dead": 1, "live": 1}, "open_after": 3, "retry_after": "1h"}),
        "cached": ("cached", {"model": "live"}),
    }
    return Resources([ResourceSpec("models", name, kind, entry) for name, (kind, entry) in declared.items()])


async def seconds_of(model: ChatModel) -> tuple[float, float]:
    """Of one call: to its first words, and to its end."""
    request = ChatRequest([Message.of("user", QUESTION)], question=QUESTION)
    started, first = time.perf_counter(), 0.0
    async for chunk in model.stream(request):
        if chunk.text and not first:
            first = time.perf_counter() - started
    return first, time.perf_counter() - started


async def measure(calls: int) -> dict[str, tuple[float, float]]:
    """The medians in ms of each model: to the first words, and to the end."""
    with OpenAIServer([Reply("It is on the left.")]) as server:
        resources = resources_at(server)
        models = {name: resources.get("models", name) for name in ("live", "first_of", "weighted", "cached")}
        for name, model in models.items():
            for _ in range(30):  # opens the breaker and the connections, fills the cache
                await seconds_of(model)
            if isinstance(model, FirstOf):
                assert model.members[0].breaker.state == "open", name
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
        for number in range(calls):
            shift = number % len(models)
            for name in [*list(models)[shift:], *list(models)[:shift]]:
                times[name].append(await seconds_of(models[name]))
        await resources.close()
    return {
        name: (1e3 * statistics.median(first for first, _ in rows), 1e3 * statistics.median(whole for _, whole in rows))
        for name, rows in times.items()
    }


def semantic_hits(count: int = 1500) -> None:
    """Print, by threshold, how many questions are taken for an earlier one, and how many of them wrongly."""
    import numpy as np

    from ragweave.orchestrator.models.composed.asked import may_mean_the_same
    from ragweave.retrievers.embedders.minilm import MiniLM

    lines = (SHARED / "intents_banking77" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    order = np.random.default_rng(0).permutation(len(lines))[:count]
    rows = [json.loads(lines[at]) for at in order]
    vectors = MiniLM().embed([row["text"] for row in rows])
    cosines = vectors @ vectors.T
    table = Table(title=f"match: semantic, {count:,} questions one after the other")
    for heading in ("threshold", "hits", "wrong"):
        table.add_column(heading, justify="right")
    nearest = []
    for at in range(1, count):
        allowed = [other for other in range(at) if may_mean_the_same(rows[at]["text"], rows[other]["text"])]
        if allowed:
            best = max(allowed, key=lambda other: cosines[at, other])
            nearest.append((float(cosines[at, best]), rows[at]["intent"] != rows[best]["intent"]))
    for threshold in (0.8, 0.85, 0.9, 0.95, 0.97):
        wrong = [is_wrong for cosine, is_wrong in nearest if cosine >= threshold]
        table.add_row(f"{threshold:.2f}", str(len(wrong)), f"{sum(wrong)} ({sum(wrong) / max(1, len(wrong)):.1%})")
    console.print(table)


def main(
    calls: Annotated[int, typer.Option(help="How often each model is asked.")] = 300,
    semantic: Annotated[bool, typer.Option("--semantic", help="Count wrong hits by meaning instead.")] = False,
) -> None:
    """Print what each model takes, and what it adds to the endpoint itself."""
    if semantic:
        semantic_hits()
        return
    medians = asyncio.run(measure(calls))
    direct = medians["live"]
    table = Table(title=f"{calls} calls each, one after the other, on loopback")
    for heading in ("model", "first words, ms", "whole reply, ms", "added to first words, ms"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    names = {
        "live": "the endpoint itself",
        "first_of": "first_of: a dead endpoint, then it",
        "weighted": "weighted: the same two",
        "cached": "cached: a kept reply",
    }
    for name, (first, whole) in medians.items():
        table.add_row(
            names[name], f"{first:.2f}", f"{whole:.2f}", "" if name == "live" else f"{first - direct[0]:+.3f}"
        )
    console.print(table)
    extra = medians["first_of"][0] - direct[0]
    met = extra <= GOAL_MS
    console.print(f"first_of adds {extra:.3f} ms; goal: at most {GOAL_MS:g} ms: {'met' if met else 'MISSED'}")
    if not met:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
