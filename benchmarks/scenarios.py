"""The scenarios: what is measured, in which unit, and what ragweave promises.

A worker reports plain numbers (seconds, or ratios); a `Measure` says which of them to show, how to scale it, and the
goal it is held against. This module imports the standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

EVERYWHERE = ("ragweave", "plain_asyncio", "burr", "pydantic_graph", "haystack", "langgraph", "llama_workflows")
#: The same engine in another documented way, where that changes much.
ENGINES = (*EVERYWHERE, "langgraph_delta")

#: Engine -> the name shown in tables.
TITLES = {
    "ragweave": "ragweave",
    "plain_asyncio": "asyncio",
    "burr": "Burr",
    "pydantic_graph": "pydantic-graph",
    "haystack": "Haystack",
    "langgraph": "LangGraph",
    "llama_workflows": "LlamaIndex",
    "langgraph_delta": "LangGraph Δ",
}

#: The engines that ragweave is compared with; plain asyncio is no engine but the lower limit.
PEERS = ENGINES[2:]


@dataclass(frozen=True)
class Measure:
    """One row of the table: a number of a worker's report, multiplied by `scale`; the title says the unit."""

    key: str
    title: str
    scale: float = 1.0
    goal: float | None = None
    #: Whether a higher number is better (requests per second).
    more_is_better: bool = False


@dataclass(frozen=True)
class Scenario:
    """One measured situation and the rows it gives."""

    name: str
    what: str
    measures: tuple[Measure, ...]
    #: Engines that take part.
    engines: tuple[str, ...] = EVERYWHERE
    #: Whether it is about runs that are kept on the disk: they have a table of their own.
    durable: bool = False


def _cpu_and_wall(unit: str, scale: float, goal: float | None = None) -> tuple[Measure, Measure]:
    return (
        Measure("cpu", f"CPU {unit}", scale, goal),
        Measure("wall", f"wall {unit}", scale, goal),
    )


def _against_asyncio(goal: float) -> tuple[Measure, ...]:
    return (
        Measure("ratio", "CPU × asyncio's", goal=goal),
        Measure("wall_ratio", "wall × asyncio's", goal=goal),
        Measure("wall", "wall ms", 1e3),
    )


_ALL = (
    Scenario("chain100", "a chain of 100 no-op nodes", _cpu_and_wall("µs/node", 1e6 / 100, 5)),
    Scenario("fanout100", "a fan-out to 100 nodes, and the node that joins them", _cpu_and_wall("ms", 1e3, 1)),
    Scenario("loop100", "one node that loops 100 times on a condition", _cpu_and_wall("ms", 1e3, 1)),
    Scenario(
        "skewed",
        "two branches with steps of 1 and 20 ms in opposite order: 62 ms at best, 100 ms with a barrier per step",
        (Measure("wall", "wall ms", 1e3, 64.5), Measure("cpu", "CPU ms", 1e3)),
    ),
    Scenario(
        "concurrent",
        "1,000 concurrent requests of 10 no-op nodes each; what the garbage collector adds to them",
        (
            Measure("per_cpu_second", "requests/CPU-s", goal=10_000, more_is_better=True),
            Measure("gc_cost", "CPU, gc on / off", goal=1.10),
        ),
    ),
    Scenario(
        "messages",
        "nodes that each read the chat and add a message of 1 KB, with 0 and with 5,000 messages in state: what a node "
        "more costs (a chain of 100 less a chain of 20)",
        (
            Measure("cpu_empty", "CPU µs/node at 0", 1e6),
            Measure("cpu", "CPU µs/node at 5,000", 1e6),
            Measure("growth", "CPU, 5,000 / 0", goal=1.1),
        ),
    ),
    Scenario(
        "load1000",
        "load, check and plan a chain of 1,000 nodes from YAML text",
        (
            *_cpu_and_wall("ms", 1e3, 250),
            Measure("linearity", "CPU, 1,000 / 100", goal=12),
        ),
        engines=("ragweave", "haystack"),
    ),
    Scenario(
        "events",
        "10,000 token events, given without a pause and streamed to the caller",
        (
            *_cpu_and_wall("µs/event", 1e6 / 10_000, 5),
            Measure("first", "first event µs", 1e6, 200),
        ),
    ),
    Scenario(
        "events_apart",
        "10,000 token events, each in its own turn of the event loop, as tokens from a network come; two turns of "
        "asyncio's own are in every engine's figure",
        _cpu_and_wall("µs/event", 1e6 / 10_000),
    ),
    Scenario("import", "import the engine in a fresh process, against `import asyncio` in one", _against_asyncio(1.5)),
    Scenario(
        "coldstart",
        "a fresh process from start to the answer of a two-node graph (ragweave loads it from YAML), against one "
        "that does `import asyncio`",
        _against_asyncio(4),
    ),
    Scenario(
        "conversation",
        "200 turns on one thread, 1 KB of question and 1 KB of answer each (real English: the cookbook's recipes), and "
        "all earlier turns in every one; in ragweave `recall -> reply -> remember` with a window that drops nothing, "
        "elsewhere one node, as state is the memory there. Bytes are those of all databases when they are closed; "
        "growth is the CPU of the last 20 turns over that of turns 2 to 21; loaded are all messages and the newest "
        "run or state, by a fresh process that has imported everything, opened the files, and asked for another "
        "conversation, which never took place. In ragweave the run has another copy of all messages, in values of its "
        "own; of texts that the memory has just read it reads the hashes alone. What remains is unpacking 0.4 MB, and "
        "making 400 messages of it twice",
        (
            Measure("kept", "kept MB", 1e-6, 1),
            Measure("written", "written MB", 1e-6),
            Measure("cpu", "CPU ms/turn", 1e3),
            Measure("growth", "CPU, last 20 / first 20", goal=1.2),
            Measure("load", "loaded in ms", 1e3, 5),
            Measure("load_cpu", "CPU ms to load", 1e3),
        ),
        engines=("ragweave", "burr", "langgraph", "langgraph_delta"),
        durable=True,
    ),
    Scenario(
        "carry",
        "a chain of 20 nodes, and beside them a text of 1 MB that hardly compresses and that no node touches, given "
        "back in the end; a run's share of three with texts of their own. Written is what the process gave to the "
        "system to write, until its files are closed",
        (
            Measure("written", "written MB", 1e-6, 2.2),
            Measure("kept", "kept MB", 1e-6),
            Measure("cpu", "CPU ms", 1e3),
        ),
        engines=("ragweave", "burr", "langgraph"),
        durable=True,
    ),
    Scenario(
        "durable",
        "100 runs at once of 20 no-op nodes each, every commit waiting for the disk (SQLite, synchronous=FULL). "
        "Commits are counted by SQLite; ragweave's bursts take turns with those of a program that only makes as many "
        "of them, for 2,000 rows",
        (
            Measure("ratio", "wall × asyncio with as many commits", goal=5),
            Measure("wall", "wall ms", 1e3),
            Measure("commits", "commits"),
        ),
        engines=("ragweave", "plain_asyncio", "burr", "langgraph"),
        durable=True,
    ),
    Scenario(
        "journal",
        "runs of 20 no-op nodes each with the settings that an engine's SQLite store has by default",
        (
            Measure("cpu", "CPU µs/step, one by one", 1e6, 75),
            Measure("cpu_at_once", "CPU µs/step, 100 at once", 1e6, 75),
            Measure("wall", "wall ms/run, one by one", 1e3),
        ),
        engines=("ragweave", "plain_asyncio", "burr", "langgraph"),
        durable=True,
    ),
)

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
