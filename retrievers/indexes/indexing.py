"""A folder of documents into an index on disk: only what changed is embedded, and the old index stays until then."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.errors import IndexUnusable, InputError
from ragweave.orchestrator.values import Document
from ragweave.retrievers import chunking
from ragweave.retrievers.chunking import WINDOW_TOKENS, Chunks
from ragweave.retrievers.indexes import generations
from ragweave.retrievers.loaders import parse
from ragweave.retrievers.loading import digest, find_files, read
from ragweave.retrievers.sourcetext import Found, Skipped, SourceText

if TYPE_CHECKING:
    import numpy as np

    from ragweave.retrievers.indexes.stored import StoredIndex, StoredSource

_SLICE = 128


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` in a phase: `read` counts files, `embed` windows of text, `write` is one."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What indexing did. `added`, `changed`, `deleted` and `unchanged` count files."""

    added: int
    changed: int
    deleted: int
    unchanged: int
    skipped: tuple[Skipped, ...]
    """Files with an extension that is read, which could not be."""
    notes: tuple[tuple[str, str], ...]
    """Files that were read, though not as they should be, and why: another encoding, front matter that is not valid."""
    chunks: int
    """Passages in the index."""
    vectors: int
    embedder: str | None
    """The identity of the embedder; None if the index holds words only."""
    seconds: float
    rebuilt: str = ""
    """Why nothing of an index that was there could be used again; empty if it could, or if there was none."""

    @property
    def files(self) -> int:
        """Files in the index."""
        return self.added + self.changed + self.unchanged


@dataclass(slots=True)
class _Entry:
    """A file on its way into the index: from the old one, or read anew with its windows still to embed."""

    source: str
    title: str
    digest: str
    notes: tuple[str, ...]
    lines: list[bytes]
    windows: list[list[str]] = field(default_factory=list)
    """Of each passage; empty where the vectors are taken from the old index."""
    old: StoredSource | None = None


def build_index(
    documents: Path,
    index: Path,
    embedder: Embedder | None,
    progress: Callable[[Progress], None] | None = None,
    chunks: Chunks | None = None,
) -> IndexReport:
    """Index a folder (or one file), or bring its index up to date; without an embedder, by words alone.

    Files whose content did not change are neither cut nor embedded again; what is indexed of a file stays while it
    cannot be read for the moment. Blocks; a Ctrl-C, an error or a crash at any moment leaves the index as it was.
    Raises InputError if there is nothing to index, IndexUnusable if the folder cannot be written or another process is
    writing it.
    """
    started = time.monotonic()
    began = time.time()
    tell = progress or (lambda progress: None)
    chunks = chunks or Chunks()
    files = list(find_files(documents))
    if not any(isinstance(file, Found) for file in files):
        raise nothing_found(documents, [file for file in files if isinstance(file, Skipped)])
    with generations.writing(index):
        old, rebuilt = _old(index, embedder, chunks)
        known = {source.source: source for source in old.sources()} if old is not None else {}
        entries, skipped = _gather(files, old, known, tell, None if embedder is None else WINDOW_TOKENS, chunks)
        if not entries:
            raise nothing_found(documents, skipped)
        fresh = [entry for entry in entries if entry.old is None]
        changed = sum(entry.source in known for entry in fresh)
        deleted = len(known.keys() - {entry.source for entry in entries})
        if old is None or fresh or deleted:
            _write(index, old, entries, embedder, tell, began, chunks)
    return IndexReport(
        added=len(fresh) - changed,
        changed=changed,
        deleted=deleted,
        unchanged=len(entries) - len(fresh),
        skipped=tuple(skipped),
        notes=tuple((entry.source, note) for entry in entries for note in entry.notes),
        chunks=sum(len(entry.lines) for entry in entries),
        vectors=sum(entry.old.vectors if entry.old else sum(map(len, entry.windows)) for entry in entries),
        embedder=embedder.identity if embedder is not None else None,
        seconds=time.monotonic() - started,
        rebuilt=rebuilt,
    )


def _old(index: Path, embedder: Embedder | None, chunks: Chunks) -> tuple[StoredIndex | None, str]:
    """The index as it is, if what it holds can be used again; else why not, if there is one."""
    from ragweave.retrievers.indexes.stored import StoredIndex

    if not generations.exists(index):
        return None, ""
    try:
        old = StoredIndex(index)
    except IndexUnusable as error:
        return None, error.message
    cut = old.manifest.get("chunking")
    if cut != chunks.identity:
        is_older = str(cut).partition("/")[0] != chunks.identity.partition("/")[0]
        return None, "another version cut its documents" if is_older else "its documents were cut with other settings"
    if old.embedder != (embedder.identity if embedder is not None else None):
        return None, f"it was built with the embedder {old.embedder}" if old.embedder else "it held words only"
    return old, ""


def _gather(
    files: Sequence[Found | Skipped],
    old: StoredIndex | None,
    known: dict[str, StoredSource],
    tell: Callable[[Progress], None],
    window: int | None,
    chunks: Chunks,
) -> tuple[list[_Entry], list[Skipped]]:
    """The files as entries, those of the old index among them; `window` is None where no vectors are wanted."""
    entries: list[_Entry] = []
    skipped: list[Skipped] = []
    for count, found in enumerate(files, start=1):
        entry = found if isinstance(found, Skipped) else _entry(found, old, known, window, chunks)
        if isinstance(entry, Skipped):
            before = known.get(entry.source)
            if old is not None and before is not None and entry.is_there:
                entries.append(_kept(before, old))
                entry = replace(entry, reason=f"{entry.reason}; it stays in the index as it was")
            skipped.append(entry)
        else:
            entries.append(entry)
        tell(Progress("read", count, len(files)))
    return entries, skipped


