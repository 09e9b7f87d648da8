"""Tables for the terminal and for the docs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table as Drawn

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
console = Console(width=max(140, Console().width), highlight=False)


@dataclass
class Table:
    """Heads and rows of text, the first column being names."""

    title: str
    heads: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def markdown(self) -> str:
        """As Markdown, the title in bold above."""
        lines = [self.heads, ["---", *["---:"] * (len(self.heads) - 1)], *self.rows]
        return f"**{self.title}**\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def drawn(self) -> Drawn:
        """For the terminal."""
        drawn = Drawn(title=self.title, box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
        for head in self.heads:
            drawn.add_column(head, justify="right" if head else "left")
        for row in self.rows:
            drawn.add_row(*row)
        return drawn


def signed(mean: float, low: float, high: float) -> str:
    """`+.021 [-.004, +.047]`."""
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]".replace("+0.", "+.").replace("-0.", "-.")


def show(tables: list[Table], notes: list[str]) -> None:
    """Print all."""
    for table in tables:
        console.print(table.drawn())
    for note in notes:
        console.print(note)


def write(section: str, tables: list[Table], notes: list[str]) -> None:
    """Put the tables between the marks of a section of the page. Raises ValueError if it has none."""
    text = "\n\n".join([*(table.markdown() for table in tables), *notes])
    begin, end = f"<!-- {section}:begin -->", f"<!-- {section}:end -->"
    page = PAGE.read_text(encoding="utf-8")
    if begin not in page or end not in page:
        raise ValueError(f"{PAGE.name} has no {begin} and {end} to write between")
    inside = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    PAGE.write_text(inside.sub(lambda _: f"{begin}\n{text}\n{end}", page), encoding="utf-8")
