"""What models made of other models add to a call: `python benchmarks/models.py`.

The endpoint that answers is a server on loopback that streams one short reply. `first_of` has a dead endpoint before
it, whose breaker has opened; what it adds is its time less that of the same endpoint asked directly, in turns, so that
a busy moment of the machine hits both alike. Medians. Ends with an error if a goal is missed.
"""

from __future__ import annotations

import asyncio
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


def main(calls: Annotated[int, typer.Option(help="How often each model is asked.")] = 300) -> None:
    """Print what each model takes, and what it adds to the endpoint itself."""
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
