"""A folder of documents into an index on disk: only what changed is embedded, and the old index stays until then."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.errors import IndexUnusable, InputError
from ragweave.orchestrator.filters import Fields
from ragweave.retrievers import chunking
from ragweave.retrievers.chunking import Chunks
from ragweave.retrievers.indexes import generations
from ragweave.retrievers.indexes.entries import Entry, Progress, Tell, embedded, entries_of, forget, segment_of
from ragweave.retrievers.indexes.stamps import Stamps
from ragweave.retrievers.loaders import parse
from ragweave.retrievers.loading import digest, find_files, read
from ragweave.retrievers.sourcetext import Found, Skipped, SourceText

if TYPE_CHECKING:
    from ragweave.orchestrator.values import Document
    from ragweave.retrievers.indexes.columns import Misfit
    from ragweave.retrievers.indexes.committing import Facts
    from ragweave.retrievers.indexes.segments import Part, Segment, StoredSource
    from ragweave.retrievers.indexes.stored import StoredIndex

__all__ = ["IndexReport", "Progress", "build_index", "nothing_found"]


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
    misfits: tuple[Misfit, ...] = ()
    """Fields that some of the passages that were read have of another kind than the one declared."""
    refitted: tuple[str, ...] | None = None
    """The fields that what it held before can be filtered by since now; None if it could before."""
    how: str = "exact"
    """How vectors are searched."""

    @property
    def files(self) -> int:
        """Files in the index."""
        return self.added + self.changed + self.unchanged


class _Known(NamedTuple):
    """A file in the old index, and where it is."""

    source: StoredSource
    segment: int
    place: int


class _Old(NamedTuple):
    """The index as it is, if what it holds can be used again; else why not, if there is one."""

    stored: StoredIndex | None = None
    rebuilt: str = ""
    added: tuple[Document, ...] = ()
    """What programs added to an index that cannot be used again: it is in no file."""
    known: Mapping[str, _Known] = MappingProxyType({})
    """The files that it holds, by their paths."""


def build_index(
    documents: Path,
    index: Path,
    embedder: Embedder | None,
    progress: Tell | None = None,
    chunks: Chunks | None = None,
    fields: Fields | None = None,
) -> IndexReport:
    """Index a folder (or one file), or bring its index up to date; without an embedder, by words alone.

    Files whose content did not change are neither cut nor embedded again, and those that look as they did are not even
    read; what is indexed of a file stays while it cannot be read for the moment. Passages that programs added stay.
    `fields` are those that can be filtered by; None leaves them as they are. Blocks; a Ctrl-C, an error or a crash at
    any moment leaves the index as it was. Raises InputError if there is nothing to index, IndexUnusable if the folder
    cannot be written, another process is writing it, or a newer version has written it.
    """
    started = time.monotonic()
    began = time.time()
    files = list(find_files(documents))
    if not any(isinstance(file, Found) for file in files):
        raise nothing_found(documents, [file for file in files if isinstance(file, Skipped)])
    with generations.writing(index):
        gathering = _Gathering(index, embedder, chunks or Chunks(), fields, progress or (lambda progress: None))
        gathering.read(files)
        if not gathering.fresh and not gathering.unchanged:
            raise nothing_found(documents, gathering.skipped)
        report = gathering.write(began)
    return replace(report, seconds=time.monotonic() - started)


class _Gathering:
    """One round of indexing: the old index, what is read of the files, and what is written of both."""

    def __init__(
        self, index: Path, embedder: Embedder | None, chunks: Chunks, fields: Fields | None, tell: Tell
    ) -> None:
        from ragweave.retrievers.indexes.committing import Facts

        self._index, self._chunks, self._tell = index, chunks, tell
        self._old = _old(index, embedder, chunks)
        stored = self._old.stored
        if fields is None:
            fields = stored.fields if stored is not None else {}
        self._facts: Facts = Facts(embedder, chunks.identity, fields)
        self._known = self._old.known
        self._stamps = Stamps(index)
        self.fresh: list[Entry] = []
        self.unchanged: dict[str, _Known] = {}
        self.skipped: list[Skipped] = []

    def read(self, files: Sequence[Found | Skipped]) -> None:
        """Look at each file, and read those that may have changed."""
        for count, found in enumerate(files, start=1):
            skipped = found if isinstance(found, Skipped) else self._read(found)
            if skipped is not None:
                before = self._known.get(skipped.source)
                if before is not None and skipped.is_there:
                    self.unchanged[skipped.source] = before
                    skipped = replace(skipped, reason=f"{skipped.reason}; it stays in the index as it was")
                self.skipped.append(skipped)
            self._tell(Progress("read", count, len(files)))

    def _read(self, found: Found) -> Skipped | None:
        before = self._known.get(found.source)
        status = None
        with contextlib.suppress(OSError):
            status = found.path.stat()
            if self._stamps.is_same(found.source, status, before.source.digest if before is not None else ""):
                self.unchanged[found.source] = self._known[found.source]
                return None
        data = read(found)
        if isinstance(data, Skipped):
            return data
        fingerprint = digest(found.source, data)
        if status is not None:
            self._stamps.keep(found.source, status, fingerprint)
        if before is not None and before.source.digest == fingerprint:
            self.unchanged[found.source] = before
            return None
        text = parse(found.source, data)
        if isinstance(text, Skipped):
            return text
        return self._cut(text, fingerprint)

    def _cut(self, text: SourceText, fingerprint: str) -> Skipped | None:
        passages = chunking.passages(text, self._chunks)
        if not passages:
            return Skipped(text.source, "empty")
        entry = Entry(text.source, text.title, fingerprint, text.notes)
        for passage in passages:
            entry.add(passage, self._facts)
        self.fresh.append(entry)
        return None

    def write(self, began: float) -> IndexReport:
        """Make what was read the index, unless nothing has changed."""
        stored, facts = self._old.stored, self._facts
        replaced = [self._known[entry.source] for entry in self.fresh if entry.source in self._known]
        there = self.unchanged.keys() | {entry.source for entry in self.fresh}
        deleted = [known for source, known in self._known.items() if source not in there]
        refitted = stored is not None and dict(stored.fields) != dict(facts.fields)
        misfits: list[Misfit] = []
        kept = _kept(stored, [*replaced, *deleted]) if stored is not None else []
        fresh: Segment | None = None
        if stored is None or self.fresh or deleted or refitted:
            entries = [*self.fresh, *entries_of(self._old.added, facts)]
            if entries:
                vectors = embedded(entries, facts.embedder, self._tell)
            self._tell(Progress("write", 0, 1))
            if entries:
                fresh, misfits = segment_of(entries, vectors, facts)
            left = list(_passages(stored, [*replaced, *deleted])) if stored is not None else []
            stored, misfits = self._commit(kept, fresh, misfits, began)
            forget(left, facts.embedder)
        self._stamps.write()
        held: list[Entry | StoredSource] = [*self.fresh, *(known.source for known in self.unchanged.values())]
        return IndexReport(
            added=len(self.fresh) - len(replaced),
            changed=len(replaced),
            deleted=len(deleted),
            unchanged=len(self.unchanged),
            skipped=tuple(self.skipped),
            notes=tuple((one.source, note) for one in sorted(held, key=lambda one: one.source) for note in one.notes),
            chunks=len(stored),
            vectors=stored.vectors,
            embedder=facts.identity,
            seconds=0.0,
            rebuilt=self._old.rebuilt,
            misfits=tuple(misfits),
            refitted=tuple(facts.fields) if refitted else None,
            how=stored.how,
        )

    def _commit(
        self, kept: Sequence[Part], fresh: Segment | None, misfits: Sequence[Misfit], began: float
    ) -> tuple[StoredIndex, list[Misfit]]:
        from ragweave.retrievers.indexes.committing import commit
        from ragweave.retrievers.indexes.stored import StoredIndex

        odd = commit(self._index, self._old.stored, kept, fresh, self._facts, began)
        self._tell(Progress("write", 1, 1))
        return StoredIndex(self._index, self._old.stored), [*misfits, *odd]


def _old(index: Path, embedder: Embedder | None, chunks: Chunks) -> _Old:
    from ragweave.retrievers.indexes.stored import StoredIndex

    if not generations.exists(index):
        return _Old()
    try:
        old = StoredIndex(index)
        why = _not_usable(old, embedder, chunks)
        return _Old(rebuilt=why, added=tuple(_added(old))) if why else _Old(old, known=_known(old))
    except generations.NewerIndex:
        raise
    except IndexUnusable as error:
        return _Old(rebuilt=error.message)


def _not_usable(old: StoredIndex, embedder: Embedder | None, chunks: Chunks) -> str:
    """Why nothing that an index holds can be used again; empty if it can."""
    cut = old.manifest.get("chunking")
    if cut != chunks.identity:
        is_older = str(cut).partition("/")[0] != chunks.identity.partition("/")[0]
        return "another version cut its documents" if is_older else "its documents were cut with other settings"
    if old.embedder != (embedder.identity if embedder is not None else None):
        return f"it was built with the embedder {old.embedder}" if old.embedder else "it held words only"
    return ""


def _added(stored: StoredIndex) -> Sequence[Document]:
    """What programs added to an index."""
    mine = [source for source in stored.sources() if not source.digest]
    return [stored.passage(row) for source in mine for row in range(source.first, source.first + source.passages)]


def _known(stored: StoredIndex) -> dict[str, _Known]:
    """The files of an index by their paths. Raises IndexUnusable if that cannot be read."""
    try:
        return {
            source.source: _Known(source, at, place)
            for at, segment in enumerate(stored.segments)
            for place, source in enumerate(segment.sources())
            if source.digest
        }
    except (ValueError, KeyError, TypeError) as error:
        raise generations.damaged(stored.folder, f"its sources: {error}") from None


def _passages(stored: StoredIndex, files: Sequence[_Known]) -> Iterator[Document]:
    """The passages of some files of an index."""
    for known in files:
        first = stored.bases[known.segment] + known.source.first
        for row in range(first, first + known.source.passages):
            with contextlib.suppress(IndexUnusable):  # one that cannot be read leaves vectors that time forgets
                yield stored.passage(row)


def _kept(stored: StoredIndex, gone: Sequence[_Known]) -> list[Part]:
    """What is left of each segment without some files."""
    import numpy as np

    parts = []
    for at, segment in enumerate(stored.segments):
        places = [known.place for known in gone if known.segment == at]
        if not places:
            parts.append(segment.everything)
            continue
        sources = np.zeros(segment.source_count, dtype=bool)
        sources[places] = True
        parts.append(segment.without(np.zeros(len(segment), dtype=bool), sources))
    return parts


def nothing_found(documents: Path, skipped: Sequence[Skipped]) -> InputError:
    """The error of a folder in which there is nothing to index."""
    why = f"; {len(skipped)} skipped, such as {skipped[0].source!r}: {skipped[0].reason}" if skipped else ""
    return InputError(
        f"no documents found in {str(documents)!r}{why}",
        hint="Markdown, text, HTML, PDF, Office files, e-mail, data and source code are read, hidden files are not; "
        "`ragweave nodes loaders` lists the suffixes",
    )
