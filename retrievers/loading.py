"""The files of a folder that are read, and their bytes; what is left out, with the reason."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ragweave.orchestrator.errors import InputError, did_you_mean
from ragweave.retrievers.loaders import suffix_of, suffixes, version_of
from ragweave.retrievers.sourcetext import Found, Skipped

MAX_BYTES = 100 * 1024 * 1024

_NOT_DOCUMENTS = {"node_modules", "__pycache__", "site-packages"}
_WILD = re.compile(r"[*?{]")
_MADE = (".min.js", "-lock.json", ".lock.json")
# Documents that nothing here reads, and what programs that made them can save them as.
_INSTEAD = {
    "doc": "docx", "odt": "docx", "rtf": "docx", "pages": "docx", "xls": "xlsx", "xlsb": "xlsx", "ods": "xlsx",
    "numbers": "xlsx", "ppt": "pptx", "odp": "pptx", "mobi": "epub", "azw3": "epub", "djvu": "pdf",
}  # fmt: skip
_ATTEMPTS = 3
_PAUSE = 0.1


def find_files(documents: Path) -> Iterator[Found | Skipped]:
    """Every file under a folder whose suffix is read, sorted by path; or the one file that `documents` is.

    A path that does not exist may be a pattern: of `docs/**/*.md` the files of that suffix are found. Hidden files and
    folders are passed over, and so are those that tools make: `node_modules`, virtual environments, lock files. Links
    are followed, each folder and each linked file once. Raises InputError if there is no such folder or file.
    """
    folder = folder_of(documents)
    if folder != documents and folder.is_dir():
        pattern = _pattern(documents.relative_to(folder).as_posix())
        for file in find_files(folder):
            if pattern.fullmatch(file.source):
                yield file
        return
    if not documents.exists():
        siblings = [entry.name for entry in _entries(documents.parent)] if documents.parent.is_dir() else []
        near = did_you_mean(documents.name, siblings)
        raise InputError(f"the documents folder {str(documents)!r} does not exist{near if 'mean' in near else ''}")
    if documents.is_file():
        yield Found(documents.name, documents)
        return
    found = _walk(documents, "", {_identity(documents)}, suffixes())
    yield from sorted(found, key=lambda file: file.source)


def folder_of(documents: Path) -> Path:
    """The folder that a pattern begins with, to which sources are relative; any other path as it is."""
    wild = [place for place, part in enumerate(documents.parts) if _WILD.search(part)]
    return Path(*documents.parts[: wild[0]]) if wild and not documents.exists() else documents


def read(found: Found) -> bytes | Skipped:
    """The bytes of a file, or why it is not read: too large, not a file, no permission, being written all the time."""
    try:
        for attempt in range(_ATTEMPTS):
            before = found.path.stat()
            if not stat.S_ISREG(before.st_mode):
                return Skipped(found.source, "not a regular file")
            if before.st_size > MAX_BYTES:
                return Skipped(found.source, f"larger than 100 MB ({before.st_size / 1024**2:,.0f} MB)")
            with found.path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
                after = os.fstat(file.fileno())
            if (before.st_size, before.st_mtime_ns) == (len(data), after.st_mtime_ns):
                return data
            if attempt + 1 < _ATTEMPTS:
                time.sleep(_PAUSE)
    except FileNotFoundError as error:
        return Skipped(found.source, _plain(error))
    except OSError as error:
        return Skipped(found.source, _plain(error), is_there=True)
    return Skipped(found.source, "it changes while it is read; index it again when it is written", is_there=True)


def digest(source: str, data: bytes) -> str:
    """What tells a changed file from an unchanged one: its bytes, and what reads them."""
    found = hashlib.sha256(data)
    if version := version_of(source):
        found.update(f"\0{version}".encode())
    return found.hexdigest()


def _pattern(text: str) -> re.Pattern[str]:
    """What a path matches: `**/` any folders, `*` and `?` within one name, `{md,pdf}` one of these."""
    rules = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\{[^{}]*\})", text)
    found = ""
    for part in parts:
        if part.startswith("{") and part.endswith("}"):
            found += f"(?:{'|'.join(map(re.escape, part[1:-1].split(',')))})"
        else:
            found += rules.get(part, re.escape(part))
    return re.compile(found)


def _walk(folder: Path, prefix: str, seen: set[tuple[int, int]], wanted: frozenset[str]) -> Iterator[Found | Skipped]:
    try:
        entries = _entries(folder)
    except OSError as error:
        yield Skipped(prefix or ".", _plain(error))
        return
    if prefix and any(entry.name == "pyvenv.cfg" for entry in entries):
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _NOT_DOCUMENTS:
            continue
        source = prefix + entry.name
        try:
            source.encode()
        except UnicodeEncodeError:
            yield Skipped(ascii(source), "its name is not valid UTF-8")
            continue
        try:
            is_folder = entry.is_dir()
            identity = _identity(Path(entry.path)) if is_folder or entry.is_symlink() else None
        except OSError as error:
            yield Skipped(source, "a link to nothing" if entry.is_symlink() else _plain(error))
            continue
        if identity is not None:
            if identity in seen:
                continue
            seen.add(identity)
        if is_folder:
            yield from _walk(Path(entry.path), source + "/", seen, wanted)
        elif suffix_of(entry.name) in wanted and not entry.name.endswith(_MADE):
            yield Found(source, Path(entry.path))
        elif (other := _INSTEAD.get(suffix_of(entry.name))) is not None:
            yield Skipped(source, f"files of this format are not read; save it as .{other}")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _plain(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
