"""A folder of documents into an index in a database: only what changed is read and embedded again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.passages import encoded
from ragweave.orchestrator.values import Document
from ragweave.retrievers import chunking
from ragweave.retrievers.indexes.columns import Columns
from ragweave.retrievers.indexes.entries import Progress, Tell
from ragweave.retrievers.indexes.filled import FilledIndex, KnownSource, NewSource, Shelf, vectors_of
from ragweave.retrievers.indexes.indexing import IndexReport, nothing_found
from ragweave.retrievers.indexes.passagerows import Row
from ragweave.retrievers.loaders import parse
from ragweave.retrievers.loading import digest, find_files, read
from ragweave.retrievers.sourcetext import Found, Skipped, SourceText

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources


def fill(
    index: FilledIndex,
    resources: Resources,
    embedder: Embedder | None,
    progress: Tell | None = None,
) -> IndexReport:
    """Index the folder that `index` names, or bring it up to date; passages that were added otherwise stay.

    Files whose content did not change are neither cut nor embedded again; what is indexed of a file stays while it
    cannot be read for the moment. Blocks; an error or a Ctrl-C before the end leaves the index as it was. Raises
    InputError if there is nothing to index, IndexUnusable.
    """
    started, began = time.monotonic(), time.time()
    tell = progress or (lambda progress: None)
    documents = index.folder(resources)
    files = list(find_files(documents))
    if not any(isinstance(file, Found) for file in files):
        raise nothing_found(documents, [file for file in files if isinstance(file, Skipped)])
    with index.filling(resources, embedder) as shelf:
        gathered = _Gathered(index, shelf, tell)
        for count, file in enumerate(files, start=1):
            gathered.take(file)
            tell(Progress("read", count, len(files)))
        gone = sorted(shelf.known.keys() - gathered.there)
        if not gathered.there:
            raise nothing_found(documents, gathered.skipped)
        fresh = gathered.embedded(embedder)
        if fresh or gone or shelf.rebuilt:
            tell(Progress("write", 0, 1))
            shelf.put(fresh, gone, began)
            tell(Progress("write", 1, 1))
    changed = len(fresh.keys() & shelf.known.keys())
    now = [new.known for new in fresh.values()]
    now += [shelf.known[source] for source in gathered.there - fresh.keys()]
    return IndexReport(
        added=len(fresh) - changed,
        changed=changed,
        deleted=len(gone),
        unchanged=len(gathered.there) - len(fresh),
        skipped=tuple(gathered.skipped),
        notes=tuple(gathered.notes),
        chunks=sum(one.passages for one in now),
        vectors=sum(one.vectors for one in now),
        embedder=embedder.identity if embedder is not None else None,
        seconds=time.monotonic() - started,
        rebuilt=shelf.rebuilt,
        misfits=tuple(Columns.of((row.document for new in fresh.values() for row in new.rows), index.fields)[1]),
        how=index.counted(resources).how,
    )


class _Gathered:
    """The files of a folder, on their way into a database."""

    def __init__(self, index: FilledIndex, shelf: Shelf, tell: Tell) -> None:
        self._chunks = index.cutting
        self._shelf = shelf
        self._tell = tell
        self._texts: dict[str, tuple[str, SourceText, list[Document]]] = {}
        self.skipped: list[Skipped] = []
        self.notes: list[tuple[str, str]] = []
        self.there: set[str] = set()
        """The files that the index will hold."""

    def take(self, file: Found | Skipped) -> None:
        """Read a file, unless it is known as it is."""
        known = self._shelf.known.get(file.source)
        data = file if isinstance(file, Skipped) else read(file)
        if isinstance(data, Skipped):
            self._skip(data)
            return
        fingerprint = digest(file.source, data)
        if known is not None and known.digest == fingerprint:
            self._stay(file.source, known)
            return
        text = parse(file.source, data)
        passages = [] if isinstance(text, Skipped) else chunking.passages(text, self._chunks)
        if isinstance(text, Skipped):
            self._skip(text)
        elif not passages:
            self._skip(Skipped(file.source, "empty"))
        else:
            self._texts[file.source] = (fingerprint, text, passages)
            self.there.add(file.source)
            self.notes += [(file.source, note) for note in text.notes]

    def embedded(self, embedder: Embedder | None) -> dict[str, NewSource]:
        """Those that were read, with their vectors."""
        passages = [one for _, _, some in self._texts.values() for one in some]
        bodies = [encoded(one) for one in passages]
        vectors = vectors_of(passages, embedder, lambda done, total: self._tell(Progress("embed", done, total)))
        rows = iter(map(Row, passages, bodies, vectors))
        found = {}
        for source, (fingerprint, text, some) in self._texts.items():
            mine = [next(rows) for _ in some]
            known = KnownSource(fingerprint, len(mine), sum(len(row.vectors) for row in mine), text.notes)
            found[source] = NewSource(known, mine)
        return found

    def _skip(self, skipped: Skipped) -> None:
        known = self._shelf.known.get(skipped.source)
        if known is not None and skipped.is_there:
            self._stay(skipped.source, known)
            skipped = Skipped(skipped.source, f"{skipped.reason}; it stays in the index as it was", skipped.is_there)
        self.skipped.append(skipped)

    def _stay(self, source: str, known: KnownSource) -> None:
        self.there.add(source)
        self.notes += [(source, note) for note in known.notes]
