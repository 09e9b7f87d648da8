"""Whether documents have changed since their index was built, told by the dates of the files: it must not be slow."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ragweave.orchestrator.errors import RagweaveError
from ragweave.retrievers.indexes import generations
from ragweave.retrievers.loaders import parse
from ragweave.retrievers.loading import digest, find_files, read
from ragweave.retrievers.sourcetext import Found, Skipped

MOST_FILES = 5_000
_MOST_READ = 50
_MOST_BYTES = 4 * 1024 * 1024


class Changes(NamedTuple):
    """How many files of a folder are not in its index as they are now."""

    changed: int = 0
    added: int = 0
    deleted: int = 0


def changes(documents: Path, index: Path) -> Changes:
    """What has changed since the index was built; nothing where that cannot be told soon.

    A file is looked into if it was written, moved here or given other rights since then: its content decides, up to 50
    files; beyond that the date does. Nothing is told of an index of more than 5,000 files.
    """
    with contextlib.suppress(RagweaveError, OSError, ValueError, KeyError, TypeError):
        folder = index / generations.current_name(index)
        manifest = json.loads((folder / "manifest.json").read_bytes())
        known = _known(folder, manifest["segments"])
        if known is not None:
            return compared(documents, known, float(manifest["began"]))
    return Changes()


def _known(folder: Path, names: Sequence[str]) -> Mapping[str, str] | None:
    """The digests of the indexed files by their paths; None if they are too many."""
    from ragweave.retrievers.indexes import arrays  # needs numpy
    from ragweave.retrievers.indexes.segments import DATA

    found: dict[str, str] = {}
    for name in names:
        told = arrays.read(folder / f"{name}{DATA}", "sources.")[0]["sources.bytes"]
        if told.nbytes > _MOST_BYTES:
            return None
        rows = map(json.loads, told.tobytes().split(b"\n")[:-1])
        found |= {row["source"]: row["digest"] for row in rows if row["digest"]}
    return found if len(found) <= MOST_FILES else None


def compared(documents: Path, known: Mapping[str, str], began: float) -> Changes:
    """What has changed since a moment at which the files had these digests, by their paths."""
    changed = added = looked = 0
    files = list(itertools.islice(find_files(documents), MOST_FILES + 1))
    if len(files) > MOST_FILES:
        return Changes()
    there = set()
    for file in files:
        if isinstance(file, Skipped):
            continue
        there.add(file.source)
        status = file.path.stat()
        # The clock of a file system may be a little behind.
        if max(status.st_mtime, status.st_ctime) < began - 0.05:
            continue
        looked += 1
        if file.source in known:
            changed += looked > _MOST_READ or _digest(file) != known[file.source]
        else:
            added += looked > _MOST_READ or _has_text(file)
    return Changes(changed, added, len(known.keys() - there))


def _digest(file: Found) -> str:
    data = read(file)
    return "" if isinstance(data, Skipped) else digest(file.source, data)


def _has_text(file: Found) -> bool:
    data = read(file)
    return not isinstance(data, Skipped) and not isinstance(parse(file.source, data), Skipped)
