"""Resources of a graph that is run with those of another: a shipped graph, which is given models and tools by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator import sources
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources

if TYPE_CHECKING:
    from ragweave.orchestrator.models.prices import Prices

GRAPHS = "graphs"
"""The kind under which graphs inside a graph are kept: nobody lends them."""


class Lent(Resources):
    """A few resources of its own, all others those of `lender`, with its environment, prices and rules of approval."""

    def __init__(self, specs: Iterable[ResourceSpec], *, folder: Path, lender: Resources) -> None:
        super().__init__(specs, folder=folder, environ=lender.environ)
        self.lender = lender
        self.approval = lender.approval
        self.guarded = self.guarded or lender.guarded
        self.files = sources.standing_in()
        self.borrow(lender)

    @property
    def prices(self) -> Prices | None:
        """What models cost."""
        return self.lender.prices

    def names(self, kind: str) -> list[str]:
        """The names that either declares."""
        return list(dict.fromkeys([*super().names(kind), *self.lender.names(kind)]))

    def built(self, kind: str, name: str) -> Any | None:
        """The resource if it is built already, else None."""
        return super().built(kind, name) if self._own(kind, name) else self.lender.built(kind, name)

    def get(self, kind: str, name: str) -> Any:
        """The resource, built and opened. Raises ResourceError."""
        return super().get(kind, name) if self._own(kind, name) else self.lender.get(kind, name)

    def has(self, kind: str, name: str) -> bool:
        """True if either has it."""
        return self._own(kind, name) or self.lender.has(kind, name)

    def unknown(self, kind: str, name: str) -> ResourceError:
        """The error of a name that is none."""
        return self.lender.unknown(kind, name)

    def description(self, kind: str, name: str) -> str:
        """What a name stands for."""
        return super().description(kind, name) if self._own(kind, name) else self.lender.description(kind, name)

    def as_declared(self, kind: str, name: str) -> Any | None:
        """The resource with its settings, opened or not."""
        return super().as_declared(kind, name) if self._own(kind, name) else self.lender.as_declared(kind, name)

    def name_of(self, kind: str, resource: Any) -> str:
        """Under which name a built resource is found; empty if under none."""
        return super().name_of(kind, resource) or self.lender.name_of(kind, resource)

    def say(self, text: str) -> None:
        """Pass a notice to whoever listens."""
        self.lender.say(text)

    def say_once(self, text: str, *, about: str = "") -> None:
        """The same, but only once."""
        self.lender.say_once(text, about=about)

    def _own(self, kind: str, name: str) -> bool:
        return kind == GRAPHS or (kind, name) in self._specs or (kind, name) in self._built
