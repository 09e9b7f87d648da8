"""The tools that a node may use, by the names under which a model knows them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Tool, ToolSpec
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.result import plain


class Offer(NamedTuple):
    """One tool of a toolset: what it is called there, and where it is."""

    name: str
    tool: Tool
    spec: ToolSpec

    @property
    def has_effects(self) -> bool:
        """True if a call changes something."""
        return self.spec.effects in ("write", "external")

    @property
    def may_repeat(self) -> bool:
        """True if a call that may have been made can be made again, and no person has to say whether it was."""
        return not self.has_effects or self.spec.idempotent

    def as_function(self) -> dict[str, Any]:
        """What a model is told of it, as Chat Completions and its like name the parts."""
        return {"name": self.name, "description": self.spec.description, "parameters": dict(self.spec.parameters)}

    def told(self, given: Any) -> str:
        """What a model reads of a result: a text as it is, else JSON, cut where it is too long."""
        if given is None:
            return "done"
        if isinstance(given, (bytes, bytearray)):
            try:
                given = given.decode()
            except UnicodeDecodeError:
                return f"{len(given):,} bytes that are no text"
        text = given if isinstance(given, str) else json.dumps(plain(given), ensure_ascii=False, default=_told)
        most = self.tool.max_result
        return text if len(text) <= most else f"{text[:most]}… (cut: {most:,} of {len(text):,} characters)"


class Toolset:
    """Tools by name: that of the resource, or `resource_tool` for one of several that a resource has."""

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        """Raises ResourceError for two tools of one name."""
        self._offers: dict[str, Offer] = {}
        for resource, tool in tools.items():
            for spec in tool.specs():
                name = f"{resource}_{spec.name}" if spec.name else resource
                if name in self._offers:
                    raise ResourceError(f"two tools are called {name!r}", hint="give one of the resources another name")
                self._offers[name] = Offer(name, tool, spec)

    def __iter__(self) -> Iterator[Offer]:
        return iter(self._offers.values())

    def find(self, name: str) -> Offer | None:
        """The tool of this name; None if there is none."""
        return self._offers.get(name)

    @property
    def names(self) -> Sequence[str]:
        """All names, in the order in which they are declared."""
        return tuple(self._offers)


def _told(value: Any) -> Any:
    """What JSON has no word for."""
    return sorted(map(plain, value), key=str) if isinstance(value, (set, frozenset)) else str(value)


async def toolset(ctx: Context, names: Sequence[str]) -> Toolset:
    """The tools of these resources, each opened at its first use. Raises ResourceError."""
    return Toolset({name: await ctx.resource("tools", name) for name in names})
