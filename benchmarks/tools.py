"""Calls of tools: what is allowed, what is refused, what is found, and what a call costs: `python benchmarks/tools.py`.

`--only WORD` measures what has this word in its name, `--write` puts the table into docs/benchmarks.md. Data of others
is read from `../shared/data` beside the repository and is no part of it; what needs it is left out where it is not
there, with the reason.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from calling.lines import LeftOut, Line, Measure
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- tools:begin -->", "<!-- tools:end -->"
sys.path.append(str(ROOT))  # the corpora of attacks are those of the tests; appended, so that it hides nothing

console = Console(width=max(140, Console().width), highlight=False)


def measures() -> Sequence[Measure]:
    """What is measured, in the order of the table: each gives its rows, or raises LeftOut."""
    from calling.budgets import budgets
    from calling.databases import hostile, queries
    from calling.documents import documents
    from calling.executing import overhead, together
    from calling.leaderboard import leaderboard
    from calling.sandboxes import bombs, escapes, humaneval
    from calling.urls import urls

    return (overhead, together, budgets, leaderboard, documents, queries, hostile, urls, escapes, bombs, humaneval)


def main() -> int:
    """Print the table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a part of the name of what is measured")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    given = parser.parse_args()
    chosen = [one for one in measures() if given.only in one.__name__]
    if not chosen:
        parser.error(f"nothing is called {given.only!r}; there is {', '.join(one.__name__ for one in measures())}")
    if given.write and given.only:
        parser.error("--write takes the whole table: leave out --only")
    begin = time.perf_counter()
    lines, left = asyncio.run(measured(chosen))
    notes = [*left, f"This run took {time.perf_counter() - begin:.0f} s."]
    show(lines, notes)
    if given.write:
        write(lines, notes)
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


def show(lines: Sequence[Line], notes: Sequence[str]) -> None:
    """Print the table, and what there is to say about it."""
    table = Table("", "goal", "measured", title="Tools", title_justify="left")
    for line in lines:
        table.add_row(line.what, line.goal, line.found, style=None if line.met else "red")
    console.print(table)
    for text in (*(detail for line in lines for detail in line.details), *notes):
        console.print(text, markup=False)
    for line in lines:
        if not line.met:
            console.print(f"[red]missed[/]: {line.what}: {line.found}, the goal is {line.goal}")


def write(lines: Sequence[Line], notes: Sequence[str]) -> None:
    """Put the table between the marks of the page. Raises ValueError if it has none."""
    rows = [("", "goal", "measured"), ("---", "---", "---"), *((one.what, one.goal, one.found) for one in lines)]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    details = "\n".join(f"- {detail}" for line in lines for detail in line.details)
    whole = "\n\n".join(part for part in (text, details, *notes) if part)
    page = PAGE.read_text(encoding="utf-8")
    inside = re.compile(f"{BEGIN}.*{END}", re.DOTALL)
    if not inside.search(page):
        raise ValueError(f"{PAGE.name} has no {BEGIN} and {END} to write between")
    PAGE.write_text(inside.sub(lambda _: f"{BEGIN}\n{whole}\n{END}", page), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
