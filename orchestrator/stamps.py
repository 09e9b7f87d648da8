"""Whether a file is the one that it was: by its stamp, without reading it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[int, int, int] | None
"""Time of the last change in nanoseconds, size in bytes, inode; None if there is no such file."""
_LONGEST = 200


def stamp(file: Path) -> Stamp:
    """The stamp of a file as it is now."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def named_files(texts: Iterable[str], folder: Path) -> list[Path]:
    """The paths that texts in settings may name, relative to `folder`, whether or not there is such a file."""
    looks = (text for text in texts if "." in text and len(text) <= _LONGEST and not set(text) & set("\n\0{}*?"))
    return [folder / Path(text).expanduser() for text in looks if "://" not in text]
