"""Questions as clauses that can be answered one by one: what each wants, and the words that its answer should hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ragweave.orchestrator.models.extraction.grammar import (
    AUX,
    PRONOUN,
    WH,
    resolve,
    share_verbs,
    stands_before,
    subject,
)
from ragweave.orchestrator.models.extraction.segments import sentences
from ragweave.orchestrator.models.extraction.wants import CUES, Wanted, amounts_asked, count_asked, wanted
from ragweave.orchestrator.models.extraction.words import fold, names_the_source, weight, words

LONGEST = 2_000
"""Characters of a question that are looked at."""

_PREPOSED = r"(?:(?:in|at|on|to|for|from|by|with|of|about|under|until|since)\s+)?"
_OPENING = r"(?:(?:and|but|so|or|also|then|ok|okay|please|well|hi|hello)[,\s]+)*"
_ASKS = re.compile(
    rf"{_OPENING}{_PREPOSED}{WH}\b|{AUX}\b"
    r"|(?:please\s+)?(?:tell|list|give|name|explain|describe|find|show|compare|summari[sz]e|scale|convert)\b",
    re.IGNORECASE,
)
_ASKS_WITHIN = re.compile(rf"\b(?:{WH}|{AUX})\b", re.IGNORECASE)
_SPLIT = re.compile(
    rf"\s*[,;]?\s+(?:and|but|or|&)\s+(?:also\s+|then\s+)?(?={_PREPOSED}{WH}\b)"
    rf"|\s*[,;]?\s+(?:and|but|or)\s+(?={AUX}\s+{PRONOUN}\b)"
    r"|\s*;\s*|,\s+(?=(?:how|what|where|why)\b)",
    re.IGNORECASE,
)
_FRAME = re.compile(
    rf"^(?P<frame>[^?:]+):\s+(?P<rest>{_PREPOSED}(?:{WH}|{AUX})\b.*)$",
    re.IGNORECASE | re.DOTALL,
)
_CHOICE = re.compile(
    r"^(?P<rest>.+)(?::|,|\s[-–—])\s+(?P<choice>[^,:?]+\sor\s[^,:?]+)\??\s*$", re.IGNORECASE | re.DOTALL
)
_OR = re.compile(r",?\s+or\s+", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:an?|the|my|your|our|some|is it|are they)\s+", re.IGNORECASE)
_FOLLOWS_UP = re.compile(
    r"\b(?:it|its|they|them|their|this|that|these|those|he|she|his|her|there|one)\b"
    r"|^(?:and|but|so|what about|how about)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing that a question asks."""

    text: str
    """The clause as a question of its own: pronouns are replaced, what it shares with its neighbours is repeated."""
    terms: Mapping[str, float]
    """Stems that its answer, or what surrounds it, should hold, with weights up to 1."""
    context: Mapping[str, float] = field(default_factory=dict)
    """Stems of the rest of the question: they tell which passage is meant."""
    wanted: Wanted = field(default_factory=lambda: Wanted("any"))
    count: int = 1
    """How many things it asks for: 2 in `which two spices`."""
    inherited: bool = False
    """True if what it wants was taken over from the clause before it."""
    choices: tuple[str, ...] = ()
    """The things to choose from: `A or B`."""
    frame: str = ""
    """What the question says before it asks: `for lasagna`."""

    @property
    def standing(self) -> str:
        """The clause with what the question says before it, where it says little by itself."""
        alone = sum(1 for term, value in content(self.text).items() if value == 1.0)
        return f"{self.frame} {self.text}" if self.frame and (alone < 2 or self.choices) else self.text


def clauses(question: str) -> list[Clause]:
    """What a question asks, clause by clause, in its order; at least one, even of an empty question."""
    statements, asked = _sentences(question)
    statement = " ".join(statements)
    found: list[Clause] = []
    for sentence in asked:
        frame, sentence, choices = _unframe(sentence)
        parts = share_verbs([part for part in (piece.strip(" ,;") for piece in _SPLIT.split(sentence)) if part])
        named = subject(parts[0]) if parts else ""
        before = stands_before(statement, "" if choices else frame)
        for place, part in enumerate(parts):
            resolved = resolve(part, (named or before) if place or not named else before)
            clause = _clause(resolved, f"{statement} {frame}".strip(), choices, found[-1] if found else None)
            found.append(clause if resolved == part else _own_words_first(clause, part))
    return [_with_context(clause, found) for clause in found] or [Clause(question[:LONGEST].strip(), {})]


def alternatives(question: str) -> tuple[str, ...]:
    """What a comparison compares: `("limoncini", "arancini")` for `limoncini or arancini: which …`; else nothing."""
    return next((choices for _, _, choices in map(_unframe, _sentences(question)[1]) if choices), ())


