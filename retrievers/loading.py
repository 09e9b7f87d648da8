"""A folder of Markdown and text as source texts with their front matter; what cannot be read, with the reason."""

from __future__ import annotations

import datetime
import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ragweave.orchestrator.errors import InputError, did_you_mean

EXTENSIONS = (".md", ".markdown", ".txt", ".rst")
MAX_BYTES = 100 * 1024 * 1024
MAX_FRONT_MATTER = 64 * 1024

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)(?:^)(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_PLAIN_LINE = re.compile(r"^([A-Za-z][\w-]*):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_FIRST_HEADING = re.compile(r"^#[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_UNDERLINED = re.compile(r"\A\s*([^\n]+)\n(?:=+|-{3,}|~{3,})[ \t]*$", re.MULTILINE)
_CONTROL = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be read: `source` is its path relative to the indexed folder, with forward slashes."""

    source: str
    path: Path


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceText:
    """A decoded file. Offsets of passages count characters of `text`, which includes the front matter."""

    source: str
    text: str
    body: int = 0
    """Where the text after the front matter starts."""
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What a user should know about how the file was read."""


def find_files(documents: Path) -> Iterator[Found | Skipped]:
    """Every file under a folder whose extension is read, sorted by path; or the one file that `documents` is.

    Hidden files and folders are passed over. Links are followed, each folder and each linked file once.
    Raises InputError if there is no such folder or file.
    """
    if not documents.exists():
        siblings = [entry.name for entry in _entries(documents.parent)] if documents.parent.is_dir() else []
        near = did_you_mean(documents.name, siblings)
        raise InputError(f"the documents folder {str(documents)!r} does not exist{near if 'mean' in near else ''}")
    if documents.is_file():
        yield Found(documents.name, documents)
        return
    yield from sorted(_walk(documents, "", {_identity(documents)}), key=lambda file: file.source)


def read(found: Found) -> bytes | Skipped:
    """The bytes of a file, or why it is not read: too large, not a file, no permission."""
    try:
        status = found.path.stat()
        if not stat.S_ISREG(status.st_mode):
            return Skipped(found.source, "not a regular file")
        if status.st_size > MAX_BYTES:
            return Skipped(found.source, f"larger than 100 MB ({status.st_size / 1024**2:,.0f} MB)")
        with found.path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        return Skipped(found.source, _plain(error))
    return data if len(data) <= MAX_BYTES else Skipped(found.source, "larger than 100 MB (it grew while being read)")


def parse(source: str, data: bytes) -> SourceText | Skipped:
    """The text of a file's bytes with its title and front matter, or why it is no text."""
    decoded = _decode(data)
    if decoded is None:
        return Skipped(source, "binary, or in an encoding that is neither UTF-8, UTF-16 nor Latin-1")
    text, notes = decoded
    if not text.strip():
        return Skipped(source, "empty")
    metadata, body, complaint = _front_matter(text)
    if complaint:
        notes = (*notes, complaint)
    if not text[body:].strip():
        return Skipped(source, "empty after its front matter")
    title = metadata.get("title")
    if not isinstance(title, str) or not title.strip():
        title = _title(source, text[body : body + 20_000])
    return SourceText(source, text, body, " ".join(title.split()), metadata, notes)


def digest(data: bytes) -> str:
    """What tells a changed file from an unchanged one."""
    return hashlib.sha256(data).hexdigest()


def _walk(folder: Path, prefix: str, seen: set[tuple[int, int]]) -> Iterator[Found | Skipped]:
    try:
        entries = _entries(folder)
    except OSError as error:
        yield Skipped(prefix or ".", _plain(error))
        return
    for entry in entries:
        if entry.name.startswith("."):
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
            yield from _walk(Path(entry.path), source + "/", seen)
        elif Path(entry.name).suffix.lower() in EXTENSIONS:
            yield Found(source, Path(entry.path))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _plain(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _decode(data: bytes) -> tuple[str, tuple[str, ...]] | None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16"), ("read as UTF-16",)
        except UnicodeDecodeError:
            return None
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    if len(_CONTROL.findall(text)) > len(text) / 100:
        return None
    return text, ("not UTF-8; read as Latin-1 (Windows-1252)",)


def _front_matter(text: str) -> tuple[dict[str, Any], int, str]:
    """The metadata, where the body starts, and what was wrong with it."""
    match = _FRONT_MATTER.match(text[: MAX_FRONT_MATTER + 16]) if text.startswith("---") else None
    if match is None:
        return {}, 0, ""
    block = match[1]
    try:
        loaded = yaml.load(block, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 2})" if mark is not None else ""
        plain = {key: value.strip("'\"") for key, value in _PLAIN_LINE.findall(block) if value}
        return plain, match.end(), f"its front matter is not valid YAML{where}; only its plain lines were read"
    if loaded is None:
        return {}, match.end(), ""
    if not isinstance(loaded, dict):
        return {}, 0, ""  # a document that begins with a rule, not with front matter
    return {str(key): _plain_json(value) for key, value in loaded.items()}, match.end(), ""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe, and without aliases, which can blow a few lines up to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, "aliases are not read", event.start_mark)
        return super().compose_node(parent, index)


def _plain_json(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain_json(item) for item in value]
    return str(value)


def _title(source: str, start: str) -> str:
    suffix = Path(source).suffix.lower()
    match = _FIRST_HEADING.search(start) if suffix in (".md", ".markdown") else None
    match = match or (_UNDERLINED.search(start) if suffix != ".txt" else None)
    return match[1] if match else re.sub(r"[-_\s]+", " ", Path(source).stem).strip()
