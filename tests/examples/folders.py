"""The examples as their readers have them: a copy of a folder, without what earlier runs left beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EDGE = 1
"""Texts on the edge between two labels: they may fall to the other side on a CPU that computes with other precision."""


def copied(name: str, folder: Path) -> Path:
    """A copy of an example below a folder."""
    target = folder / name
    shutil.copytree(ROOT / "examples" / name, target, ignore=shutil.ignore_patterns(".ragweave", "__pycache__", ".env"))
    return target


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
