"""Numbers in English text, in one form: `1,000` and `a thousand`, `2.50` and `2 1/2`, `thirty-two` and `32`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_VALUES = {
    **{word: value for value, word in enumerate(_SMALL)},
    **{word: 10 * value for value, word in enumerate(_TENS, 2)},
    **_SCALES,
}
_WORD = "|".join(_VALUES)
_SCALE = "|".join(_SCALES)
_PARTS = "½¼¾⅓⅔⅛⅜⅝⅞"
_DIGITS = r"\d{1,18}(?:[.,]\d{1,18}){0,6}"
_BETWEEN = re.compile(r"(?:\s+and\s+|[\s-]+)")
_FOUND = re.compile(
    rf"(?P<whole>\d{{1,9}})(?:[ ]?(?P<part>[{_PARTS}])|[ ](?P<over>\d{{1,4}}[/⁄]\d{{1,4}})(?![/⁄\d]))"
    rf"|(?<![/⁄\d])(?P<slash>\d{{1,4}}[/⁄]\d{{1,4}})(?![/⁄\d])|(?P<sign>[{_PARTS}])"
    rf"|(?P<digits>{_DIGITS})(?:[\s-]?(?P<scale>{_SCALE})\b)?"
    rf"|\b(?P<words>(?:{_WORD})(?:{_BETWEEN.pattern}(?:{_WORD}))*)\b",
    re.IGNORECASE,
)

_UNITS = {
    "seconds": ("second", "seconds", "sec", "secs"),
    "minutes": ("minute", "minutes", "min", "mins"),
    "hours": ("hour", "hours", "hr", "hrs"),
    "days": ("day", "days"),
    "weeks": ("week", "weeks"),
    "months": ("month", "months"),
    "years": ("year", "years"),
    "degrees": ("degree", "degrees", "°", "º", "℃", "℉"),
    "percent": ("percent", "%", "per cent"),
    "milligrams": ("milligram", "milligrams", "mg"),
    "grams": ("gram", "grams", "gramme", "grammes", "g", "gr"),
    "kilograms": ("kilogram", "kilograms", "kilo", "kilos", "kg"),
    "ounces": ("ounce", "ounces", "oz"),
    "pounds": ("pound", "pounds", "lb", "lbs"),
    "millilitres": ("millilitre", "millilitres", "milliliter", "milliliters", "ml"),
    "litres": ("litre", "litres", "liter", "liters"),
    "cups": ("cup", "cups"),
    "teaspoons": ("teaspoon", "teaspoons", "tsp"),
    "tablespoons": ("tablespoon", "tablespoons", "tbsp"),
    "millimetres": ("millimetre", "millimetres", "millimeter", "millimeters", "mm"),
    "centimetres": ("centimetre", "centimetres", "centimeter", "centimeters", "cm"),
    "metres": ("metre", "metres", "meter", "meters"),
    "kilometres": ("kilometre", "kilometres", "kilometer", "kilometers", "km"),
    "inches": ("inch", "inches"),
    "miles": ("mile", "miles"),
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words}
_UNIT = re.compile(
    r"[\s-]{0,2}(?P<unit>"
    + "|".join(re.escape(word) + (r"\b" if word[-1].isalpha() else "") for word in sorted(_UNIT_OF, reverse=True))
    + ")",
    re.IGNORECASE,
)


def measures(text: str) -> dict[str, set[str]]:
    """What the numbers of a text count, as far as a unit of time, size, weight, heat or share stands right behind them:
    each number in its one form with its units, of which "" stands for any other thing or none.

    A number that is one end of a range, such as the 2 of `2-3 minutes`, is left with "".
    """
    found: dict[str, set[str]] = {}
    for match in _FOUND.finditer(text):
        unit = _UNIT.match(text, match.end())
        for value in _read(match):
            found.setdefault(value, set()).add(_UNIT_OF[unit["unit"].lower()] if unit else "")
    return found


def numbers(text: str, *, loosely: bool = False) -> dict[str, str]:
    """The numbers of a text: each in its one form, with what is written. `half` and signs (`-5`) are left out.

    Read `loosely`, as what another text is held against, it also gives what else may be meant: the parts of `1/2` and
    of `3 million`, a `half`, and a `one` that may be a pronoun.
    """
    found: dict[str, str] = {}
    for match in _FOUND.finditer(text):
        written = match[0]
        if written.lower() == "one" and not loosely:
            continue
        for value in _read(match):
            found.setdefault(value, written)
        if loosely:
            for digits in re.findall(_DIGITS, written):
                found.setdefault(_one_form(digits), digits)
    if loosely and re.search(r"\bhalf\b", text, re.IGNORECASE):
        found.setdefault("1/2", "half")
    return found


def _read(match: re.Match[str]) -> Iterator[str]:
    if match["words"]:
        yield from (str(value) for value in _composed(_BETWEEN.split(match["words"].lower())))
    elif match["digits"]:
        form = _one_form(match["digits"])
        scale = _SCALES[match["scale"].lower()] if match["scale"] else 1
        yield form if scale == 1 or form.count(".") else str(Fraction(form) * scale)
    else:
        part = match["part"] or match["sign"]
        fraction = _sign(part) if part else _slash(match["over"] or match["slash"])
        yield str(fraction + int(match["whole"] or 0))


def _sign(sign: str) -> Fraction:
    return Fraction(unicodedata.numeric(sign)).limit_denominator(8)


def _slash(text: str) -> Fraction:
    above, below = re.split("[/⁄]", text)
    return Fraction(int(above), int(below) or 1)


def _composed(words: list[str]) -> Iterator[int]:
    """`two hundred and five` is 205; `five and six` are two numbers."""
    total = current = 0
    empty = True
    for word in words:
        value = _VALUES[word]
        if value >= 1000:
            total, current, empty = total + (1 if empty or not current else current) * value, 0, False
        elif word in _SCALES:
            current, empty = (current or 1) * value, False
        elif empty or current % 100 == 0 or (value < 10 and current % 10 == 0 and current % 100 >= 20):
            current, empty = current + value, False
        else:
            yield total + current
            total, current = 0, value
    yield total + current


def _one_form(digits: str) -> str:
    """`1,000` is 1000, `2.50` is 5/2; a date such as `21.11.2026` stays as it is."""
    plain = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", digits).replace(",", ".")
    return plain if plain.count(".") > 1 else str(Fraction(plain))
