"""What each problem code means, with a wrong and a right piece of a graph file: for `ragweave explain RW205`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from textwrap import fill

from ragweave.orchestrator.errors import RagweaveError

TABLES = ("language", "edges", "settings", "state", "shape", "conditions", "trust")
"""The modules of this folder that hold codes, in the order of their numbers; each has a tuple `CODES`."""


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of problem. `wrong` and `right` are pieces of a graph file; `whole` makes them a file."""

    code: str
    title: str
    text: str
    wrong: str
    right: str

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.title}", fill(self.text, 100)]
        parts += [
            f"{word}:\n\n{_indented(piece)}" for word, piece in (("Wrong", self.wrong), ("Right", self.right)) if piece
        ]
        return "\n\n".join(parts)


@cache
def codes() -> dict[str, Code]:
    """Every code that a check may give, in order."""
    found: dict[str, Code] = {}
    for table in TABLES:
        for code in import_module(f"ragweave.orchestrator.codes.{table}").CODES:
            found[code.code] = code
    return dict(sorted(found.items()))


def explain(code: str) -> Code:
    """What a code means; `rw205` and `205` are understood. Raises RagweaveError with the candidates."""
    number = re.sub(r"^(rw)?", "RW", code.strip().lower())
    known = codes()
    if number not in known:
        raise RagweaveError(f"there is no problem code {code!r}", hint=f"there are: {', '.join(known)}")
    return known[number]


_FRAME = {
    "schema": "schema: ragweave/v1\n",
    "inputs": "inputs: {question: str}\n",
    "outputs": "outputs: [answer]\n",
    "nodes": "nodes:\n  greet: {type: reply, text: Hello.}\n",
    "edges": "edges:\n  - start -> greet -> end\n",
}


def whole(piece: str) -> str:
    """A piece of a graph file as a whole file: the sections that it leaves out are those of a tiny graph."""
    missing = [text for key, text in _FRAME.items() if not re.search(rf"^{key}\b", piece, re.MULTILINE)]
    return "".join(missing) + piece


def _indented(piece: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in piece.strip("\n").splitlines())
