"""How far a segment is of the sort that a clause asks for: a duration for `how long`, a name for `who`."""

from __future__ import annotations

import re

from ragweave.orchestrator.models.extraction.amounts import Amount, amounts
from ragweave.orchestrator.models.extraction.segments import Segment
from ragweave.orchestrator.models.extraction.wants import Wanted
from ragweave.orchestrator.models.extraction.words import related, stem, words

_PERSON = re.compile(
    r"(?<![.!?]\s)(?<!^)\b[A-ZÀ-Þ][\w'’-]+(?:\s+(?:(?:de|van|von|der|la|le|bin|al)\s+)?[A-ZÀ-Þ][\w.'’-]*)+"
    r"|\b[A-ZÀ-Þ][a-z]+\s+[A-ZÀ-Þ][a-z]+"
)
_PLACE = re.compile(
    r"\b(?:in|at|near|from|to|of|on|between|into|off|across|around)\s+(?:the\s+|a\s+)?(?:[\w-]+\s+)?[A-ZÀ-Þ][\w'’-]+"
    r"|\b(?:from|on|in|into|at)\s+(?:the|an?)\s+\w+"
)
_WHEN = re.compile(
    r"\b(?:during|until|till|after|before|once|when|while|as soon as|at the (?:end|beginning|start)|season|episode"
    r"|day)\b",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\b(?:because|since|due to|so that|in order to|as a result|therefore|thus|hence|owing to|otherwise"
    r"|or (?:it|they|else)|to (?:avoid|prevent|stop|keep|make|help|ensure|allow|give|protect|improve)|prevents?"
    r"|helps?|allows?"
    r"|makes? (?:it|them|sure)|this (?:will|is|gives|makes)|cause[sd]?|reason|lest|for fear|responsible for|led to"
    r"|leads? to|result(?:s|ed)? in|as (?:it|they|this))\b",
    re.IGNORECASE,
)
_LETTERS = re.compile(r"[^\W\d_]+")
_BREAK = re.compile(r"[;.!?]\s|,\s")
_FARTHEST = 5
"""Words that may stand between an amount and what it is an amount of."""


def fit(wanted: Wanted, segment: Segment, about: bool = True) -> tuple[float, list[Amount]]:
    """From 0 to 1 (0.5: cannot be told), and the amounts in the segment that make it fit.

    `about` says that the segment is about the class asked for: `sauce` in `which sauce`.
    """
    text = segment.text
    match wanted.sort:
        case "amount" | "date":
            return _fit_amount(wanted, text)
        case "count" | "quantity":
            return _fit_noun(wanted, text)
        case "person":
            return (0.9 if _PERSON.search(text) else 0.2), []
        case "place":
            return (0.8 if _PLACE.search(text) else 0.2), []
        case "reason":
            return (1.0 if _REASON.search(text) else 0.3), []
        case "steps":
            return (1.0 if segment.kind == "step" else 0.4), []
        case "thing" if wanted.noun:
            return (1.0 if about else 0.0), []
    return 0.5, []


def _fit_amount(wanted: Wanted, text: str) -> tuple[float, list[Amount]]:
    found = [amount for amount in amounts(text) if amount.kind in wanted.kinds]
    if wanted.sort == "date" and not found:
        return (0.5 if _WHEN.search(text) else 0.0), []
    if not found or not wanted.unit:
        return (1.0 if found else 0.0), found
    exact = any(stem(part) == wanted.unit for amount in found for part in _LETTERS.findall(amount.text))
    return (1.0 if exact else 0.9), found


def _fit_noun(wanted: Wanted, text: str) -> tuple[float, list[Amount]]:
    """An amount next to what is counted: `100g fed sourdough starter` for `how much starter`."""
    found = [amount for amount in amounts(text) if amount.kind in (wanted.kinds or ("number", "portion", "mass"))]
    if not wanted.noun:
        return (0.8 if found else 0.0), found
    nouns = [word for word in words(text) if any(related(noun, word.stem) for noun in wanted.noun)]
    beside = [amount for amount in found if any(_beside(text, amount, word.start, word.end) for word in nouns)]
    if beside:
        return 1.0, beside
    return (0.3 if nouns and amounts(text) else 0.0), []


def _beside(text: str, amount: Amount, start: int, end: int) -> bool:
    between = text[amount.end : start] if start >= amount.end else text[end : amount.start]
    return len(between.split()) <= _FARTHEST and not _BREAK.search(between)
