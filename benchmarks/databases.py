"""The indexes `hybrid`, `pgvector` and `chroma` over the same passages: quality, time to search and to fill, bytes.

Run: python benchmarks/databases.py [SET] [QUESTIONS]. The sets are those of `tests/retrievers/measure.py`, PostgreSQL
is that of the tests. Times are wall clock, of a search without the embedding of its question.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ragweave.orchestrator.contracts import Index  # noqa: E402
from ragweave.orchestrator.resources import Resources  # noqa: E402
from ragweave.retrievers.embedders.minilm import MiniLM  # noqa: E402
from ragweave.retrievers.indexes.chroma import Chroma  # noqa: E402
from ragweave.retrievers.indexes.filled import FilledIndex  # noqa: E402
from ragweave.retrievers.indexes.hybrid import Hybrid  # noqa: E402
from ragweave.retrievers.indexes.indexing import build_index  # noqa: E402
from ragweave.retrievers.indexes.pgvector import PgVector  # noqa: E402
from tests.retrievers.measure import Question, documents, quality, questions  # noqa: E402
from tests.support.postgres import serving  # noqa: E402

WEIGHTS = (0.0, 0.6, 1.0)
"""Words, both, meaning."""


async def searched(name: str, index: Index, resources: Resources, asked: Sequence[Question]) -> None:
    """Print what an index finds, and how long that takes; the vectors of the questions are known by then."""
    index.open(resources)
    ranked, times = [], []
    for question in asked:
        began = time.perf_counter()
        ranked.append(await index.search(question.text, 20))
        times.append(time.perf_counter() - began)
    stats = await index.stats()
    await index.close()
    print(f"  {name:22}{quality(ranked, asked)}  {statistics.median(times) * 1000:6.1f} ms  {stats.how}", flush=True)


async def compare(name: str, first: int, folder: Path, url: str) -> None:
    """Fill all three, and search them."""
    resources = Resources(folder=folder)
    model = MiniLM()
    resources.put("embedders", "minilm", model)
    source = documents(name, folder / "documents", first)
    asked = questions(name)[:first]
    model.embed_queries([question.text for question in asked])  # which are kept
    began = time.perf_counter()
    made = build_index(source, folder / "hybrid", model)
    print(f"{name}: {made.files} files, {made.chunks} passages, {made.vectors} vectors; {len(asked)} questions")
    print(f"  hybrid filled, with embedding, in {time.perf_counter() - began:.1f} s")
    others: list[FilledIndex] = [
        PgVector(url=url, namespace="bench", documents=str(source)),
        Chroma(index="chroma", documents=str(source)),
    ]
    for index in others:
        began = time.perf_counter()
        index.fill(resources, model)
        size = (index.counted(resources).bytes or 0) / 1e6
        print(f"  {index.type_name} filled, with embedding, in {time.perf_counter() - began:.1f} s, {size:.1f} MB")
    for weight in WEIGHTS:
        plain = Hybrid(index="hybrid", weight=weight, links=False, boosts=0)
        await searched(f"hybrid, weight {weight}", plain, resources, asked)
        await searched(
            f"pgvector, weight {weight}", PgVector(url=url, namespace="bench", weight=weight), resources, asked
        )
    await searched("chroma", others[1], resources, asked)
    await searched("hybrid as it comes", Hybrid(index="hybrid"), resources, asked)


if __name__ == "__main__":
    given = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place, serving() as address:
        asyncio.run(compare(given[0] if given else "clapnq", int(given[1]) if given[1:] else 150, Path(place), address))
