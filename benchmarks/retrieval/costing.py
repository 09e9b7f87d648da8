"""What a pipeline costs; run by `worker.py` in a process of its own."""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from pipelines import protocol

#: Passages that are embedded before the clock starts: what is loaded and compiled once is not counted.
WARM = 8


def ingest(pipeline: Any, work: str, model: str, count: int, folder: str) -> dict[str, Any]:
    """Passages per CPU-second, from texts to indexes that can be asked; what was built is left in `folder`."""
    passages = protocol.read(Path(work)).passages[: WARM + count]
    embeddings = pipeline.real(model)
    with tempfile.TemporaryDirectory() as warm:
        pipeline.build(passages[:WARM], embeddings, Path(warm))
    cpu, wall = time.process_time(), time.perf_counter()
    built = pipeline.build(passages[WARM:], embeddings, Path(folder))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    found = pipeline.search(built, pipeline.FUSIONS[0], 10)(passages[WARM].text)
    if passages[WARM].id not in found:
        raise AssertionError(f"{passages[WARM].id} does not find itself: {found}")
    return {"per_cpu_second": count / cpu, "wall": wall}


def ask(pipeline: Any, work: str, fusion: str, rounds: int) -> dict[str, Any]:
    """Milliseconds of a hybrid query, its vector known: medians of wall and mean of CPU."""
    data = protocol.read(Path(work))
    with tempfile.TemporaryDirectory() as folder:
        given = getattr(pipeline, "looked_up", pipeline.given)
        built = pipeline.build(data.passages, given(data.vectors), Path(folder))
        search = pipeline.search(built, fusion, 10)
        for _, question in data.questions[:10]:
            if not search(question):
                raise AssertionError(f"nothing found for {question!r}")
        walls = []
        cpu = time.process_time()
        for _ in range(rounds):
            for _, question in data.questions:
                start = time.perf_counter()
                search(question)
                walls.append(time.perf_counter() - start)
        cpu = (time.process_time() - cpu) / len(walls)
    walls.sort()
    return {
        "p50_ms": statistics.median(walls) * 1000,
        "p99_ms": walls[int(len(walls) * 0.99)] * 1000,
        "cpu_ms": cpu * 1000,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def first(pipeline: Any, work: str, model: str, count: int, folder: str) -> dict[str, Any]:
    """Open what `ingest` left in `folder`, and ask one question; the process is measured from outside."""
    data = protocol.read(Path(work))
    built = pipeline.reopen(data.passages[WARM : WARM + count], pipeline.real(model), Path(folder))
    return {"found": pipeline.search(built, pipeline.FUSIONS[0], 10)(data.questions[0][1])[:3]}
