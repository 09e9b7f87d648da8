"""What answers rest on and who released them, from the journal: `python audit.py [RUN] > audit.jsonl`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ragweave import Citation, Document, Graph

FOLDER = Path(__file__).resolve().parent


async def records(graph: Graph, run_id: str = "") -> AsyncIterator[dict[str, Any]]:
    """A record for each run that came to an end, the oldest first; no model, tool or retriever is called."""
    for run in sorted(await graph.runs(status="done"), key=lambda run: run.begun):
        if run.graph != graph.name or run_id not in ("", run.run_id):
            continue
        replay = await graph.areplay(run.run_id)
        known = replay.state
        documents = {document.id: document for document in known["documents"]}
        answer = known["answer"]
        verdict = known.get("verdict")
        yield {
            "run": run.run_id,
            "graph": run.version,
            "user": run.user,
            "begun": datetime.fromtimestamp(run.begun, UTC).isoformat(timespec="seconds"),
            "question": known["question"],
            "answer": answer.text,
            "answered": answer.confidence > 0,
            "sources": [source(one, documents) for one in answer.citations],
            "expression": known["expression"],
            "result": [result.content or f"error: {result.error}" for result in known["tool_results"]],
            "objections": list(verdict.reasons) if verdict else [],
            "released_by": known["released_by"],
            "intact": not replay.differences,  # what the journal says follows from what it recorded of each call
        }


def source(citation: Citation, documents: Mapping[str, Document]) -> dict[str, Any]:
    """Where a statement stands: the file, the line, and the characters of the quote in the file's text."""
    document = documents[citation.document]
    place = {"number": citation.number, "file": citation.source, "line": citation.line, "quote": citation.quote}
    if document.offsets is not None:
        start = document.offsets[0] + max(document.text.find(citation.quote), 0)
        place["offsets"] = [start, start + len(citation.quote)]
    return place


async def main() -> None:
    """Write the records."""
    async with Graph.load(FOLDER / "analyst.yaml", plugins=[str(FOLDER / "analyst_nodes.py")]) as graph:
        async for record in records(graph, *sys.argv[1:2]):
            sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
