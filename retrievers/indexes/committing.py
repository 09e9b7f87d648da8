"""A new generation of an index, of what is kept of the old one and of what is new: as little as possible is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.filters import Fields
from ragweave.retrievers.chunking import SENTENCES
from ragweave.retrievers.indexes import generations
from ragweave.retrievers.indexes.columns import Misfit
from ragweave.retrievers.indexes.segments import DATA, FIELDS, Part, Segment
from ragweave.retrievers.indexes.stored import StoredIndex

_TOGETHER = 1_000
"""Passages that are not worth a segment of their own."""
_RATIO = 4
"""A segment has more than so many times the passages of all that come after it: there are few of them, and each
passage is written again a few times only, however many are added one by one (Bentley and Saxe 1980)."""


class Facts(NamedTuple):
    """What an index is made with."""

    embedder: Embedder | None
    chunking: str
    fields: Fields

    @property
    def identity(self) -> str | None:
        """That of the embedder."""
        return self.embedder.identity if self.embedder is not None else None

    @property
    def sentences(self) -> bool:
        """True if each sentence has a vector as well."""
        return self.chunking.endswith(SENTENCES)

    @property
    def dimension(self) -> int:
        """That of the embedder's vectors; 0 without one."""
        return self.embedder.dimension if self.embedder is not None else 0


class _Piece(NamedTuple):
    """What becomes a segment. `name` is that of the old segment which it is, if nothing of it changes."""

    parts: list[Part]
    name: str

    @property
    def size(self) -> int:
        return sum(len(part.rows) for part in self.parts)


def commit(
    index: Path,
    old: StoredIndex | None,
    kept: Sequence[Part],
    fresh: Segment | None,
    facts: Facts,
    began: float | None = None,
) -> list[Misfit]:
    """Make a generation current that holds what is `kept` of each old segment, and a `fresh` one; what of the kept fits
    into no column, if the columns are new. To be used inside `generations.writing`.

    Segments that stay as they are are linked; others are written, small ones together. Nothing of a passage that is not
    kept is left in any file.
    """
    misfits: list[Misfit] = []
    names = old.names if old is not None else []
    stays = old is not None and dict(old.fields) == dict(facts.fields)
    pieces = []
    for name, part in zip(names, kept, strict=True):
        if not stays:
            segment, odd = part.segment.with_fields(facts.fields)
            part = part._replace(segment=segment)
            misfits += odd
        if len(part.rows) or len(part.sources):
            pieces.append(_Piece([part], name if part.is_all else ""))
    if fresh is not None:
        pieces.append(_Piece([fresh.everything], ""))
    if not pieces:
        none = np.zeros((0, facts.dimension), dtype=np.float32)
        pieces.append(_Piece([Segment.of([], [], none, [], facts.fields)[0].everything], ""))
    pieces = _packed(pieces)
    files = {} if old is None else old.manifest["files"]
    linked = [name + suffix for _, name in pieces if name for suffix in (DATA, *([FIELDS] if stays else []))]
    number = max((int(name.rpartition("-")[2]) for name in names), default=0)
    manifest: dict[str, Any] = {
        "embedder": facts.identity,
        "dimension": facts.dimension,
        "chunking": facts.chunking,
        "fields": dict(facts.fields),
        "began": began if began is not None else (old.manifest["began"] if old is not None else time.time()),
        "built": datetime.now(UTC).isoformat(timespec="seconds"),
        "passages": sum(piece.size for piece in pieces),
        "segments": [],
    }
    before = None if old is None else index / old.generation
    with generations.new_generation(index, manifest, before, {name: files[name] for name in linked}) as folder:
        for parts, name in pieces:
            segment = parts[0].segment
            if not name:
                number += 1
                name = f"segment-{number:06d}"
                whole = len(parts) == 1 and parts[0].is_all
                segment = segment if whole else Segment.merged(parts)
                segment.write_data(folder, name)
                segment.write_fields(folder, name)
            elif not stays:
                segment.write_fields(folder, name)
            manifest["segments"].append(name)
    return misfits


def _packed(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Pieces of which each is much larger than all behind it: those that are not are put together, from the end."""
    packed: list[_Piece] = []
    for piece in pieces:
        packed.append(piece)
        while len(packed) > 1 and packed[-2].size <= max(_RATIO * packed[-1].size, _TOGETHER):
            last = packed.pop()
            packed[-1] = _Piece([*packed[-1].parts, *last.parts], "")
    return packed
