"""How a graph file names resources: the mark of a setting that holds a name, and a resource that is not built yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Uses(NamedTuple):
    """Marks a setting as the name of a resource of this kind; the checker looks the name up."""

    kind: str


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """A resource as a graph file declares it, before it is built."""

    kind: str
    name: str
    type: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    implementation: Any = None
    """A class or an object given in Python instead of a type's name; an object has its settings already."""
