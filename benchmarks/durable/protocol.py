"""What an engine offers whose runs are kept in a folder, and the sizes and texts that all of them share.

Each function opens the engine on a folder, as its documentation shows, and closes it when the block is left. A function
that an engine cannot honour is left out, and `UNSUPPORTED` says why.

This module is read by the interpreters of all peers: it imports the standard library only.
"""

from __future__ import annotations

import random
import string
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import cache
from pathlib import Path
from typing import Protocol

Turn = Callable[[str], Awaitable[str]]
Carry = Callable[[str], Awaitable[int]]
Count = Callable[[], Awaitable[int]]
Read = Callable[[str], Awaitable[int]]

RECIPES = Path(__file__).parents[2] / "examples" / "cookbook" / "recipes"

#: Turns of the conversation; characters of a question, and of an answer.
TURNS, HALF_TURN = 200, 1024

#: The conversation that is measured, and one that never took place.
THREAD, NOBODY = "measured", "nobody"

#: Steps of every chain.
STEPS = 20

#: Characters of the value that is carried along.
CARRIED = 1_000_000


@cache
def conversation() -> dict[str, str]:
    """Question -> answer, in order: real English, the cookbook's recipes one behind the other, none of it twice."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(RECIPES.glob("*.md")))
    parts = [text[at : at + HALF_TURN] for at in range(0, 2 * TURNS * HALF_TURN, HALF_TURN)]
    turns = dict(zip(parts[::2], parts[1::2], strict=True))
    if len(turns) != TURNS:
        raise ValueError(f"{RECIPES} has text for {len(turns)} turns, not for {TURNS}")
    return turns


def incompressible(number: int) -> str:
    """A text of random printable ASCII characters, another one for each number: the best packer saves 18%."""
    return "".join(random.Random(number).choices(string.ascii_letters + string.digits + string.punctuation, k=CARRIED))


class Adapter(Protocol):
    """The functions that the worker looks for in a module of this folder."""

    #: Scenario -> why this engine cannot do it.
    UNSUPPORTED: dict[str, str]
    #: Distributions whose versions are recorded beside the results.
    PACKAGES: tuple[str, ...]

    def chat(self, folder: Path) -> AbstractAsyncContextManager[Turn]:
        """A conversation: a call gives the answer to a question, and sees all earlier turns of `THREAD`."""

    def reading(self, folder: Path) -> AbstractAsyncContextManager[Read]:
        """A call gives how many messages a thread has, and loads them all and the newest run, by another process than
        the one that wrote them."""

    def carrying(self, folder: Path) -> AbstractAsyncContextManager[Carry]:
        """A call carries a text through `STEPS` nodes that leave it alone and add one to `n`; gives n."""

    def counting(self, folder: Path, full: bool) -> AbstractAsyncContextManager[Count]:
        """A call is a run of `STEPS` nodes that add one to `n`; gives n when everything is committed. `full`: each
        commit waits for the disk; else as the engine does it by default."""
