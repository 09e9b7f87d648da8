"""What sort of answer a question wants: a duration for `how long`, a number of oranges for `how many oranges`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ragweave.orchestrator.models.extraction.amounts import Kind, unit_kind
from ragweave.orchestrator.models.extraction.grammar import AUX, PREPOSITION, PRONOUN
from ragweave.orchestrator.models.extraction.words import names_the_source, stem, weight

Sort = Literal[
    "amount", "count", "quantity", "date", "person", "place", "reason", "steps", "thing", "choice", "truth", "any"
]

QUANTITIES: tuple[Kind, ...] = ("mass", "volume", "portion", "percent", "money", "number")
COUNTS = {"two": 2, "both": 2, "three": 3, "four": 4, "five": 5, "2": 2, "3": 3, "4": 4, "5": 5}

# What a question word with its adjective asks for; the first that fits is taken.
_CUES: tuple[tuple[str, tuple[Kind, ...]], ...] = (
    (r"\bhow (?:hot|cold|warm)\b|\b(?:what|which) (?:\w+ )?(?:temperature|degrees?)\b", ("temperature",)),
    (r"\btemperature\b.*\b(?:what|which)\b|\b(?:fahrenheit|celsius|centigrade|how many degrees)\b", ("temperature",)),
    (r"\bhow (?:strong|alcoholic|concentrated)\b", ("percent",)),
    (r"\bwhat (?:\w+ )?(?:strength|percentage|percent|proportion|abv|concentration)\b", ("percent",)),
    (r"\bhow long\b|\bwhat (?:length of time|duration)\b", ("duration",)),
    (r"\bhow (?:often|frequently)\b", ("times", "duration")),
    (r"\bhow many times\b", ("times", "number")),
    (r"\bhow (?:far|tall|wide|deep|thick|thin|high|big|large)\b", ("length", "number")),
    (r"\bwhat (?:size|height|width|length|distance|thickness)\b", ("length", "number")),
    (r"\bhow heavy\b|\bwhat weight\b", ("mass",)),
    (r"\bhow old\b|\bwhat age\b", ("number", "duration", "date")),
    (r"\bhow (?:expensive|costly)\b|\bwhat (?:price|cost)\b", ("money",)),
    (rf"\bhow much {AUX}\b.*\b(?:cost|pay|paid|earn|price|worth)", ("money",)),
    (r"\bhow fast\b|\bwhat speed\b", ("duration", "length", "number")),
    (r"\bhow many calories|\bcalori(?:es|fic)|\bhow much energy\b", ("energy",)),
)
_AMOUNTS = tuple((re.compile(pattern), kinds) for pattern, kinds in _CUES)
_CUE_WORDS = (
    "long", "hot", "cold", "warm", "strong", "strength", "temperature", "old", "often", "far", "tall", "heavy", "fast",
    "degree", "many", "much", "percentage",
)  # fmt: skip
CUES = frozenset(stem(word) for word in _CUE_WORDS)
"""Stems of words that say which amount is asked for; no answer repeats them."""

_MANY = re.compile(r"\bhow many\s+((?:[\w'-]+\s*){1,4})")
_MANY_OF = re.compile(r"how many\s+[\w'-]+\s+of\s+((?:[\w'-]+\s*){1,3})")
_MUCH = re.compile(r"\bhow much\s+(?:of\s+)?((?:[\w'-]+\s*){1,4})")
_DATE = re.compile(
    rf"(?:^|\b(?:and|but|since|until|from)\s+)when\b|\bwhen {AUX}\b|\bdate of\b|\bwhat time\b"
    r"|\b(?:what|which) (?:year|date|month|day|century|decade|season)\b"
)
_REASON = re.compile(r"\bwhy\b|\bwhat (?:is |was )?(?:the )?(?:reason|cause)")
_STEPS = re.compile(
    r"\bhow (?:do|does|did|can|could|should|would|to|is|are|was|were)\b|\brecipe for\b"
    r"|\bwhat is the (?:recipe|procedure|method)\b"
)
_WHICH = re.compile(
    r"\b(?:which|what)\s+(?:kinds? of\s+|types? of\s+|sorts? of\s+|brands? of\s+)?((?:[\w'-]+\s*){1,5})"
)
_VERB = re.compile(r"\S+\s+(?:the|an?|this|that|these|those|it|them|my|your|our)\b")
_ENDS_PHRASE = re.compile(rf"{AUX}|{PREPOSITION}|{PRONOUN}|i|we|you|the|an?|my|your")
_COUNTED = re.compile(
    rf"\b(?:which|what|who|name|list|give(?: me)?|tell me)\s+(?:(?:are|were)\s+)?(?:the\s+)?({'|'.join(COUNTS)})\b"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What sort of answer a clause wants."""

    sort: Sort
    kinds: tuple[Kind, ...] = ()
    """The amounts that answer it."""
    noun: tuple[str, ...] = ()
    """Stems of what is counted (`how many oranges`) or of the class asked for (`which spices`), its head last."""
    unit: str = ""
    """The stem of the unit asked for: `how many days`."""

    @property
    def strict(self) -> bool:
        """True if no text answers it that lacks an amount of the right sort."""
        return self.sort in ("amount", "count", "quantity")


