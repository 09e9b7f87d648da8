"""Text files under one folder: listed, read, searched and, if allowed, written.

A path is walked from the folder's own descriptor, part by part, without following links; a link is read and walked
itself, and may not lead out. So nothing that changes on the disk meanwhile (a folder that becomes a link) opens a way.
Linux and macOS.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from ragweave.orchestrator.errors import ResourceError, ToolError

MOST_LINKS = 16
DEEPEST = 40
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe that nobody writes must not be waited for
_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Entry(BaseModel):
    """A file or a folder: its path from the root, and the bytes of a file."""

    model_config = ConfigDict(frozen=True)

    path: str
    folder: bool = False
    bytes: int = 0


class Part(BaseModel):
    """Lines of a file; `first` counts from 1."""

    model_config = ConfigDict(frozen=True)

    path: str
    text: str
    first: int
    lines: int
    """Of the whole file."""
    truncated: bool = False


class Match(BaseModel):
    """A line that holds what was searched; lines count from 1."""

    model_config = ConfigDict(frozen=True)

    path: str
    line: int
    text: str


class Found(BaseModel):
    """What a search or a listing gave; `truncated` if there is more, or time was up."""

    model_config = ConfigDict(frozen=True)

    matches: tuple[Match, ...] = ()
    entries: tuple[Entry, ...] = ()
    truncated: bool = False


class Files(BaseModel):
    """The text files of one folder. Names that begin with a dot are not there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path = Field(description="The folder; nothing outside of it is reached.")
    write: bool = Field(False, description="Files may be written, too.")
    max_bytes: PositiveInt = Field(1_000_000, description="Bytes of a file that is read, searched or written.")
    max_lines: PositiveInt = Field(400, description="Lines that one reading gives.")
    max_found: PositiveInt = Field(200, description="Entries or lines that a listing or a search gives.")
    timeout: PositiveFloat = Field(10.0, description="Seconds that a search may take.")

    def entries(self, folder: str = ".", pattern: str = "*") -> Found:
        """The files and folders below a folder whose path from there fits a pattern such as `*.md` (`*` goes over
        slashes), in order. Raises ToolError."""
        kept: list[Entry] = []
        pattern = pattern or "*"
        for name, one in self._below(folder):
            if fnmatchcase(name, pattern):
                if len(kept) == self.max_found:
                    return Found(entries=tuple(kept), truncated=True)
                kept.append(one)
        return Found(entries=tuple(kept))

    def read(self, path: str, first: int = 1, lines: int | None = None) -> Part:
        """Lines of a text file, from `first` on. Raises ToolError for one that is not there, too large, or no text."""
        if first < 1 or (lines is not None and lines < 1):
            raise ToolError("lines count from 1, and at least one is read")
        text = self._text(path)
        all_lines = text.splitlines(keepends=True)
        if first > max(len(all_lines), 1):
            raise ToolError(f"{path!r} has {len(all_lines)} lines, no line {first}")
        kept = all_lines[first - 1 : first - 1 + min(lines or self.max_lines, self.max_lines)]
        truncated = first - 1 + len(kept) < len(all_lines)
        return Part(path=path, text="".join(kept), first=first, lines=len(all_lines), truncated=truncated)

    def search(self, words: str, folder: str = ".", pattern: str = "*", *, match_case: bool = False) -> Found:
        """The lines that hold these words as they are written, in the files that fit a pattern; files that are too
        large or no text are passed over. Raises ToolError."""
        if not words.strip():
            raise ToolError("there is nothing to search for")
        wanted = words if match_case else words.casefold()
        end, found = time.monotonic() + self.timeout, list[Match]()
        for name, entry in self._below(folder):
            if time.monotonic() > end:
                return Found(matches=tuple(found), truncated=True)
            if entry.folder or entry.bytes > self.max_bytes or not fnmatchcase(name, pattern or "*"):
                continue
            try:
                text = self._text(entry.path)
            except ToolError:
                continue
            for number, line in enumerate(text.splitlines(), 1):
                if wanted in (line if match_case else line.casefold()):
                    if len(found) == self.max_found:
                        return Found(matches=tuple(found), truncated=True)
                    found.append(Match(path=entry.path, line=number, text=line.strip()[:500]))
        return Found(matches=tuple(found))

    def save(self, path: str, text: str, *, overwrite: bool = False) -> Entry:
        """Write a text file as a whole or not at all, and the folders above it. Raises ToolError."""
        if not self.write:
            raise ToolError("files may only be read here")
        data = text.encode("utf-8", "replace")
        if len(data) > self.max_bytes:
            raise ToolError(f"a file may have {self.max_bytes:,} bytes, and this has {len(data):,}")
        parts = _parts(path)
        if not parts:
            raise ToolError(f"{path!r} is no name of a file")
        with self._folder(parts[:-1], make=True) as folder, _telling(path):
            self._put(folder, parts[-1], data, path, overwrite)
        return Entry(path="/".join(parts), bytes=len(data))

    def _put(self, folder: int, name: str, data: bytes, path: str, overwrite: bool) -> None:
        with contextlib.suppress(FileNotFoundError):
            there = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(there.st_mode):
                raise ToolError(f"{path!r} is no file, and is not replaced")
            if not overwrite:
                raise ToolError(f"{path!r} is there already", hint="say that it may be overwritten")
        draft = f".{name[:100]}.{secrets.token_hex(6)}"
        handle = os.open(draft, _DRAFT, 0o644, dir_fd=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if overwrite:
                os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
            else:  # a file that came up meanwhile is not lost
                os.link(draft, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
                os.unlink(draft, dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft, dir_fd=folder)
            raise

    def _text(self, path: str) -> str:
        parts = _parts(path)
        with self._folder(parts[:-1]) as above, _telling(path):
            handle = self._open(above, parts, path)
            try:
                kind = os.fstat(handle).st_mode
                if stat.S_ISDIR(kind):
                    raise ToolError(f"{path!r} is a folder", hint="list it instead")
                if not stat.S_ISREG(kind):
                    raise ToolError(f"{path!r} is no file")
                with os.fdopen(handle, "rb", closefd=False) as file:
                    data = file.read(self.max_bytes + 1)
            finally:
                os.close(handle)
        if len(data) > self.max_bytes:
            raise ToolError(f"{path!r} has more than {self.max_bytes:,} bytes")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ToolError(f"{path!r} is no text in UTF-8") from None
        if "\0" in text:
            raise ToolError(f"{path!r} is no text")
        return text

    def _open(self, above: int, parts: tuple[str, ...], path: str) -> int:
        """A descriptor of a file in a folder; a link is followed as far as it stays inside."""
        if not parts:
            raise ToolError(f"{path!r} is a folder", hint="list it instead")
        try:
            return os.open(parts[-1], _FILE, dir_fd=above)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EMLINK):
                raise
        walked = self._resolved(parts, path)
        with self._folder(walked[:-1], links=False) as folder:
            return os.open(walked[-1] if walked else ".", _FILE, dir_fd=folder)

    @contextlib.contextmanager
    def _folder(self, parts: tuple[str, ...], *, make: bool = False, links: bool = True) -> Iterator[int]:
        """A descriptor of a folder below the root. Raises ToolError, ResourceError for a root that is not there."""
        try:
            handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # it may be a link: it is ours
        except OSError as error:
            raise ResourceError(f"the folder {str(self.root)!r} cannot be opened: {error.strerror}") from None
        try:
            for index, part in enumerate(parts):
                try:
                    deeper = self._enter(handle, part, make=make)
                except OSError as error:
                    if links and error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
                        shown = "/".join(parts)
                        walked = self._resolved(parts[: index + 1], shown) + parts[index + 1 :]
                        with self._folder(walked, make=make, links=False) as found:
                            yield found
                        return
                    raise _error(error, "/".join(parts)) from None
                os.close(handle)
                handle = deeper
            yield handle
        finally:
            os.close(handle)

    def _enter(self, above: int, name: str, *, make: bool) -> int:
        try:
            return os.open(name, _FOLDER, dir_fd=above)
        except FileNotFoundError:
            if not make:
                raise
            os.mkdir(name, 0o755, dir_fd=above)
            return os.open(name, _FOLDER, dir_fd=above)

    def _resolved(self, parts: tuple[str, ...], path: str) -> tuple[str, ...]:
        """The parts of a path without links in it. Raises ToolError for a link that leads out of the root."""
        done, left, links = list[str](), list(reversed(parts)), 0
        while left:
            part = left.pop()
            if part == "..":
                if not done:
                    raise ToolError(f"{path!r} leads out of the folder")
                done.pop()
                continue
            with self._folder(tuple(done), links=False) as above, _telling(path):
                try:
                    target = os.readlink(part, dir_fd=above)
                except OSError as error:
                    if error.errno != errno.EINVAL:  # what is no link
                        raise
                    done.append(part)
                    continue
            links += 1
            if target.startswith("/") or links > MOST_LINKS:
                raise ToolError(f"{path!r} leads out of the folder")
            left += [one for one in reversed(target.split("/")) if one not in ("", ".")]
        return tuple(done)

    def _below(self, folder: str) -> Iterator[tuple[str, Entry]]:
        """The entries below a folder, each with its path from there; links are not followed."""
        start = _parts(folder)
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            inner = waiting.pop()
            with self._folder(start + inner, links=not inner) as handle:
                with os.scandir(handle) as listed:
                    found = sorted(listed, key=lambda one: one.name)
                for one in found:
                    if one.name.startswith(".") or not _utf8(one.name):
                        continue
                    path = "/".join((*start, *inner, one.name))
                    if one.is_dir(follow_symlinks=False) and len(inner) < DEEPEST:
                        yield "/".join((*inner, one.name)), Entry(path=path + "/", folder=True)
                    elif one.is_file(follow_symlinks=False):
                        size = one.stat(follow_symlinks=False).st_size
                        yield "/".join((*inner, one.name)), Entry(path=path, bytes=size)
                deeper = [(*inner, one.name) for one in found if one.is_dir(follow_symlinks=False)]
                waiting += [one for one in reversed(deeper) if not one[-1].startswith(".") and len(one) <= DEEPEST]


def _parts(path: str) -> tuple[str, ...]:
    """A path from the root in its parts. Raises ToolError for one that leads elsewhere or to hidden files."""
    if "\0" in path or "\\" in path or len(path) > 1000:
        raise ToolError(f"{path[:100]!r} is no path", hint="write it as folder/file.md")
    if path.startswith(("/", "~")):
        raise ToolError(f"{path!r} is not below the folder", hint="write it as folder/file.md")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        raise ToolError(f"{path!r} leads out of the folder")
    if any(part.startswith(".") for part in parts):
        raise ToolError(f"{path!r} is hidden")
    return parts


def _utf8(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


@contextlib.contextmanager
def _telling(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _error(error, path) from None


def _error(error: OSError, path: str) -> ToolError:
    if error.errno == errno.ENOENT:
        return ToolError(f"there is no {path!r}")
    if error.errno == errno.EEXIST:
        return ToolError(f"{path!r} is there already", hint="say that it may be overwritten")
    if error.errno == errno.ENOTDIR:
        return ToolError(f"there is no {path!r}: a part of it is a file")
    return ToolError(f"{path!r} cannot be used: {error.strerror}")
