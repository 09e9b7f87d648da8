"""Phone numbers: digits in groups that a numbering plan knows, or that words announce."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

REGIONS: Sequence[str] = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "SE", "PL", "CH", "AT", "AU", "BR", "IN", "MX")
"""Whose plans a number without a country's code is held against, where no word announces it."""

_EXTENSION = r"(?:[ ,;]{0,2}(?:x|ext\.?|extension|#)[ ]?\d{1,7})?"
_SHAPE = re.compile(
    rf"(?<![\w.,+@/:-])(?:\+|\(\+?)?\d(?:[ \u00a0\u202f.()/-]{{0,3}}\d){{6,16}}{_EXTENSION}(?![\w@]|[-/,.]\d)|"
    rf"(?<![\w.,+@/:-])\(\d{{1,5}}\)(?:[ \u00a0\u202f.()/-]{{0,3}}\d){{5,13}}{_EXTENSION}(?![\w@]|[-/,.]\d)",
    re.IGNORECASE,
)
_GROUPED = re.compile(r"^(?:0|\().*\d[ \u00a0\u202f.()/-]+\d|\d(?:[ \u00a0\u202f.()/-]+\d+){2}")
_ANNOUNCED = re.compile(
    r"(?<![^\W_])(?:tele)?(?:phones?|tel|fax|mobile|cell(?:ular)?|desk|landline|hotline|handy|call(?:ing|ed)?|dial|ring|text(?:ed)?"
    r"|sms|whatsapp|signal|messages?|voicemail|contact|reach(?:ed)?|téléphone|telefono|teléfono|telefon|móvil)(?![^\W_])",
    re.IGNORECASE,
)
_BEHIND = 48
_SOCIAL = re.compile(r"\d{3}([ -])\d{2}\1\d{4}")
_DATE = re.compile(r"\d{4}([-./])\d{1,2}\1\d{1,2}(?:[ T]\d{1,2})?|\d{1,2}([-./])\d{1,2}\2\d{2,4}(?: \d{1,2})?")


def phones(
    text: str, within: Iterable[tuple[int, int]], regions: Sequence[str] = REGIONS
) -> Iterator[tuple[int, int, float]]:
    """The places of phone numbers in these parts of a text, and how sure each is."""
    for match in (match for begin, end in within for match in _SHAPE.finditer(text, begin, end)):
        found = match[0]
        if _DATE.fullmatch(found) or found.count("(") != found.count(")"):
            continue
        score = _score(found, text[max(0, match.start() - _BEHIND) : match.start()], regions)
        if score:
            yield match.start(), match.end(), score


def _score(found: str, before: str, regions: Sequence[str]) -> float:
    number = re.split(r"[ ,;]{0,2}(?:x|ext|#)", found, maxsplit=1, flags=re.IGNORECASE)[0]
    digits = re.sub(r"\D", "", number)
    if not 7 <= len(digits) <= 15:
        return 0.0
    if _ANNOUNCED.search(before):
        return 0.9
    import phonenumbers  # its plans take a while to load, and most texts have no number

    if found.startswith(("+", "(+", "00")):
        return 0.95 if _known(f"+{digits.removeprefix('00')}", (None,), phonenumbers.is_possible_number) else 0.0
    if len(digits) < 9 or not _GROUPED.search(number) or _SOCIAL.fullmatch(number):
        return 0.0  # a count, an order, a house and a postal code: so few groups of digits say nothing
    return 0.6 if _known(number, regions, phonenumbers.is_valid_number) else 0.0


def _known(number: str, regions: Sequence[str | None], judge: Callable[[Any], bool]) -> bool:
    import phonenumbers

    for region in regions:
        try:
            if judge(phonenumbers.parse(number, region)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False
