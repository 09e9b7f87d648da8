"""Trained heads on disk, under a hash of all that they were made of, so that the next start need not train."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.localdata import FOLDER, make_folder

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

CLASSIFIERS = Path(FOLDER) / "classifiers"
KEPT = 16
"""Files that a folder keeps; the oldest give way."""


def digest(*parts: Any) -> str:
    """A hash of JSON data."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()[:32]


def load(folder: Path, key: str) -> dict[str, Array] | None:
    """The arrays under this key; None if there are none that can be read."""
    import numpy as np

    try:
        with np.load(folder / f"{key}.npz", allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def save(folder: Path, key: str, arrays: Mapping[str, Array]) -> bool:
    """Keep the arrays under this key: all of them or nothing. False where nothing can be written."""
    import numpy as np

    temporary = ""
    try:
        make_folder(folder)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        Path(temporary).replace(folder / f"{key}.npz")
        kept = sorted(folder.glob("*.npz"), key=lambda one: one.stat().st_mtime, reverse=True)
        for old in kept[KEPT:]:
            old.unlink(missing_ok=True)
    except OSError:
        with contextlib.suppress(OSError):
            if temporary:
                Path(temporary).unlink(missing_ok=True)
        return False
    return True
