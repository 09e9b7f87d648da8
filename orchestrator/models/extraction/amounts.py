"""Amounts in text: durations, temperatures, quantities, percentages, dates and plain numbers, found by their units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ragweave.orchestrator.models.extraction.words import fold

Kind = Literal[
    "duration", "temperature", "percent", "mass", "volume", "portion", "length", "energy", "money", "date", "times",
    "number",
]  # fmt: skip

_WORDS = """
one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen half quarter third
several couple
"""
_VALUES = {word: str(place) for place, word in enumerate(_WORDS.split()[:20], start=1)}
_WORD = "|".join(_WORDS.split())
_SIMPLE = (
    r"(?:\d{1,15}(?:[.,]\d{1,6}){0,4}(?:[ ]?[½¼¾⅓⅔⅛⅜⅝⅞]|[ ]\d{1,3}[/⁄]\d{1,3}|[/⁄]\d{1,3})?|[½¼¾⅓⅔⅛⅜⅝⅞]"
    rf"|(?:{_WORD})(?:[ -](?:{_WORD})){{0,3}})"
)
_NUMBER = rf"(?<![\w.,])(?<!\d/){_SIMPLE}(?:\s?(?:-|–|—|to|or|and|by|x|×|/)\s?{_SIMPLE})?"
_A = r"(?:(?<!\w)(?:an?|the|few|some|full|whole|another|extra|each|every|per)\s)"
# One word may stand between a number and its unit: "10 more minutes".
_BETWEEN = r"[\s-]?(?:full |whole |more |extra |heaped |large |small |medium |level )?"
_MONTH = r"january|february|(?-i:March)|april|(?-i:May)|june|july|august|september|october|november|december"

_UNITS: dict[Kind, str] = {
    "duration": r"seconds?|secs?|s|minutes?|mins?|min\.|hours?|hrs?|h|days?|nights?|weeks?|months?|years?|decades?"
    r"|centuries",
    "temperature": r"degrees?(?:\s(?:celsius|fahrenheit|centigrade|[cf])\b)?|[°º˚]\s?[cfk]?|celsius|fahrenheit|[cf]\b",
    "percent": r"%|percent|per\s?cent|proof|abv|degrees?\sproof",
    "mass": r"kgs?|kilos?|kilogram(?:me)?s?|g|gr|gms?|gram(?:me)?s?|mg|milligrams?|oz|ounces?|lbs?|pounds?|tons?"
    r"|tonnes?|stones?",
    "volume": r"[mcd]?l|lt|(?:milli|deci|centi)?lit(?:er|re)s?|cups?|cupfuls?|tbsps?|tbs|tsps?|t|tablespoons?"
    r"|teaspoons?|(?:table-?|tea-?)?spoonfuls?|spoons?|fl\.?\s?oz|fluid\sounces?|pints?|quarts?|qts?|gallons?"
    r"|glass(?:es)?|wine-?glass(?:es)?|jiggers?|shots?|mugs?|bowls?|buckets?|barrels?",
    "portion": r"pinch(?:es)?|dash(?:es)?|handfuls?|drops?|splash(?:es)?|bottles?|jars?|cans?|tins?|packages?|packs?"
    r"|pkgs?|packets?|bags?|cloves?|slices?|sticks?|bunch(?:es)?|sprigs?|twigs?|leaves|stalks?|pieces?|heads?|knobs?"
    r"|parts?|cubes?|sheets?|pods?|strands?|thumbs?|box(?:es)?",
    "length": r"[mck]?m|inch(?:es)?|in\.|″|\"|feet|foot|ft|yards?|miles?|(?:kilo|centi|milli)?met(?:er|re)s?|hectares?"
    r"|acres?|square\s\w+|km2|sq\.?\s?\w+",
    "energy": r"kcals?|cals?|calories?|kj|joules?|(?:kilo)?watts?",
    "money": r"dollars?|euros?|pounds?\ssterling|cents?|usd|eur|rupees?|yen|francs?",
    "times": r"times|fold|rounds?",
}
_BARE: dict[Kind, str] = {
    "duration": r"overnight|over\snight|half\s(?:an?\s)?(?:hour|day|minute|year)"
    rf"|{_A}(?:second|minute|hour|day|night|week|month|year)s?\b",
    "temperature": r"room\stemperature|gas\smark\s\d+",
    "percent": r"\b(?:half|a\s(?:third|quarter))\sof\b",
    "volume": rf"{_A}(?:cups?|tablespoons?|teaspoons?|tbsp|tsp|lit(?:er|re)s?|pints?|quarts?|gallons?|glass(?:es)?"
    r"|spoons?|spoonfuls?)\b",
    "portion": rf"{_A}(?:generous\s|good\s|small\s|large\s|tiny\s)?(?:{_UNITS['portion']})\b",
    "mass": rf"{_A}(?:pounds?|ounces?|kilos?|grams?)\b|{_SIMPLE}\sof\sa\s(?:pounds?|kilos?)",
    "money": r"[$£€¥]\s?\d[\d.,]{0,20}(?:\s?(?:million|billion|trillion|thousand))?|free\sof\scharge",
    "date": rf"(?:\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?)?(?:{_MONTH})"
    r"(?:\s\d{1,2}(?:st|nd|rd|th)?\b)?(?:\s?,?\s\d{4})?"
    r"|\b(?:1\d|20)\d\d(?:s|\s?[–-]\s?\d{2,4})?\b|\b\d{1,4}\s(?:bce?|ad|ce)\b|\b\d{1,2}(?:st|nd|rd|th)\scentury"
    r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\d{1,2}:\d\d|\d{1,2}\s?[ap]\.?m\b|easter|christmas|midnight"
    r"|noon",
    "times": r"once|twice|thrice|every\s\w+|daily|weekly|monthly|hourly",
}
# What may look like two kinds is the first of them: "30 C" a temperature, "5 pounds sterling" money.
_ORDER: tuple[Kind, ...] = (
    "money", "percent", "temperature", "energy", "duration", "mass", "volume", "length", "portion", "times", "date",
    "number",
)  # fmt: skip
_LETTERS = re.compile(r"[^\w/.½¼¾⅓⅔⅛-]+")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its unit, as it stands in a text, or a date or a word such as `overnight`."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def value(self) -> str:
        """What tells two amounts apart: `30 Min.` and `30 min` have one value, `30-40 min` another."""
        plain = _LETTERS.sub(" ", fold(self.text)).strip(" .-")
        return " ".join(_VALUES.get(word, word.rstrip(".s") or word) for word in plain.split())


def amounts(text: str) -> list[Amount]:
    """Every amount of a text, in order and without overlaps; what has a unit goes before plain numbers."""
    found: list[Amount] = []
    taken = bytearray(len(text))
    for kind, pattern in _patterns():
        for match in pattern.finditer(text):
            start, end = match.span()
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append(Amount(kind, text[start:end], start, end))
    return sorted(found, key=lambda amount: amount.start)


def unit_kind(word: str) -> Kind | None:
    """The kind of amount that a unit measures: `minutes` a duration, `grams` a mass; None for other words."""
    plain = fold(word)
    return next((kind for kind, pattern in _units() if len(plain) > 2 and pattern.fullmatch(plain)), None)


@cache
def _patterns() -> list[tuple[Kind, re.Pattern[str]]]:
    return list(_compile())


def _compile() -> Iterator[tuple[Kind, re.Pattern[str]]]:
    for kind in _ORDER:
        arms = [rf"{_NUMBER}{_BETWEEN}(?:{_UNITS[kind]})(?!\w)"] if kind in _UNITS else []
        arms += [_BARE[kind]] if kind in _BARE else []
        yield kind, re.compile("|".join(arms or [_NUMBER]), re.IGNORECASE)


@cache
def _units() -> list[tuple[Kind, re.Pattern[str]]]:
    return [(kind, re.compile(units, re.IGNORECASE)) for kind, units in _UNITS.items()]
