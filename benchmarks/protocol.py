"""What an engine adapter offers, and the sizes that every adapter shares.

An adapter is a module in `engines/`. Each function builds one graph and returns a *call*: a coroutine
function that runs the graph once and returns a number that the worker compares with the right answer.
Building is never inside the measured call. A function that an engine cannot honour is left out, or says
why in `UNSUPPORTED`.

This module is read by the interpreters of all peers: it imports the standard library only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

Call = Callable[[], Awaitable[int]]
Stream = Callable[[int], AsyncIterator[str]]

#: Milliseconds of the steps of the two branches of `skewed`: 62 when they run freely, 100 with a barrier per step.
SKEWED_MS: tuple[tuple[int, ...], tuple[int, ...]] = ((20, 1, 20, 1, 20), (1, 20, 1, 20, 1))

#: One chat message of 1 KB.
MESSAGE = "m" * 1024

#: What every streamed token holds.
TOKEN = "token"

#: Nodes in the two chains of the `messages` scenario: what the longer costs more is the cost of its nodes alone.
MESSAGE_NODES = (20, 100)


class Adapter(Protocol):
    """The functions that the worker looks for in an engine module."""

    #: One import statement: what a user of the engine has to import before building a graph.
    IMPORT: str
    #: Scenario -> why this engine cannot do it.
    UNSUPPORTED: dict[str, str]
    #: Distributions whose versions are recorded beside the results.
    PACKAGES: tuple[str, ...]

    def chain(self, length: int) -> Call:
        """A chain of nodes that each add one to `n`; a call returns `length`."""

    def fanout(self, width: int) -> Call:
        """`width` nodes side by side, each giving 1, and one that joins them; a call returns the sum."""

    def loop(self, times: int) -> Call:
        """One node repeated while a condition on `n` holds; a call returns `times`."""

    def skewed(self) -> Call:
        """Two branches that sleep as `SKEWED_MS` says, and a join; a call returns the number of steps."""

    def messages(self, already: int, nodes: int) -> Call:
        """`nodes` nodes that each read the chat and add one message; a call returns the chat's length."""

    def stream(self, apart: bool) -> Stream:
        """One node that gives `count` tokens to a caller that iterates; `apart`: each in its own turn of the loop."""

    def load(self, length: int) -> Callable[[], int]:
        """Load a chain from YAML text, ready to run; a call returns the number of nodes."""
