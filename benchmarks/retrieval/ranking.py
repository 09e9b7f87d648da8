"""Rank the passages of a set with one pipeline; run by `worker.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pipelines import protocol

#: Ids that are kept of a ranking.
KEPT = 20


def rank(pipeline: Any, work: str, fusions: list[tuple[str, int]]) -> dict[str, Any]:
    """System -> question id -> ids, best first: the words alone, and each way to fuse at a depth."""
    data = protocol.read(Path(work))
    systems = {"words": pipeline.words(data.passages, KEPT)} if hasattr(pipeline, "words") else {}
    with tempfile.TemporaryDirectory() as folder:
        built = pipeline.build(data.passages, pipeline.given(data.vectors), Path(folder))
        systems |= {f"{fusion}@{depth}": pipeline.search(built, fusion, depth) for fusion, depth in fusions}
        return {
            name: {key: search(question)[:KEPT] for key, question in data.questions} for name, search in systems.items()
        }
