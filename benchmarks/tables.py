"""Tables of goals and what was measured: their rows, where data lies, how they are printed and put into a page."""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
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


console = Console(width=max(140, Console().width), highlight=False)


def print_table(title: str, measures: Sequence[Measure], about: str) -> int:
    """Measure what the command line asks for and print the table; 1 where a goal is missed.

    `title` in lower case marks the place in docs/benchmarks.md: `<!-- tools:begin -->`.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a part of the name of what is measured")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    given = parser.parse_args()
    chosen = [one for one in measures if given.only in one.__name__]
    if not chosen:
        parser.error(f"nothing is called {given.only!r}; there is {', '.join(one.__name__ for one in measures)}")
    if given.write and given.only:
        parser.error("--write takes the whole table: leave out --only")
    begin = time.perf_counter()
    lines, left = asyncio.run(measured(chosen))
    notes = [*left, f"This run took {time.perf_counter() - begin:.0f} s."]
    show(title, lines, notes)
    if given.write:
        write(title.lower(), lines, notes)
    return int(not all(line.met for line in lines))


async def measured(chosen: Sequence[Measure]) -> tuple[list[Line], list[str]]:
    """The rows, and what was left out and why."""
    lines: list[Line] = []
    left: list[str] = []
    for one in chosen:
        try:
            lines += await one()
        except LeftOut as reason:
            left.append(f"left out: {one.__name__}: {reason}")
    return lines, left


def show(title: str, lines: Sequence[Line], notes: Sequence[str]) -> None:
    """Print the table, and what there is to say about it."""
    table = Table("", "goal", "measured", title=title, title_justify="left")
    for line in lines:
        table.add_row(line.what, line.goal, line.found, style=None if line.met else "red")
    console.print(table)
    for text in (*(detail for line in lines for detail in line.details), *notes):
        console.print(text, markup=False)
    for line in lines:
        if not line.met:
            console.print(f"[red]missed[/]: {line.what}: {line.found}, the goal is {line.goal}")


def write(mark: str, lines: Sequence[Line], notes: Sequence[str]) -> None:
    """Put the table between the marks of the page. Raises ValueError if it has none."""
    rows = [("", "goal", "measured"), ("---", "---", "---"), *((one.what, one.goal, one.found) for one in lines)]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    details = "\n".join(f"- {detail}" for line in lines for detail in line.details)
    whole = "\n\n".join(part for part in (text, details, *notes) if part)
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
    inside = re.compile(f"{begin}.*{end}", re.DOTALL)
    if not inside.search(page):
        raise ValueError(f"{PAGE.name} has no {begin} and {end} to write between")
    PAGE.write_text(inside.sub(lambda _: f"{begin}\n{whole}\n{end}", page), encoding="utf-8")
