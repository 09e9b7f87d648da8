"""How an index lies on disk: whole generations, one of which a small file names as current.

    index/
      current               the name of the generation that is read
      lock                  held by whoever writes; holds its process id
      generation-000002/    manifest.json and the files that it lists with size and checksum

A new generation is made beside the old one, of new files and of links to files of the old one, and becomes current by
one rename, so that a reader, a crash or a second writer never meets half an index.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ragweave.orchestrator.errors import IndexUnusable

FORMAT = 2
Files = Mapping[str, Sequence[int]]
"""The size and the checksum of each file."""
_POINTER, _LOCK, _MANIFEST = "current", "lock", "manifest.json"
_CHECKED_BYTES = 16 * 1024 * 1024
_PAUSE = 0.005


class NewerIndex(IndexUnusable):
    """The index was written by a newer version: it is not read, and not written over."""


def exists(index: Path) -> bool:
    """True if a folder holds an index, whether or not it can be read."""
    return (index / _POINTER).is_file()


def stamp(index: Path) -> tuple[int, int, int] | None:
    """What is another value once a newer generation is current; None if there is no index. Costs microseconds."""
    try:
        status = os.stat(f"{index}/{_POINTER}")  # noqa: PTH116 - before every search, and a path takes its time
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def current(index: Path, known: Files | None = None) -> tuple[Path, dict[str, Any]]:
    """The folder of the generation that is current, and its manifest.

    Raises IndexUnusable if there is none, if it is of another format, or if a file of it is missing or damaged. Files
    up to 16 MB are compared with their checksums, larger ones with their size; those that are `known`, not at all.
    """
    try:
        folder = index / current_name(index)
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        _check_format(index, manifest["format"])
        for file, (size, checksum) in manifest["files"].items():
            if known is None or list(known.get(file, ())) != [size, checksum]:
                _check(index, folder / file, size, checksum)
    except IndexUnusable:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(index, f"{type(error).__name__}: {error}") from None
    return folder, manifest


def current_name(index: Path) -> str:
    """The name of the generation that is current. Raises IndexUnusable, OSError."""
    name = (index / _POINTER).read_text(encoding="ascii", errors="replace").strip()
    if not name.startswith("generation-") or Path(name).name != name:
        raise damaged(index, f"{_POINTER} does not name a generation")
    return name


def damaged(index: Path, what: str) -> IndexUnusable:
    """The error for an index that is there and cannot be read."""
    return IndexUnusable(f"the index {str(index)!r} is damaged: {what}", hint="delete the folder and build it again")


@contextlib.contextmanager
def writing(index: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the right to write an index, after up to `patience` seconds of waiting for it.

    Raises IndexUnusable if another process has it, or the folder is read-only.
    """
    give_up = time.monotonic() + patience
    try:
        index.mkdir(parents=True, exist_ok=True)
        lock = (index / _LOCK).open("a+", encoding="ascii")
    except OSError as error:
        raise cannot_write(index, error) from None
    with lock:
        while not (taken := _take(lock)) and time.monotonic() < give_up:
            time.sleep(_PAUSE)
        if not taken:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise IndexUnusable(
                f"the index {str(index)!r} is being written by another process (pid {owner})",
                hint="wait until it is done",
            )
        try:
            lock.truncate(0)
            os.write(lock.fileno(), str(os.getpid()).encode())  # nothing is left to be written when it is closed
        except OSError as error:
            raise cannot_write(index, error) from None
        _sweep(index, "draft-*")
        # A writer that died behind its last rename left an old generation, and this one may have nothing to write.
        with contextlib.suppress(IndexUnusable, OSError):
            _sweep(index, "generation-*", keep=current_name(index))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                lock.truncate(0)


@contextlib.contextmanager
def new_generation(
    index: Path, manifest: dict[str, Any], old: Path | None = None, kept: Files | None = None
) -> Iterator[Path]:
    """A folder to write into; it becomes the current generation if the block ends without an error.

    To be used inside `writing`. Files of the `old` generation that are `kept` are linked into it, and must not be
    changed. The manifest gets `format` and `files`.
    """
    kept = kept or {}
    try:
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=index))
    except OSError as error:
        raise cannot_write(index, error) from None
    try:
        for name in kept:
            _link((old or draft) / name, draft / name)
        yield draft
        _seal(draft, manifest, kept)
        number = max((_number(path) for path in index.glob("generation-*")), default=0) + 1
        target = index / f"generation-{number:06d}"
        draft.rename(target)
        pointer = index / f"{_POINTER}.draft"
        with pointer.open("w", encoding="ascii") as file:
            file.write(target.name)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(index)
        pointer.replace(index / _POINTER)
        _sync_folder(index)
    except OSError as error:
        raise cannot_write(index, error) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    _sweep(index, "generation-*", keep=target.name)


def cannot_write(index: Path, error: OSError) -> IndexUnusable:
    """The error for a folder that does not let itself be written."""
    reason = (error.strerror or str(error)).lower()
    hint = "free some space" if error.errno == errno.ENOSPC else "choose another folder, or change its permissions"
    return IndexUnusable(f"the index folder {str(index)!r} cannot be written: {reason}", hint=hint)


def _check_format(index: Path, found: int) -> None:
    if found == FORMAT:
        return
    said = f"the index {str(index)!r} has format {found}, this version reads {FORMAT}"
    if found > FORMAT:
        raise NewerIndex(
            said, hint="a newer ragweave wrote it: update this one, or delete the folder and build it again"
        )
    raise IndexUnusable(said, hint="build it again")


def _link(source: Path, target: Path) -> None:
    """The same file under a second name; a copy where the file system has no such thing."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
        with target.open("rb+") as file:
            os.fsync(file.fileno())


def _check(index: Path, path: Path, size: int, checksum: int) -> None:
    found = path.stat().st_size
    if found != size:
        raise damaged(index, f"{path.name} has {found} bytes instead of {size}")
    if size <= _CHECKED_BYTES and zlib.crc32(path.read_bytes()) != checksum:
        raise damaged(index, f"{path.name} has changed since it was written")


def _seal(draft: Path, manifest: dict[str, Any], kept: Files) -> None:
    """Write the manifest, and see to it that every byte is on the disk."""
    files: dict[str, Sequence[int]] = dict(kept)
    for path in sorted(draft.iterdir()):
        if path.name in kept:
            continue
        checksum = 0
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                checksum = zlib.crc32(block, checksum)
            os.fsync(file.fileno())
        files[path.name] = (path.stat().st_size, checksum)
    with (draft / _MANIFEST).open("w", encoding="utf-8") as file:
        json.dump({**manifest, "format": FORMAT, "files": files}, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(draft)


def _sweep(index: Path, pattern: str, keep: str = "") -> None:
    """Remove the drafts of writers that died, or old generations. Those who have them open can still read them."""
    for path in index.glob(pattern):
        if path.name != keep:
            shutil.rmtree(path, ignore_errors=True)


def _number(path: Path) -> int:
    digits = path.name.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows has no handle for it, and orders the rename itself
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take(lock: IO[str]) -> bool:
    """Lock an open file for this process; the system lets go of it when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:
        return _take_on_windows(lock)
    try:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _take_on_windows(lock: IO[str]) -> bool:
    import msvcrt

    try:
        lock.seek(1 << 20)  # beyond the process id, which others must be able to read
        msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        lock.seek(0)
    except OSError:
        return False
    return True
