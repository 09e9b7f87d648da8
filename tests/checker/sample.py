"""One fault: a graph with the word at fault in ⟦…⟧, the code of its problem, and what the message says."""

from __future__ import annotations

from typing import NamedTuple


class Sample(NamedTuple):
    """`says` are pieces of the message; `fix` replaces the marked word where the checker is sure."""

    name: str
    text: str
    code: str
    says: tuple[str, ...]
    fix: str | None = None
    severity: str = "error"
