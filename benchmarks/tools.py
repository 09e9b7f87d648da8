"""Calls of tools: what is allowed, what is refused, what is found, and what a call costs: `python benchmarks/tools.py`.

`--only WORD` measures what has this word in its name, `--write` puts the table into docs/benchmarks.md. Data of others
is read from `../shared/data` beside the repository and is no part of it; what needs it is left out where it is not
there, with the reason.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tables import ROOT, Measure, print_table

sys.path.append(str(ROOT))  # the corpora of attacks are those of the tests; appended, so that it hides nothing


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


if __name__ == "__main__":
    sys.exit(print_table("Tools", measures(), __doc__))
