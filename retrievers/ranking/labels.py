"""What metadata say of a passage that a question may say too: labels (source, author, tags) and dates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from ragweave.retrievers.ranking.names import is_stopped, plain_words, without_article

_LONGEST = 6
_NO_LABELS = frozenset(("title", "date", "format", "language", "encoding"))
_ISO = re.compile(r"\b(1[5-9]\d\d|20\d\d)-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?(?!\d)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG = ("uary", "ruary", "ch", "il", "", "e", "y", "ust", "tember", "ober", "ember", "ember")
_MONTH = "|".join(f"{short}(?:{rest})?" for short, rest in zip(_MONTHS, _LONG, strict=True))
_WRITTEN = re.compile(
    rf"\b(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?)?(?P<month>{_MONTH})\.?"
    r"(?:\s+(?P<late>\d{1,2})(?:st|nd|rd|th)?(?!\d))?,?\s+(?:of\s+)?(?P<year>1[5-9]\d\d|20\d\d)\b",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d{4}")
_YEAR = re.compile(r"\b(1[5-9]\d\d|20\d\d)\b")


def labels_of(metadata: Mapping[str, Any]) -> list[str]:
    """The labels of a passage, in small letters, and its dates, each also as its month and its year."""
    found: dict[str, None] = {}
    for name, value in metadata.items():
        for one in value if isinstance(value, list | tuple) else (value,):
            found.update(dict.fromkeys(_dates(one)))
            is_label = isinstance(one, str) and name not in _NO_LABELS and len(one) <= 80 and "://" not in one
            words = without_article(plain_words(one)) if is_label else []
            if words and len(words) <= _LONGEST and not is_stopped(words) and not all(map(str.isdigit, words)):
                found[" ".join(words)] = None
    return list(found)


def dates_in(question: str) -> dict[str, float]:
    """The dates that a question names, as `labels_of` has them, and how much each tells: a year less than a day."""
    found: dict[str, float] = {}
    if not _DIGITS.search(question):
        return found
    for match in _ISO.finditer(question):
        found[_written(*match.groups())] = _telling(match[2], match[3])
    for match in _WRITTEN.finditer(question):
        day = match["day"] or match["late"]
        month = f"{_MONTHS.index(match['month'][:3].lower()) + 1:02}"
        found[_written(match["year"], month, f"{int(day):02}" if day else None)] = _telling(month, day)
    years = {name[5:9] for name in found}
    found.update((_written(year), _telling()) for year in _YEAR.findall(question) if year not in years)
    return found


def _dates(value: Any) -> Iterator[str]:
    if isinstance(value, date | datetime):
        value = value.isoformat()
    match = _ISO.match(value.strip()) if isinstance(value, str) and len(value) <= 40 else None
    if match is not None:
        year, month, day = match.groups()
        yield from (_written(year), _written(year, month))
        if day:
            yield _written(year, month, day)


def _written(year: str, month: str | None = None, day: str | None = None) -> str:
    return "date " + "-".join(part for part in (year, month, day) if part)


def _telling(month: str | None = None, day: str | None = None) -> float:
    return 1.0 if day else 0.7 if month else 0.4