def _entry(
    found: Found, old: StoredIndex | None, known: dict[str, StoredSource], window: int | None, chunks: Chunks
) -> _Entry | Skipped:
    data = read(found)
    if isinstance(data, Skipped):
        return data
    fingerprint = digest(found.source, data)
    before = known.get(found.source)
    if old is not None and before is not None and before.digest == fingerprint:
        return _kept(before, old)
    text = parse(found.source, data)
    if isinstance(text, Skipped):
        return text
    return _read_anew(text, fingerprint, window, chunks)


def _kept(before: StoredSource, old: StoredIndex) -> _Entry:
    """A file as the old index has it."""
    lines = [old.line(row) for row in range(before.first, before.first + before.passages)]
    return _Entry(before.source, before.title, before.digest, before.notes, lines, old=before)


def _read_anew(text: SourceText, fingerprint: str, window: int | None, chunks: Chunks) -> _Entry | Skipped:
    passages = chunking.passages(text, chunks)
    if not passages:
        return Skipped(text.source, "empty")
    lines = [passage.model_dump_json(exclude_defaults=True).encode() + b"\n" for passage in passages]
    windows = [chunking.windows(passage, window) for passage in passages] if window is not None else []
    return _Entry(text.source, text.title, fingerprint, text.notes, lines, windows)


def nothing_found(documents: Path, skipped: Sequence[Skipped]) -> InputError:
    """The error of a folder in which there is nothing to index."""
    why = f"; {len(skipped)} skipped, such as {skipped[0].source!r}: {skipped[0].reason}" if skipped else ""
    return InputError(
        f"no documents found in {str(documents)!r}{why}",
        hint="Markdown, text, HTML, PDF, Office files, e-mail, data and source code are read, hidden files are not; "
        "`ragweave nodes loaders` lists the suffixes",
    )


def _write(
    index: Path,
    old: StoredIndex | None,
    entries: Sequence[_Entry],
    embedder: Embedder | None,
    tell: Callable[[Progress], None],
    began: float,
    chunks: Chunks,
) -> None:
    from ragweave.retrievers.indexes import stored, words

    vectors, owners, sources = _vectors(old, entries, embedder, tell)
    tell(Progress("write", 0, 1))
    lines = [line for entry in entries for line in entry.lines]
    manifest = {
        "embedder": embedder.identity if embedder is not None else None,
        "dimension": embedder.dimension if embedder is not None else 0,
        "chunking": chunks.identity,
        "passages": len(lines),
        "vectors": len(vectors),
        "began": began,
        "built": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with generations.new_generation(index, manifest) as folder:
        stored.write(folder, sources, lines, vectors, owners)
        (folder / "words").mkdir()
        passages = (Document.model_validate(json.loads(line)) for line in lines)
        words.write(
            folder / "words", ((passage.title, f"{passage.text}\n{chunking.labels(passage)}") for passage in passages)
        )
    tell(Progress("write", 1, 1))


def _vectors(
    old: StoredIndex | None, entries: Sequence[_Entry], embedder: Embedder | None, tell: Callable[[Progress], None]
) -> tuple[np.ndarray, list[int], list[StoredSource]]:
    """The vectors of all entries, the passage that each stands for, and where each file's passages and vectors are."""
    import numpy as np

    from ragweave.retrievers.indexes.stored import StoredSource

    made = _embed([window for entry in entries for passage in entry.windows for window in passage], embedder, tell)
    blocks: list[np.ndarray] = []
    owners: list[int] = []
    sources: list[StoredSource] = []
    row = taken = 0
    for entry in entries:
        first_vector = len(owners)
        if entry.old is not None and old is not None:
            span = slice(entry.old.first_vector, entry.old.first_vector + entry.old.vectors)
            blocks.append(np.asarray(old.vectors[span]))
            owners += (old.owners[span] - entry.old.first + row).tolist()
        else:
            counts = [len(windows) for windows in entry.windows]
            blocks.append(made[taken : taken + sum(counts)])
            taken += sum(counts)
            owners += [row + place for place, count in enumerate(counts) for _ in range(count)]
        sources.append(
            StoredSource(
                source=entry.source,
                title=entry.title,
                digest=entry.digest,
                first=row,
                passages=len(entry.lines),
                first_vector=first_vector,
                vectors=len(owners) - first_vector,
                notes=entry.notes,
            )
        )
        row += len(entry.lines)
    return np.concatenate(blocks), owners, sources


def _embed(texts: Sequence[str], embedder: Embedder | None, tell: Callable[[Progress], None]) -> np.ndarray:
    import numpy as np

    if embedder is None:
        return np.zeros((0, 0), dtype=np.float32)
    made = np.zeros((len(texts), embedder.dimension), dtype=np.float32)
    # Neighbours of about one length share a batch; a slice is what passes between two reports of progress.
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    for start in range(0, len(order), _SLICE):
        rows = order[start : start + _SLICE]
        made[rows] = embedder.embed([texts[row] for row in rows])
        tell(Progress("embed", min(start + _SLICE, len(order)), len(order)))
    return made
