"""What `ragweave batch` costs: rows a second, memory by rows, and what a killed batch repeats.

    python benchmarks/batch.py [ROWS]

Runs the command as its users do, on a graph of one node that does nothing, with the journal in memory.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GRAPH = """\
schema: ragweave/v1
inputs: {n: int}
outputs: [n]
nodes: {same: {type: bench_same}}
edges: [start -> same -> end]
"""
PLUGIN = """\
import os
from typing import TypedDict
from ragweave import node

class N(TypedDict):
    n: int

@node(name="bench_same")
async def same(n: int) -> N:
    if "CALLS" in os.environ:
        with open(os.environ["CALLS"], "a") as file:
            file.write(f"{n}\\n")
    return {"n": n}
"""
CONCURRENCY = 16


def prepare(folder: Path, rows: int) -> list[str]:
    """Write graph, plugin and input; give the command."""
    (folder / "graph.yaml").write_text(GRAPH)
    (folder / "plugin.py").write_text(PLUGIN)
    with (folder / "in.jsonl").open("w") as file:
        file.writelines(json.dumps({"n": n}) + "\n" for n in range(rows))
    options = ["--plugin", "plugin.py", "--concurrency", str(CONCURRENCY)]
    return [sys.executable, "-m", "ragweave", "batch", "graph.yaml", "in.jsonl", "out.jsonl", *options]


def whole(rows: int) -> tuple[float, float]:
    """Seconds and peak memory in MiB of one undisturbed batch."""
    with tempfile.TemporaryDirectory() as name:
        command = prepare(Path(name), rows)
        begun = time.monotonic()
        process = subprocess.Popen(command, cwd=name, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return time.monotonic() - begun, usage.ru_maxrss / 1024


def killed(rows: int) -> tuple[int, int, int]:
    """Kill -9 half way, go on; rows in the output, rows that are there once, and calls beyond one a row."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command, environment = prepare(folder, rows), {**os.environ, "CALLS": str(folder / "calls")}
        out = folder / "out.jsonl"
        process = subprocess.Popen(command, cwd=name, stderr=subprocess.DEVNULL, env=environment)
        while not out.exists() or out.stat().st_size < rows * 30:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        subprocess.run(command, cwd=name, stderr=subprocess.DEVNULL, env=environment, check=True)
        lines = [json.loads(line)["outputs"]["n"] for line in out.read_text().splitlines()]
        calls = (folder / "calls").read_text().split()
        assert sorted(lines) == list(range(rows)), "a row is missing or there twice"
        return len(lines), len(set(lines)), len(calls) - rows


def main() -> None:
    """Measure and print."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print("| rows | rows a second | peak memory, MiB |\n| ---: | ---: | ---: |")
    for count in (rows // 100, rows // 10, rows):
        seconds, memory = whole(count)
        print(f"| {count:,} | {count / seconds:,.0f} | {memory:.0f} |", flush=True)
    found, once, again = killed(rows)
    print(
        f"\nkill -9 half way, then the same command: {found:,} lines, {once:,} different rows, "
        f"{again} rows run again of {CONCURRENCY} at a time"
    )


if __name__ == "__main__":
    main()
