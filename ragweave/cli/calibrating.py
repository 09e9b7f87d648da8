"""The threshold of a classifying check, from texts that are harmless."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from ragweave.cli.guarding import TEXTS
from ragweave.cli.indexing import progress_bar
from ragweave.cli.terminal import note, plural, say

_SHIPPED = ("injection", "toxicity")


def calibrate_check(benign: Path, fpr: float, check: str) -> int:
    """Say which threshold keeps false alarms at `fpr`, and how sure that is. Raises InputError, DatasetError."""
    from ragweave.orchestrator.errors import InputError, did_you_mean

    if check not in _SHIPPED:
        raise InputError(f"{check!r} is no check with a threshold{did_you_mean(check, _SHIPPED)}")
    texts = list(_texts(benign))
    if not texts:
        raise InputError(f"{str(benign)!r} has no texts", hint=f"a row has one of {', '.join(TEXTS)}")
    scores = sorted(_scores(check, texts), reverse=True)
    allowed = math.floor(fpr * len(scores))
    threshold = _above(scores[allowed])
    alarms = sum(score > threshold for score in scores)
    low, high = _interval(alarms, len(scores))
    say(f"checks:\n  {check}: {{type: {check}, threshold: {threshold}}}")
    note(
        f"{plural(len(scores), 'text')}, {alarms} above it: {alarms / len(scores):.1%}, and of other texts like these "
        f"{low:.1%} to {high:.1%} (95%)"
    )
    if allowed == 0 and fpr > 0:
        note(f"too few texts for a rate of {fpr:.2%}: none may be above it; give {math.ceil(1 / fpr):,} or more")
    return 0


def _scores(check: str, texts: list[str]) -> Iterator[float]:
    """By text, the score of its highest window."""
    import asyncio

    from ragweave.orchestrator import registry
    from ragweave.orchestrator.guardrails.check import Subject
    from ragweave.orchestrator.resources import Resources
    from ragweave.retrievers.indexes.entries import Progress

    made = registry.get("checks", check)(threshold=0.0)
    made.open(Resources())
    with progress_bar() as tell:
        for done, text in enumerate(texts, 1):
            found = asyncio.run(made.find(text, Subject()))
            yield max((one.score for one in found), default=0.0)
            if tell is not None:
                tell(Progress(check, done, len(texts)))


def _texts(path: Path) -> Iterator[str]:
    from ragweave.orchestrator.errors import InputError

    if path.suffix.lower() == ".txt":
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        yield from (line for line in lines if line.strip())
        return
    from ragweave.evals.datasets import DatasetError, read_rows

    for row in read_rows(path):
        text = next((row.values[name] for name in TEXTS if isinstance(row.values.get(name), str)), None)
        if row.error or text is None:
            wanted = f"no text: a row has one of {', '.join(TEXTS)}"
            raise DatasetError(f"{row.place}: {row.error or wanted}")
        if text.strip():
            yield text


def _above(score: float) -> float:
    """The nearest number of four digits that a score like this does not exceed."""
    return min(1.0, math.ceil(score * 10_000) / 10_000)


def _interval(count: int, total: int) -> tuple[float, float]:
    """95% of a share (Wilson 1927)."""
    z, share = 1.96, count / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, middle - half), min(1.0, middle + half)
