"""What graphs write beside themselves: runs, conversations, answers. It is nobody else's business."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

FOLDER = ".ragweave"
"""What the folder for such things is called."""
BUSY = 10.0
"""Seconds to wait for another process that is writing the same database."""


def make_folder(folder: Path) -> None:
    """Make a folder if it is not there. One called `.ragweave`, or in such a one, is kept out of version control: what
    people asked does not belong there, and the rest is made anew. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for own in (folder, *folder.parents):
        if own.name == FOLDER:
            with contextlib.suppress(OSError):  # whoever cannot write there did not make the folder either
                if not (own / ".gitignore").exists():
                    (own / ".gitignore").write_text("*\n", encoding="utf-8")
            return


def make_file(path: Path) -> None:
    """Make an empty file for its owner alone, and its folder; a file that is there stays as it is. Raises OSError.

    SQLite gives the files that it puts beside a database the mode of the database.
    """
    make_folder(path.parent)
    # One that is there is not even opened: whoever closes a file gives up every lock that his process has on it, those
    # of SQLite too. The next process that closes the database would then think itself the last, and delete the log.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def cache_folder() -> Path:
    """The folder for what can be made again: $RAGWEAVE_CACHE, else `ragweave` in the user's cache folder."""
    given = os.environ.get("RAGWEAVE_CACHE")
    if given:
        return Path(given).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "ragweave"
