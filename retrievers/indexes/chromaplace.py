"""A folder of Chroma, open in this process: one client for all who use it, and what lies beside Chroma's own files.

    passages.head.json      what the collection holds, and which one it is; written last, so its date says what is new
    passages.sources.json   the files that it was filled from
    lock                    held by whoever writes

Chroma keeps vectors in memory and does not notice what other processes write, so it is opened anew when a head changes.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ragweave.orchestrator.errors import IndexUnusable, MissingExtra, RagweaveError
from ragweave.retrievers.indexes import generations

_PATIENCE = 20.0
"""Seconds that an addition waits for another process."""
Stamp = tuple[int, int, int] | None

_places: dict[Path, Place] = {}
_guard = threading.Lock()


class Place:
    """Hands out the client, to many who read or to one who writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.users = 0
        self._client: Any = None
        self._collections: dict[str, Any] = {}
        self._stamps: dict[Path, Stamp] = {}
        self._free = threading.Condition()
        self._readers = 0
        self._held = False
        self._one_writer = threading.Lock()

    @contextlib.contextmanager
    def reading(self, head: Path) -> Iterator[Place]:
        """For searches: the state that the newest head tells of, which nobody changes meanwhile."""
        with self._free:
            self._free.wait_for(lambda: not self._held)
            self._refresh(head)
            self._readers += 1
        try:
            with explained(self.folder):
                yield self
        finally:
            with self._free:
                self._readers -= 1
                self._free.notify_all()

    @contextlib.contextmanager
    def writing(self, head: Path, *, waits: bool = True) -> Iterator[Place]:
        """For the only one who writes, in all processes. Raises IndexUnusable if another one does, at once or after
        some waiting."""
        with self._one_writer, generations.writing(self.folder, _PATIENCE if waits else 0.0):
            with self._free:
                self._refresh(head)
            with explained(self.folder):
                yield self

    @contextlib.contextmanager
    def alone(self, head: Path) -> Iterator[None]:
        """While this lasts, nobody in this process reads; to be used inside `writing`."""
        with self._free:
            self._free.wait_for(lambda: not self._held and not self._readers)
            self._held = True
        try:
            yield
        finally:
            with self._free:
                self._stamps[head] = stamp(head)
                self._held = False
                self._free.notify_all()

    def collection(self, name: str) -> Any:
        """A collection that is there."""
        if name not in self._collections:
            self._collections[name] = self._client.get_collection(name, embedding_function=None)
        return self._collections[name]

    def new_collection(self, name: str) -> Any:
        """An empty collection, in place of one that was left behind."""
        self.drop(name)
        settings = {"hnsw": {"space": "cosine", "ef_search": 200, "ef_construction": 200, "max_neighbors": 16}}
        self._collections[name] = self._client.create_collection(name, embedding_function=None, configuration=settings)
        return self._collections[name]

    def drop(self, name: str) -> None:
        """Delete a collection, if there is one of this name."""
        self._collections.pop(name, None)
        if name in self.names():
            self._client.delete_collection(name)

    def names(self) -> list[str]:
        """Of all collections."""
        return [one.name for one in self._client.list_collections()]

    @property
    def batch(self) -> int:
        """Records in one call at most."""
        return int(self._client.get_max_batch_size())

    def close(self) -> None:
        """Let go of the files, when those who read have what they want."""
        with self._free:
            self._free.wait_for(lambda: not self._readers and not self._held)
            self._close()

    def _refresh(self, head: Path) -> None:
        """Open the client, anew if another process has written since; the condition is held."""
        now = stamp(head)
        if self._client is not None and self._stamps.get(head, now) == now:
            self._stamps[head] = now
            return
        if self._client is not None:
            self._free.wait_for(lambda: not self._readers and not self._held)
            if self._stamps.get(head) == now:  # somebody else did it while this one waited
                return
        with explained(self.folder):
            self._close()
            self._client = _client(self.folder)
        self._stamps = {head: now}

    def _close(self) -> None:
        client, self._client = self._client, None
        self._collections = {}
        if client is not None:
            with contextlib.suppress(Exception):
                client.close()


def take(folder: Path) -> Place:
    """The place of a folder, for one more user."""
    folder = folder.resolve()
    with _guard:
        place = _places.setdefault(folder, Place(folder))
        place.users += 1
        return place


def leave(place: Place) -> None:
    """One user less; the last one closes it."""
    with _guard:
        place.users -= 1
        if place.users:
            return
        _places.pop(place.folder, None)
    place.close()


def stamp(file: Path) -> Stamp:
    """What is another value once a file was written anew; None if there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def write_json(file: Path, value: Any) -> None:
    """Write a file so that others see the old one or the new one, never a part. Raises IndexUnusable."""
    draft = file.with_name(f"{file.name}.draft")
    try:
        with draft.open("w", encoding="ascii") as out:
            json.dump(value, out)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    except OSError as error:
        raise generations.cannot_write(file.parent, error) from None


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Whatever Chroma raises as one line."""
    try:
        yield
    except RagweaveError:
        raise
    except BaseException as error:  # a panic in its Rust is a BaseException
        if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
            raise
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise IndexUnusable(
            f"the Chroma index {str(folder)!r} cannot be used: {said}",
            hint="if it is damaged, delete the folder and build it again",
        ) from None


def _client(folder: Path) -> Any:
    try:
        import chromadb
        from chromadb.config import Settings
    except ImportError:
        raise MissingExtra("the retriever type 'chroma'", "chromadb", "chroma") from None
    folder.mkdir(parents=True, exist_ok=True)
    # Chroma refuses a second client of a path whose settings differ; a program's own must not be in our way.
    return chromadb.PersistentClient(f"{folder}/.", settings=Settings(anonymized_telemetry=False))
