"""Bytes by their hash: images, sounds and files travel through a graph as the address of what they hold."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.values import BlobPart

MAX_BLOB = 20 << 20
"""What endpoints take in one request, about."""
MAX_MEMORY = 256 << 20

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
)
_SAME = {"audio/x-wav": "audio/wav", "audio/vnd.wave": "audio/wav", "audio/x-flac": "audio/flac"}


_stored: ContextVar[Callable[[str], bytes | None] | None] = ContextVar("bytes kept with the run", default=None)


@contextlib.contextmanager
def stored(find: Callable[[str], bytes | None]) -> Iterator[None]:
    """Inside, and in calls and tasks that begin there, bytes that are nowhere else are found by this function."""
    token = _stored.set(find)
    try:
        yield
    finally:
        _stored.reset(token)


def from_store(digest: str) -> bytes | None:
    """Bytes that are kept with the run that goes on here; None if there are none. May wait for a disk or a network."""
    find = _stored.get()
    return None if find is None else find(digest)


class Blobs:
    """A content-addressed store of bytes, thread-safe: in memory, and in `folder` too if there is one.

    Without a folder the blobs that were used longest ago are dropped once `max_memory` bytes are held.
    """

    def __init__(self, folder: Path | None = None, *, max_blob: int = MAX_BLOB, max_memory: int = MAX_MEMORY) -> None:
        self.folder = folder
        self.max_blob = max_blob
        self.max_memory = max_memory
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def put(self, data: bytes) -> str:
        """Keep these bytes; gives their SHA-256 in hexadecimal. Raises InputError for none or too many of them."""
        if not data:
            raise InputError("there are no bytes to keep: the blob is empty")
        if len(data) > self.max_blob:
            raise InputError(
                f"a blob of {len(data):,} bytes is too large: at most {self.max_blob:,} are kept",
                hint="make the image or sound smaller",
            )
        digest = hashlib.sha256(data).hexdigest()
        if self.folder is not None:
            _write(self._file(self.folder, digest), data)
        self._hold(digest, bytes(data))
        return digest

    def get(self, digest: str, name: str = "") -> bytes:
        """The bytes of a hash. Raises InputError if they are not here, or are not what their hash says."""
        with self._lock:
            if digest in self._held:
                self._held.move_to_end(digest)
                return self._held[digest]
        shown = name or digest[:12]
        if not _DIGEST.fullmatch(digest):
            raise InputError(f"{digest!r} is not the SHA-256 of a blob", hint="make parts with graph.attach(…)")
        if self.folder is None:
            raise InputError(
                f"the bytes of {shown!r} are not here: they were attached to another graph or process, or dropped",
                hint="attach them to this graph, or keep blobs in a folder: graph.blobs.folder = Path(…)",
            )
        file = self._file(self.folder, digest)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise InputError(f"the bytes of {shown!r} are not in {str(self.folder)!r}: {error.strerror}") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise InputError(f"the file {str(file)!r} was changed: its bytes are not those of {shown!r}")
        self._hold(digest, data)
        return data

    def __contains__(self, digest: object) -> bool:
        if digest in self._held:
            return True
        valid = isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None
        return self.folder is not None and valid and self._file(self.folder, str(digest)).is_file()

    def attach(self, source: str | Path | bytes, *, media_type: str = "", name: str = "") -> BlobPart:
        """A part of a message from a file or from bytes; what it is, is told by `media_type`, its bytes or its name.

        Raises InputError for a file that cannot be read.
        """
        if isinstance(source, (bytes, bytearray, memoryview)):
            data = bytes(source)
        else:
            path = Path(source)
            name = name or path.name
            try:
                if path.stat().st_size > self.max_blob:
                    raise InputError(
                        f"{str(path)!r} has {path.stat().st_size:,} bytes; at most {self.max_blob:,} can be attached"
                    )
                with path.open("rb") as file:
                    data = file.read(self.max_blob + 1)  # a pipe or a device has no size, and perhaps no end
            except OSError as error:
                raise InputError(f"{str(path)!r} cannot be attached: {error.strerror}") from None
            if not data:
                raise InputError(f"{str(path)!r} cannot be attached: it is empty")
        kind = media_type or media_type_of(data, name)
        general = kind.partition("/")[0]
        return BlobPart(
            type=general if general in ("image", "audio") else "file",
            blob=self.put(data),
            media_type=kind,
            name=name,
        )

    def take(self, digest: str, data: bytes) -> None:
        """Hold bytes in memory that are surely those of this hash."""
        self._hold(digest, data)

    def forget(self, digest: str) -> None:
        """Let go of the bytes of one hash in memory, if they are held."""
        with self._lock:
            self._size -= len(self._held.pop(digest, b""))

    def clear(self) -> None:
        """Let go of what is held in memory."""
        with self._lock:
            self._held.clear()
            self._size = 0

    def _hold(self, digest: str, data: bytes) -> None:
        with self._lock:
            if digest in self._held:
                self._held.move_to_end(digest)
                return
            self._held[digest] = data
            self._size += len(data)
            while self._size > self.max_memory and len(self._held) > 1:
                self._size -= len(self._held.popitem(last=False)[1])

    @staticmethod
    def _file(folder: Path, digest: str) -> Path:
        return folder / digest[:2] / digest


def media_type_of(data: bytes, name: str = "") -> str:
    """The media type by the first bytes, else by the name's ending, else `text/plain` or `application/octet-stream`."""
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] in (b"WEBP", b"WAVE"):
        return "image/webp" if data[8:12] == b"WEBP" else "audio/wav"
    import mimetypes  # reads the system's tables

    guessed = mimetypes.guess_type(name)[0] if name else None
    if guessed is not None:
        return _SAME.get(guessed, guessed)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain"


def _write(file: Path, data: bytes) -> None:
    """Write a file whole or not at all; one of that name is the same already."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    import tempfile  # only blobs kept in a folder need it

    descriptor, temporary = tempfile.mkstemp(dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        Path(temporary).replace(file)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