def in_context(question: str, before: str) -> str:
    """A follow-up such as `and how long does it rest?` behind the question before it; other questions as they are."""
    specific = [word for word, value in content(question).items() if value == 1.0]
    if not before.strip() or (len(specific) > 1 and not _FOLLOWS_UP.search(question)):
        return question
    return f"{' '.join(before.split())[: LONGEST // 2]} {question}"


def content(text: str) -> dict[str, float]:
    """Stems of a text with their weights; of repeated words once, words that say nothing left out."""
    return {word.stem: weight(word.stem) for word in words(text) if weight(word.stem) > 0.0}


def _sentences(question: str) -> tuple[list[str], list[str]]:
    """What a question states before it asks, and what it asks."""
    flat = " ".join(question[:LONGEST].split())
    pieces = [flat[start:end] for start, end in sentences(flat)]
    asked = [piece for piece in pieces if piece.endswith("?") or _ASKS.match(piece)]
    return ([piece for piece in pieces if piece not in asked], asked) if asked else ([], pieces)


def _unframe(sentence: str) -> tuple[str, str, tuple[str, ...]]:
    """What stands before the colon, the question proper, and the things that it lets one choose from."""
    frame = ""
    framed = _FRAME.match(sentence)
    if framed:
        frame, sentence = framed["frame"].strip(), framed["rest"].strip()
        if _OR.search(frame) and len(frame.split()) <= 16:
            return frame, sentence, _choices(frame)
    chosen = _CHOICE.match(sentence)
    if chosen and _ASKS_WITHIN.search(chosen["rest"]) and not _ASKS_WITHIN.search(chosen["choice"]):
        return f"{frame} {chosen['choice']}".strip(), f"{chosen['rest'].strip()}?", _choices(chosen["choice"])
    return frame, sentence, ()


def _choices(text: str) -> tuple[str, ...]:
    parts = [_ARTICLE.sub("", part.strip(" ,?")) for part in _OR.split(text)]
    return tuple(part for part in parts if part)


def _clause(text: str, frame: str, choices: tuple[str, ...], before: Clause | None) -> Clause:
    plain = fold(text)
    wants, inherited = _wanted(plain, frame, before)
    terms = {key: value for key, value in content(text).items() if not names_the_source(key)} or content(text)
    if wants.kinds and not inherited:
        terms = {key: value for key, value in terms.items() if key not in CUES}
    if wants.unit:
        terms[wants.unit] = 0.15
    if wants.sort == "thing" and len(terms) > len(wants.noun):
        terms.update({key: terms[key] * 0.6 for key in wants.noun if key in terms})
    if choices:
        wants = replace(wants, sort="choice") if wants.sort in ("thing", "any", "person", "truth") else wants
        named = {key: value * 0.7 for choice in choices for key, value in content(choice).items()}
        terms = {**named, **terms}
    context = {key: value for key, value in content(frame).items() if key not in terms and not names_the_source(key)}
    if context and max(terms.values(), default=0.0) < 0.5:
        terms.update({key: value * 0.8 for key, value in context.items()})
    return Clause(" ".join(text.split()), terms, context, wants, count_asked(plain), inherited, choices, frame)


def _wanted(plain: str, frame: str, before: Clause | None) -> tuple[Wanted, bool]:
    """What a clause wants; one that only says `what … to` may take it from its frame or from the clause before it."""
    wants = wanted(plain)
    if wants.sort != "thing" or wants.noun:
        return wants, False
    framed = amounts_asked(fold(frame))
    if framed:
        return Wanted("amount", framed), False
    if before is not None and before.wanted.kinds and re.search(r"\b(?:to|at|until)\W*$", plain):
        return Wanted(before.wanted.sort, before.wanted.kinds), True
    return wants, False


def _own_words_first(clause: Clause, asked: str) -> Clause:
    """The clause with what stands for a pronoun at half weight: `what sweetens it` asks about sweetening."""
    own = content(asked)
    if not any(value == 1.0 and key in clause.terms for key, value in own.items()):
        return clause
    terms = {key: value if key in own or value < 1.0 else 0.5 for key, value in clause.terms.items()}
    return replace(clause, terms=terms)


def _with_context(clause: Clause, found: Sequence[Clause]) -> Clause:
    """The clause with the words of its neighbours as context."""
    context = dict(clause.context)
    for other in found:
        for key, value in other.terms.items():
            if other is not clause and key not in clause.terms:
                context[key] = max(context.get(key, 0.0), value * 0.6)
    return replace(clause, context=context)
