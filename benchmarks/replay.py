"""Recorded runs once more, from their journals: `python benchmarks/replay.py [RUNS]`.

Runs of graphs of several kinds (a loop, a fan-out, a map, a graph in a graph, calls that fail, a retriever and a
model, a person who is asked) are kept in files as graphs that are loaded from one keep them. A fresh
process then replays each of them: what it gives is held against what the run gave, and every call of a node, a model or
a retriever would be counted.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypedDict

from ragweave import Ask, Context, Document, Graph, node
from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest, Retriever
from ragweave.orchestrator.result import plain

RUNS = 1000
HEAD = "schema: ragweave/v1\n"
STEP = "inputs: {n: int}\noutputs: [n]\n"
GRAPHS = {
    "loop": f"""{HEAD}{STEP}nodes: {{up: {{type: replay_up}}}}
edges:
  - start -> up
  - {{from: up, routes: [{{when: n % 7 != 0, to: up, max_iterations: 10}}, {{to: end}}]}}
""",
    "fanout": f"""{HEAD}inputs: {{n: int}}
outputs: [total]
state: {{parts: {{merge: sum}}}}
nodes: {{a: {{type: replay_part}}, b: {{type: replay_part}}, c: {{type: replay_part}}, join: {{type: replay_join}}}}
edges: [start -> a -> join, start -> b -> join, start -> c -> join, join -> end]
""",
    "map": f"""{HEAD}inputs: {{n: int}}
outputs: [squares]
nodes:
  spread: {{type: replay_spread}}
  square: {{type: replay_square, map: {{over: numbers, as: number, max_concurrency: 3}}}}
edges: [start -> spread -> square -> end]
""",
    "nested": f"""{HEAD}{STEP}nodes: {{before: {{type: replay_up}}, inside: {{type: graph, path: loop.yaml}}}}
edges: [start -> before -> inside -> end]
""",
    "failing": f"""{HEAD}{STEP}nodes:
  shaky: {{type: replay_shaky, on_error: sorry}}
  sorry: {{type: replay_up}}
  up: {{type: replay_up}}
edges: [start -> shaky -> up -> end, sorry -> end]
""",
    "answer": f"""{HEAD}inputs: {{question: str}}
outputs: [answer]
models: {{chat: {{type: replay_model}}}}
retrievers: {{passages: {{type: replay_passages}}}}
prompts: {{short: {{text: "{{{{ question }}}}", variables: {{question: str}}}}}}
nodes:
  find: {{type: retriever, retriever: passages, top_k: 5}}
  answer: {{type: generator, model: chat, prompt: short}}
edges: [start -> find -> answer -> end]
""",
    "asked": f"""{HEAD}{STEP}nodes: {{ask: {{type: replay_ask}}, up: {{type: replay_up}}}}
edges: [start -> ask -> up -> end]
""",
}
calls = 0


class N(TypedDict):
    """A number."""

    n: int


class Parts(TypedDict):
    """What a branch adds."""

    parts: int


class Total(TypedDict):
    """What the branches give."""

    total: int


class Numbers(TypedDict):
    """Items of a map."""

    numbers: list[int]


class Squares(TypedDict):
    """What an item gives."""

    squares: int


def _called() -> None:
    global calls
    calls += 1


@node(name="replay_up")
async def _up(n: int) -> N:
    _called()
    return {"n": n + 1}


@node(name="replay_part")
async def _part(n: int) -> Parts:
    _called()
    return {"parts": n}


@node(name="replay_join")
async def _join(parts: int) -> Total:
    _called()
    return {"total": parts}


@node(name="replay_spread")
async def _spread(n: int) -> Numbers:
    _called()
    return {"numbers": list(range(n % 9))}


@node(name="replay_square")
async def _square(number: int) -> Squares:
    _called()
    return {"squares": number * number}


@node(name="replay_shaky")
async def _shaky(n: int) -> N:
    _called()
    if n % 3:
        raise ValueError("it does not divide by three")
    return {"n": n}


@node(name="replay_ask")
async def _ask(n: int, ctx: Context) -> N | Ask:
    _called()
    if not ctx.answers:
        return Ask(question=f"{n} more?", answer_schema={"type": "integer"})
    return {"n": n + ctx.answers[0]}


class Model(ChatModel, type="replay_model"):
    """Says how long the question is."""

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Word by word."""
        _called()
        for word in ("It", " has ", str(len(request.question)), " letters."):
            yield ChatChunk(text=word)


class Passages(Retriever, type="replay_passages"):
    """Finds what is asked."""

    async def search(self, query: str, top_k: int) -> list[Document]:
        """The query in as many documents."""
        _called()
        return [Document(id=f"d{number}", text=f"{query} {number} " * 40, score=1.0) for number in range(top_k)]


def given(kind: str, number: int) -> dict[str, Any]:
    """The inputs of a run."""
    return {"question": f"What is number {number}?"} if kind == "answer" else {"n": number}


async def record(folder: Path, runs: int) -> list[dict[str, Any]]:
    """Run the graphs in turn; which run gave what."""
    for name, text in GRAPHS.items():
        (folder / f"{name}.yaml").write_text(text)
    graphs = {name: Graph.load(folder / f"{name}.yaml") for name in GRAPHS}
    recorded = []
    for number in range(runs):
        kind = list(graphs)[number % len(graphs)]
        result = await graphs[kind].arun(given(kind, number))
        if result.status == "parked":
            result = await graphs[kind].aresume(result.run_id, answers=dict.fromkeys(result.asks, number))
        recorded.append({"kind": kind, "run": result.run_id, "outputs": plain(dict(result.outputs))})
    for graph in graphs.values():
        await graph.aclose()
    return recorded


async def replay(folder: Path, recorded: list[dict[str, Any]]) -> dict[str, float]:
    """Replay what was recorded; counts, and the seconds of CPU and wall time of all together."""
    graphs = {name: Graph.load(folder / f"{name}.yaml") for name in GRAPHS}
    differences = events = 0
    wall, cpu = time.perf_counter(), time.process_time()
    for run in recorded:
        again = await graphs[run["kind"]].areplay(run["run"])
        same = again.status == "done" and plain(dict(again.outputs)) == run["outputs"]
        differences += len(again.differences) + (not same)
        events += len(again.events)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    for graph in graphs.values():
        await graph.aclose()
    return {"calls": calls, "differences": differences, "events": events, "cpu": cpu, "wall": wall}


def main() -> None:
    """Record here, replay in another process, and print."""
    if len(sys.argv) > 2:
        folder = Path(sys.argv[2])
        print(json.dumps(asyncio.run(replay(folder, json.loads((folder / "recorded.json").read_text())))))
        return
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory() as name:
        recorded = asyncio.run(record(Path(name), runs))
        (Path(name) / "recorded.json").write_text(json.dumps(recorded))
        command = [sys.executable, __file__, str(runs), name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    print("| runs | events | calls made when they ran | calls | differences | CPU ms/run | wall ms/run |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    print(
        f"| {runs:,} | {found['events']:,} | {calls:,} | {found['calls']} (goal 0) | {found['differences']} (goal 0) "
        f"| {found['cpu'] / runs * 1e3:.2f} | {found['wall'] / runs * 1e3:.2f} |"
    )
    if found["calls"] or found["differences"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
