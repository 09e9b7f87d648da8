"""Measure one scenario of one engine in this process, and print the result as one line of JSON.

    python benchmarks/worker.py ENGINE SCENARIO [SECONDS]

Run by the interpreter of the engine's own virtual environment: standard library and engine only. The line holds the
numbers, or `skip` with the reason why the engine cannot do it, or `error`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import traceback
from pathlib import Path
from typing import Any

import surviving
from measuring import Numbers, arun, blocking, concurrent, one_by_one, processes, streamed
from protocol import MESSAGE_NODES, SKEWED_MS

HERE = Path(__file__).parent
#: Nothing is sent anywhere while measuring.
QUIET = {
    "DO_NOT_TRACK": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "ANONYMIZED_TELEMETRY": "False",
}


def _chain100(engine: Any, seconds: float) -> Numbers:
    return arun(one_by_one(engine.chain(100), 100, seconds))


def _fanout100(engine: Any, seconds: float) -> Numbers:
    return arun(one_by_one(engine.fanout(100), 100, seconds))


def _loop100(engine: Any, seconds: float) -> Numbers:
    return arun(one_by_one(engine.loop(100), 100, seconds))


def _skewed(engine: Any, seconds: float) -> Numbers:
    return arun(one_by_one(engine.skewed(), sum(map(len, SKEWED_MS)), seconds))


def _concurrent(engine: Any, seconds: float) -> Numbers:
    return arun(concurrent(engine.chain(10), 10, 1000, seconds))


def _messages(engine: Any, seconds: float) -> Numbers:
    empty, full = (_per_node(engine, already, seconds) for already in (0, 5000))
    return {**full, "cpu_empty": empty["cpu"], "growth": full["cpu"] / empty["cpu"]}


def _per_node(engine: Any, already: int, seconds: float) -> Numbers:
    """One node's share of a chain, without what a run costs once, such as taking 5,000 messages in and out."""
    short, long = MESSAGE_NODES
    calls = [engine.messages(already, nodes) for nodes in MESSAGE_NODES]
    first, second = (
        arun(one_by_one(call, already + nodes, seconds / 2)) for call, nodes in zip(calls, MESSAGE_NODES, strict=True)
    )
    return {**second, **{key: (second[key] - first[key]) / (long - short) for key in ("cpu", "wall")}}


def _load1000(engine: Any, seconds: float) -> Numbers:
    small = arun(blocking(engine.load(100), 100, seconds))
    large = arun(blocking(engine.load(1000), 1000, seconds))
    return {**large, "linearity": large["cpu"] / small["cpu"]}


def _events(engine: Any, seconds: float) -> Numbers:
    return arun(streamed(engine.stream(apart=False), 10_000, seconds))


def _events_apart(engine: Any, seconds: float) -> Numbers:
    return arun(streamed(engine.stream(apart=True), 10_000, seconds))


def _import(engine: Any, seconds: float) -> Numbers:
    return processes(["-c", engine.IMPORT], "", max(3, int(seconds * 14)))


def _coldstart(engine: Any, seconds: float) -> Numbers:
    name = engine.__name__.rpartition(".")[2]
    return processes([str(HERE / "cold" / f"two_nodes_{name}.py")], "2", max(3, int(seconds * 14)))


MEASURE = {
    "chain100": _chain100,
    "fanout100": _fanout100,
    "loop100": _loop100,
    "skewed": _skewed,
    "concurrent": _concurrent,
    "messages": _messages,
    "load1000": _load1000,
    "events": _events,
    "events_apart": _events_apart,
    "import": _import,
    "coldstart": _coldstart,
    **surviving.MEASURE,
}


def measure(name: str, scenario: str, seconds: float) -> dict[str, Any]:
    """The report on one scenario of one engine."""
    try:
        folder = "durable" if scenario in surviving.MEASURE else "engines"
        engine: Any = importlib.import_module(f"{folder}.{name}")
        if reason := engine.UNSUPPORTED.get(scenario):
            return {"skip": reason}
        numbers = MEASURE[scenario](engine, seconds)
        versions = {package: importlib.metadata.version(package) for package in engine.PACKAGES}
    except Exception as error:  # the report has to say what went wrong, whatever it was
        return {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    return {**numbers, "versions": {**versions, "python": platform.python_version()}}


def main() -> None:
    """Measure what the arguments name."""
    name, scenario = sys.argv[1:3]
    os.environ.update(QUIET)
    if name == "ragweave" and importlib.util.find_spec(name) is None:  # a checkout that is not installed
        sys.path.append(str(HERE.parent))
        os.environ["PYTHONPATH"] = str(HERE.parent)
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 0.5
    print(json.dumps({"engine": name, "scenario": scenario, **measure(name, scenario, seconds)}))


if __name__ == "__main__":
    main()
