"""At least 95 in 100 wrong mutants of graph files are found, and 95 in 100 of these at the right line."""

from __future__ import annotations

from tests.checker.mutation import Row, example_graphs, printed, random_graphs, table_of, total_of


def check_rows(rows: dict[str, Row]) -> None:
    """The table is printed; pytest shows it if this fails."""
    print(f"\n{printed(rows)}")
    total = total_of(rows)
    assert total.wrong > 500
    assert total.found >= 0.95 * total.wrong
    assert total.placed >= 0.95 * total.found
    assert total.refused <= 0.01 * total.made
    for row in rows.values():
        assert row.found >= 0.95 * row.wrong, row.missed
        assert row.wrong < 20 or row.placed >= 0.85 * row.found, row.misplaced


def test_mutants_of_example_graphs() -> None:
    bases = example_graphs()
    assert len(bases) >= 7
    check_rows(table_of(bases))


def test_mutants_of_random_graphs() -> None:
    check_rows(table_of(random_graphs(200), share=0.02))
