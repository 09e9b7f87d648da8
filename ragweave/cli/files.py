"""Files that the commands write: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from ragweave.cli.interrupts import unwinding


def write_whole(path: Path, data: bytes) -> None:
    """Put these bytes in place of a file's, or into a new file, by one rename; its permissions stay. Raises OSError."""
    with unwinding():
        _write(path, data)


def _write(path: Path, data: bytes) -> None:
    target = path.resolve()
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:  # it names the temporary file, which nobody knows
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, name)
        else:
            umask = os.umask(0)
            os.umask(umask)
            Path(name).chmod(0o666 & ~umask)
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def near(path: Path) -> str:
    """A path as it is shortest to read: relative to the working directory if it lies below it."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)