def wanted(plain: str) -> Wanted:
    """The sort of answer that a folded clause wants."""
    kinds = amounts_asked(plain)
    if kinds:
        return Wanted("amount", kinds, unit="calori" if kinds == ("energy",) else "")
    many = _MANY.search(plain)
    if many:
        return _how_many(_noun_phrase(many[1]), plain[many.start() :])
    much = _MUCH.search(plain)
    if much:
        return Wanted("quantity", QUANTITIES, _stems(_noun_phrase(much[1])))
    if _DATE.search(plain):
        return Wanted("date", ("date", "duration") if plain.startswith("when") else ("date",))
    for sort, pattern in _BY_WORD:
        if pattern.search(plain):
            return Wanted(sort)
    which = _WHICH.search(plain)
    if which:
        return Wanted("thing", noun=() if _VERB.match(which[1]) else _stems(_noun_phrase(which[1])))
    return Wanted("truth" if re.match(rf"{AUX}\b", plain) else "any")


_BY_WORD: tuple[tuple[Sort, re.Pattern[str]], ...] = (
    ("person", re.compile(r"\bwho(?:m|se)?\b")),
    ("place", re.compile(r"\bwhere\b")),
    ("reason", _REASON),
    ("steps", _STEPS),
)


def amounts_asked(plain: str) -> tuple[Kind, ...]:
    """The kinds of amounts that a folded text asks for by its question word or by naming a scale; none for most."""
    return next((kinds for pattern, kinds in _AMOUNTS if pattern.search(plain)), ())


def count_asked(plain: str) -> int:
    """How many things a folded clause asks for: 2 in `which two spices`, 1 where it does not say."""
    counted = _COUNTED.search(plain)
    return COUNTS[counted[1]] if counted else 1


def _how_many(nouns: Sequence[str], plain: str) -> Wanted:
    """`how many days` wants a duration, `how many grams of rice` a mass of it, `how many oranges` a number of them."""
    kind = unit_kind(nouns[0]) if nouns else None
    if kind is None or kind == "portion":
        return Wanted("count", noun=_stems(nouns[-1:]))
    of = _MANY_OF.match(plain) if kind in ("mass", "volume") else None
    return Wanted("amount", (kind,), _stems(_noun_phrase(of[1])[:2]) if of else (), stem(nouns[0]))


def _noun_phrase(text: str) -> list[str]:
    """The leading words of a text up to its first verb or preposition, as far as those can be told by their form."""
    words = text.split()
    end = next((place for place, word in enumerate(words) if _ENDS_PHRASE.fullmatch(word)), len(words))
    said: list[str] = []
    for word in words[:end]:
        if said and weight(stem(word)) < 1.0:
            break
        if weight(stem(word)) > 0.0 and word not in COUNTS and not names_the_source(stem(word)):
            said.append(word)
    return said[:2] if end == len(words) else said


def _stems(phrase: Sequence[str]) -> tuple[str, ...]:
    return tuple(stem(word) for word in phrase)
