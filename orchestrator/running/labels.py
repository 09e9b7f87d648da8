"""Whose words a call is made of: kept beside a call that may change something, or that runs another graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ragweave.orchestrator.approvals import UNTRUSTED
from ragweave.orchestrator.choices import words_of
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.running.events import call_path
from ragweave.orchestrator.running.state import Entry, origin_bit, origin_names, origin_of

USER = origin_bit("user")
OTHERS = sum(origin_bit(name) for name in UNTRUSTED)
"""The origins of words that neither the user nor the author of the graph has written."""


class Labels(dict[str, int]):
    """The origins of what a call reads, by state key."""

    __slots__ = ("state",)

    def __init__(self, state: Mapping[str, Entry], keys: Iterable[str]) -> None:
        super().__init__({key: origin_of(state[key]) for key in keys})
        self.state = state

    @property
    def mask(self) -> int:
        """The origins of all that the call reads."""
        found = 0
        for origin in self.values():
            found |= origin
        return found

    def request(self) -> list[str]:
        """What the user has given to the run, in words: the values that are of nobody else."""
        found: list[str] = []
        for entry in self.state.values():
            if not isinstance(entry, tuple) and origin_of(entry) == USER:
                value: Any = entry.value
                found += words_of(value)
        return found


def labels_of(ctx: Context) -> Labels | None:
    """Those of a call that is going on; None outside a run, and where nothing was kept."""
    known = ctx.run.origins.get(call_path(ctx.frame, ctx.node, ctx.visit)) if ctx.run is not None else None
    return known if isinstance(known, Labels) else None


def untrusted(mask: int) -> tuple[str, ...]:
    """The untrusted origins of a set, by name."""
    return origin_names(mask & OTHERS)
