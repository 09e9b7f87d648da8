"""How many mistakes the checker finds: `python -m tests.checker.mutation` prints a table; with `-v`, what it misses."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from ragweave.orchestrator.checking.check import check
from ragweave.orchestrator.errors import Problem
from ragweave.orchestrator.language.load import load_text
from ragweave.orchestrator.resources import Resources
from tests.checker.kinds import kinds
from tests.checker.mutants import Mutant, Original
from tests.checker.mutants_more import OPERATORS
from tests.checker.oracle import is_wrong
from tests.reference.files import file_of, probes

ROOT = Path(__file__).parents[2]


@dataclass
class Row:
    """What came of the mutants of one operator."""

    made: int = 0
    wrong: int = 0
    found: int = 0
    placed: int = 0
    several: int = 0
    """Found ones of which more than one error was told."""
    other: int = 0
    """Valid graphs with another outcome."""
    refused: int = 0
    """Refused although the reference found nothing wrong."""
    missed: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)
    crowds: list[str] = field(default_factory=list)

    def __add__(self, other: Row) -> Row:
        names = ("made", "wrong", "found", "placed", "several", "other", "refused")
        return Row(*(getattr(self, name) + getattr(other, name) for name in names))


def errors_of(text: str) -> list[Problem]:
    """The errors that the checker tells of a text."""
    spec, problems = load_text(text, file="mutant.yaml")
    checked = check(spec, problems, Resources(spec.resources.values(), environ={}))
    return [problem for problem in checked.problems if problem.severity == "error"]


def judge(mutant: Mutant, row: Row) -> None:
    """Check one mutant, and note in `row` what came of it."""
    row.made += 1
    errors = errors_of(mutant.text)
    told = "; ".join(map(str, errors))
    if mutant.sure or is_wrong(mutant.text):
        row.wrong += 1
        row.found += bool(errors)
        row.several += len(errors) > 1
        if len(errors) > 1:
            row.crowds.append(f"{mutant.what}: {told}")
        if not errors:
            row.missed.append(mutant.what)
        elif any(problem.line in mutant.lines for problem in errors):
            row.placed += 1
        else:
            row.misplaced.append(f"{mutant.what}: {told}")
    elif errors:
        row.refused += 1
        row.needless.append(f"{mutant.what}: {told}")
    else:
        row.other += 1


def example_graphs() -> list[Original]:
    """The graphs of the tests and of the examples."""
    paths = [*sorted((ROOT / "tests/checker/graphs").glob("*.yaml")), *sorted((ROOT / "examples").rglob("*.yaml"))]
    texts = [(path.name, path.read_text(encoding="utf-8")) for path in paths]
    return [Original(name, text) for name, text in texts if text.count("\nnodes:") and not errors_of(text)]


def random_graphs(count: int) -> list[Original]:
    """Random graphs that the checker accepts."""
    from tests.reference.test_soundness import wired

    found: list[Original] = []
    seed = 0
    while len(found) < count:
        seed += 1
        text = file_of(wired(Random(seed)))
        if not errors_of(text):
            found.append(Original(f"random{seed}", text, seed))
    return found


def table_of(bases: Iterable[Original], share: float = 1.0) -> dict[str, Row]:
    """All mutants of these graphs, or a random share of them, by operator."""
    random = Random(0)
    rows: dict[str, Row] = {}
    some = share**0.5  # of the operators, and of the mutants of each: making them takes as long as judging them
    for base in bases:
        for operator in OPERATORS:
            if random.random() >= some:
                continue
            for mutant in operator(base):
                if mutant.text != base.text and random.random() < some:
                    judge(mutant, rows.setdefault(mutant.operator, Row()))
    return rows


def total_of(rows: dict[str, Row]) -> Row:
    """The sum of all rows."""
    total = Row()
    for row in rows.values():
        total = total + row
    return total


def printed(rows: dict[str, Row]) -> str:
    """The table as text."""
    head = f"{'operator':28}{'made':>7}{'wrong':>7}{'found':>8}{'placed':>8}{'several':>9}{'other':>7}{'needless':>10}"
    lines = [head, "-" * len(head)]
    for name, row in [*sorted(rows.items()), ("all", total_of(rows))]:
        found = f"{100 * row.found / row.wrong:.1f}%" if row.wrong else "-"
        placed = f"{100 * row.placed / row.found:.1f}%" if row.found else "-"
        lines.append(
            f"{name:28}{row.made:>7}{row.wrong:>7}{found:>8}{placed:>8}{row.several:>9}{row.other:>7}{row.refused:>10}"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print the table, of the example graphs and 200 random ones."""
    count = next((int(word) for word in arguments if word.isdigit()), 200)
    with probes(), kinds():
        for title, bases in (("example graphs", example_graphs()), ("random graphs", random_graphs(count))):
            rows = table_of(bases)
            print(f"\n{len(bases)} {title}\n\n{printed(rows)}")
            if "-v" in arguments:
                for name, row in sorted(rows.items()):
                    for word, cases in (
                        ("missed", row.missed),
                        ("misplaced", row.misplaced),
                        ("needless", row.needless),
                        ("several", row.crowds),
                    ):
                        for case in cases[:12]:
                            print(f"  {name}, {word}: {case}")


if __name__ == "__main__":
    main(sys.argv[1:])
