"""Amounts in text: durations, temperatures, quantities, percentages, dates and plain numbers, found by their units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ragweave.orchestrator.models.extraction.words import fold

Kind = Literal[
    "duration",
    "temperature",
    "percent",
    "mass",
    "volume",
    "portion",
    "length",
    "energy",
    "money",
    "date",
    "times",
    "number",
]

_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen "
    "twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen half quarter third several couple"
)
_VALUES = {word: str(place) for place, word in enumerate(_WORDS.split()[:20], start=1)}
_SIMPLE = (
    r"(?:\d+(?:[.,]\d+)*(?:[ ]?[½¼¾⅓⅔⅛⅜⅝⅞]|[ ]\d+[/⁄]\d+|[/⁄]\d+)?|[½¼¾⅓⅔⅛⅜⅝⅞]"
    rf"|(?:{_WORDS.replace(' ', '|')})(?:[ -](?:{_WORDS.replace(' ', '|')}))*)"
)
_NUMBER = rf"(?<![\w.,])(?<!\d/){_SIMPLE}(?:\s*(?:-|–|—|to|or|and|by|x|×|/)\s*{_SIMPLE})?"
_A = r"(?:(?<!\w)(?:an?|the|few|some|full|whole|another|extra|each|every|per)\s)"

_UNITS: dict[Kind, str] = {
    "duration": r"seconds?|secs?|s|minutes?|mins?|min\.|hours?|hrs?|h|days?|nights?|weeks?|months?|years?|decades?|centuries",
    "temperature": r"degrees?(?:\s(?:celsius|fahrenheit|centigrade|[cf])\b)?|°\s?[cfk]?|º\s?[cf]?|˚\s?[cf]?|celsius|fahrenheit|[cf](?=\b)",
    "percent": r"%|percent|per\s?cent|proof|abv|degrees?\sproof",
    "mass": r"kg|kgs|kilos?|kilograms?|kilogrammes?|g|gr|gm|gms|grams?|grammes?|mg|milligrams?|oz|ounces?|lbs?|pounds?|tons?|tonnes?|stones?",
    "volume": r"ml|cl|dl|l|lt|liters?|litres?|millilit(?:er|re)s?|decilit(?:er|re)s?|cups?|cupfuls?|tbsps?|tbs|tsps?|t|tablespoons?"
    r"|teaspoons?|table-?spoonfuls?|tea-?spoonfuls?|spoons?|spoonfuls?|fl\.?\s?oz|fluid\sounces?|pints?|quarts?|qts?|gallons?|glass(?:es)?"
    r"|wine-?glass(?:es)?|jiggers?|shots?|mugs?|bowls?|buckets?|barrels?",
    "portion": r"pinch(?:es)?|dash(?:es)?|handfuls?|drops?|splash(?:es)?|bottles?|jars?|cans?|tins?|packages?|packs?|pkgs?|packets?|bags?"
    r"|cloves?|slices?|sticks?|bunch(?:es)?|sprigs?|twigs?|leaves|stalks?|pieces?|heads?|knobs?|parts?|cubes?|sheets?|pods?|strands?|thumbs?|box(?:es)?",
    "length": r"mm|cm|m|km|inch(?:es)?|in\.|″|\"|feet|foot|ft|yards?|miles?|met(?:er|re)s?|kilomet(?:er|re)s?|centimet(?:er|re)s?|millimet(?:er|re)s?"
    r"|hectares?|acres?|square\s\w+|km2|sq\.?\s?\w+",
    "energy": r"kcals?|cals?|calories?|kj|joules?|watts?|kilowatts?",
    "money": r"dollars?|euros?|pounds?\ssterling|cents?|usd|eur|rupees?|yen|francs?",
    "times": r"times|fold|rounds?",
}
_BARE: dict[Kind, str] = {
    "duration": rf"overnight|over\snight|half\s(?:an?\s)?(?:hour|day|minute|year)|{_A}(?:seconds?|minutes?|hours?|days?|nights?|weeks?|months?|years?)\b",
    "temperature": r"room\stemperature|gas\smark\s\d+",
    "percent": r"\b(?:half|a\s(?:third|quarter))\sof\b",
    "volume": rf"{_A}(?:cups?|tablespoons?|teaspoons?|tbsp|tsp|lit(?:er|re)s?|pints?|quarts?|gallons?|glass(?:es)?|spoons?|spoonfuls?)\b",
    "portion": rf"{_A}(?:generous\s|good\s|small\s|large\s|tiny\s)?(?:{_UNITS['portion']})\b",
    "mass": rf"{_A}(?:pounds?|ounces?|kilos?|grams?)\b|{_SIMPLE}\sof\sa\s(?:pounds?|kilos?)",
    "money": r"[$£€¥]\s?\d[\d.,]*(?:\s?(?:million|billion|trillion|thousand))?|free\sof\scharge",
    "date": r"(?:(?:\d{1,2}(?:st|nd|rd|th)?\s(?:of\s)?)?(?:january|february|(?-i:March)|april|(?-i:May)|june|july|august|september|october|november|december)"
    r"(?:\s\d{1,2}(?:st|nd|rd|th)?\b)?(?:\s?,?\s\d{4})?|\b(?:1\d|20)\d\d(?:s|\s?[–-]\s?\d{2,4})?\b|\b\d{1,4}\s(?:bce?|ad|ce)\b"
    r"|\b\d{1,2}(?:st|nd|rd|th)\scentury|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\d{1,2}:\d\d|\d{1,2}\s?[ap]\.?m\b"
    r"|easter|christmas|midnight|noon)",
    "times": r"once|twice|thrice|every\s\w+|daily|weekly|monthly|hourly",
}
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
        """What tells two amounts apart: `30 Min.` and `30 minutes` have one value, `30-40 min` another."""
        plain = _LETTERS.sub(" ", fold(self.text)).strip(" .-")
        return " ".join(_VALUES.get(word, word.rstrip(".s") or word) for word in plain.split())


def amounts(text: str) -> list[Amount]:
    """Every amount of a text, in order and without overlaps; what has a unit goes before plain numbers."""
    taken: list[tuple[int, int]] = []
    found: list[Amount] = []
    for kind, pattern in _patterns():
        for match in pattern.finditer(text):
            start, end = match.span()
            while start < end and text[start].isspace():
                start += 1
            if all(end <= other or start >= until for other, until in taken):
                taken.append((start, end))
                found.append(Amount(kind, text[start:end], start, end))
    return sorted(found, key=lambda amount: amount.start)


def unit_kind(word: str) -> Kind | None:
    """The kind of amount that a unit measures: `minutes` a duration, `grams` a mass; None for other words."""
    for kind, pattern in _units():
        if len(word) > 2 and pattern.fullmatch(fold(word)):
            return kind
    return None


@cache
def _patterns() -> list[tuple[Kind, re.Pattern[str]]]:
    return list(_compile())


def _compile() -> Iterator[tuple[Kind, re.Pattern[str]]]:
    order: tuple[Kind, ...] = (
        "money", "percent", "temperature", "energy", "duration", "mass", "volume", "length", "portion", "times", "date", "number",
    )  # fmt: skip
    for kind in order:
        arms = []
        if kind in _UNITS:
            # "4 - 5 medium hours": one word may stand between a number and what it counts.
            arms.append(
                rf"{_NUMBER}[\s-]?(?:full |whole |more |extra |heaped |large |small |medium |level )?(?:{_UNITS[kind]})(?!\w)"
            )
        if kind in _BARE:
            arms.append(_BARE[kind])
        if kind == "number":
            arms.append(_NUMBER)
        yield kind, re.compile("|".join(arms), re.IGNORECASE)


@cache
def _units() -> list[tuple[Kind, re.Pattern[str]]]:
    return [(kind, re.compile(units, re.IGNORECASE)) for kind, units in _UNITS.items()]
