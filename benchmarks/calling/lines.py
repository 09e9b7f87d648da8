"""The rows of the table of tools, and where data and tests lie."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"


@dataclass(frozen=True)
class Line:
    """One row: what was measured, what it should be, what it is, and whether that is enough."""

    what: str
    goal: str
    found: str
    met: bool = True
    details: tuple[str, ...] = ()
    """What is printed below the table."""


Measure = Callable[[], Coroutine[Any, Any, list[Line]]]


class LeftOut(Exception):
    """What cannot be measured here, with the reason."""


def data(name: str) -> Path:
    """A data set that lies beside the repository and is no part of it. Raises LeftOut where it is not there."""
    path = SHARED / name
    if not path.exists():
        raise LeftOut(f"../shared/data/{name} is not beside the repository")
    return path


def share(good: int, count: int) -> str:
    """`258 of 258`."""
    return f"{good:,} of {count:,}"
