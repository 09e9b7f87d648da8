"""Passages on their way into an index: as lines of JSON, with the texts whose vectors stand for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.values import Document
from ragweave.retrievers import chunking
from ragweave.retrievers.chunking import WINDOW_TOKENS
from ragweave.retrievers.embedders import kept
from ragweave.retrievers.indexes.columns import Misfit
from ragweave.retrievers.indexes.committing import Facts
from ragweave.retrievers.indexes.segments import Segment, StoredSource, line_of


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` in a phase: `read` counts files, `embed` windows of text, `write` is one."""

    phase: str
    done: int
    total: int


Tell = Callable[[Progress], None]


@dataclass(slots=True)
class Entry:
    """A file that was read anew, or what a program adds under one source (which has no digest)."""

    source: str
    title: str
    digest: str
    notes: tuple[str, ...] = ()
    lines: list[bytes] = field(default_factory=list)
    windows: list[list[str]] = field(default_factory=list)
    """Of each passage; empty where no vectors are wanted."""

    def add(self, passage: Document, facts: Facts) -> None:
        """Put a passage behind the others."""
        self.lines.append(line_of(passage))
        windows = chunking.windows(passage, WINDOW_TOKENS) if facts.embedder is not None else []
        self.windows.append(windows + (chunking.sentences(passage) if windows and facts.sentences else []))


def entries_of(documents: Iterable[Document], facts: Facts) -> list[Entry]:
    """Passages that a program adds, by source, each as it is."""
    found: dict[str, Entry] = {}
    for document in documents:
        found.setdefault(document.source, Entry(document.source, document.title, "")).add(document, facts)
    return list(found.values())


def segment_of(entries: Sequence[Entry], vectors: np.ndarray, facts: Facts) -> tuple[Segment, list[Misfit]]:
    """The segment of entries and the vectors of all their windows, in this order; and what fits into no column."""
    sources = []
    row = 0
    for entry in entries:
        sources.append(StoredSource(entry.source, entry.title, entry.digest, row, len(entry.lines), entry.notes))
        row += len(entry.lines)
    lines = [line for entry in entries for line in entry.lines]
    counts = [len(windows) for entry in entries for windows in entry.windows]
    return Segment.of(sources, lines, vectors, counts, facts.fields)


def embedded(entries: Sequence[Entry], embedder: Embedder | None, tell: Tell) -> np.ndarray:
    """The vectors of all windows of some entries, in their order."""
    texts = [window for entry in entries for windows in entry.windows for window in windows]
    if embedder is None:
        return np.zeros((0, 0), dtype=np.float32)
    return kept.embed_all(embedder, texts, lambda done, total: tell(Progress("embed", done, total)))


def forget(passages: Iterable[Document], embedder: Embedder | None) -> None:
    """Let the vectors of passages go that left the index, where this machine keeps them for the next time."""
    if embedder is not None and kept.path().exists():
        kept.forget(
            embedder,
            [text for one in passages for text in (*chunking.windows(one, WINDOW_TOKENS), *chunking.sentences(one))],
        )
