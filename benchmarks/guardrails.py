"""Guardrails: what checks find and what they miss, and what they cost: `python benchmarks/guardrails.py`.

`--only WORD` measures what has this word in its name, `--write` puts the table into docs/benchmarks.md. Data of others
is read from `../shared/data` beside the repository, but for what the heads are trained on; what needs it is left out
where it is not there, with the reason.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tables import Measure, print_table


def measures() -> Sequence[Measure]:
    """What is measured, in the order of the table; times come first, before others fill the caches."""
    from guards.finding import personal_data
    from guards.grounding import grounded
    from guards.heads import heads
    from guards.holding import cost, streaming
    from guards.obeying import obedience

    return (cost, personal_data, heads, obedience, grounded, streaming)


if __name__ == "__main__":
    sys.exit(print_table("Guardrails", measures(), __doc__))
