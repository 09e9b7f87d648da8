"""Questions as clauses that can each be answered alone: what each asks for, and the words that its answer should hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ragweave.orchestrator.models.extraction.amounts import Kind, unit_kind
from ragweave.orchestrator.models.extraction.segments import sentences
from ragweave.orchestrator.models.extraction.words import fold, names_the_source, stem, weight, words

Wants = Literal[
    "amount", "count", "quantity", "date", "person", "place", "reason", "steps", "thing", "choice", "truth", "any"
]

_WH = r"(?:how|what|which|who|whom|whose|when|where|why)"
_AUX = (
    r"(?:is|are|was|were|am|be|been|do|does|did|can|could|should|shall|must|may|might|will|would|has|have|had"
    r"|isn't|aren't|wasn't|weren't|don't|doesn't|didn't|can't|won't|shouldn't)"
)
_PREPOSITION = (
    r"(?:in|on|at|for|with|from|to|by|into|onto|of|about|during|before|after|until|per|over|under|between|through|as|than|if|while"
    r"|when|that|which|who|where|because|and|or|but|again|exactly|originally|actually|together|up|down|off|out)"
)
_PRONOUN = r"(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|these|those|one|ones|each)"
_ASKS = re.compile(
    rf"(?:(?:and|but|so|or|also|then|ok|okay|please|well|hi|hello)[,\s]+)*(?:(?:in|at|on|to|for|from|by|with|of|about|under|until|since)\s+)?{_WH}\b"
    rf"|{_AUX}\b|(?:please\s+)?(?:tell|list|give|name|explain|describe|find|show|compare|summari[sz]e|scale|convert)\b",
    re.IGNORECASE,
)
_SPLIT = re.compile(
    rf"\s*[,;]?\s+(?:and|but|or|&)\s+(?:also\s+|then\s+)?(?=(?:(?:in|at|on|to|for|from|by|with)\s+)?{_WH}\b)"
    rf"|\s*[,;]?\s+(?:and|but|or)\s+(?={_AUX}\s+{_PRONOUN}\b)"
    rf"|\s*;\s*|,\s+(?=(?:how|what|where|why)\b)",
    re.IGNORECASE,
)
_FRAME = re.compile(
    rf"^(?P<frame>[^?:]+?):\s+(?P<rest>(?:(?:in|at|on|to|for|from|by|with)\s+)?(?:{_WH}|{_AUX})\b.*)$",
    re.IGNORECASE | re.DOTALL,
)
_CHOICE_AFTER = re.compile(
    r"^(?P<rest>.+?)(?::|,|\s[-–—])\s+(?P<choice>[^,:?]+?\s+or\s+[^,:?]+?)\s*\??$", re.IGNORECASE | re.DOTALL
)
_OR = re.compile(r",?\s+or\s+", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:an?|the|my|your|our|some|is it|are they)\s+", re.IGNORECASE)
_BARE = re.compile(
    rf"^(?:{_WH})(?:\s+(?:many|much|long|old|often|far|hot|strong|big|large|tall|high))?(?:\s+(?:of\s+)?[\w'-]+){{0,3}}\??$",
    re.IGNORECASE,
)
_TAIL = re.compile(rf"\b{_AUX}\b.*$", re.IGNORECASE | re.DOTALL)
_SUBJECT = re.compile(
    rf"\b(?P<aux>{_AUX})\s+(?P<run>.+?)(?=\s+(?!of\b|and\b|or\b){_PREPOSITION}\b|\s+\w+ing\b|\s*[,;:?.!]|\s*$)",
    re.IGNORECASE,
)
_COUNTS = {"two": 2, "both": 2, "three": 3, "four": 4, "five": 5, "2": 2, "3": 3, "4": 4, "5": 5}
_COUNTED = re.compile(
    rf"\b(?:which|what|who|name|list|give(?: me)?|tell me)\s+(?:(?:are|were)\s+)?(?:the\s+)?({'|'.join(_COUNTS)})\b"
)

# What a question word with its adjective asks for; the first that fits is taken.
_AMOUNTS: tuple[tuple[re.Pattern[str], tuple[Kind, ...]], ...] = tuple(
    (re.compile(pattern), kinds)
    for pattern, kinds in (
        (
            r"\bhow (?:hot|cold|warm)\b|\b(?:what|which) (?:\w+ )?(?:temperature|degrees?)\b|\btemperature\b.*\b(?:what|which)\b",
            ("temperature",),
        ),
        (r"\b(?:fahrenheit|celsius|centigrade|how many degrees)\b", ("temperature",)),
        (
            r"\bhow (?:strong|alcoholic|concentrated)\b|\bwhat (?:\w+ )?(?:strength|percentage|percent|proportion|abv|concentration)\b",
            ("percent",),
        ),
        (r"\bhow long\b|\bwhat (?:length of time|duration)\b", ("duration",)),
        (r"\bhow (?:often|frequently)\b", ("times", "duration")),
        (r"\bhow many times\b", ("times", "number")),
        (
            r"\bhow (?:far|tall|wide|deep|thick|thin|high|big|large)\b|\bwhat (?:size|height|width|length|distance|thickness)\b",
            ("length", "number"),
        ),
        (r"\bhow heavy\b|\bwhat weight\b", ("mass",)),
        (r"\bhow old\b|\bwhat age\b", ("number", "duration", "date")),
        (
            r"\bhow (?:expensive|costly)\b|\bwhat (?:price|cost)\b|\bhow much (?:do|does|did|is|are|was|were|will)\b.*\b(?:cost|pay|paid|earn|price|worth)",
            ("money",),
        ),
        (r"\bhow fast\b|\bwhat speed\b", ("duration", "length", "number")),
        (r"\bhow many calories|\bcalori(?:es|fic)|\bhow much energy\b", ("energy",)),
    )
)
_DATE = re.compile(
    rf"(?:^|\b(?:and|but|since|until|from)\s+)when\b|\bwhen {_AUX}\b|\b(?:what|which) (?:year|date|month|day|century|decade|season)\b|\bdate of\b|\bwhat time\b"
)
_CUE_STEMS = frozenset(
    stem(word)
    for word in [
        "long",
        "hot",
        "cold",
        "warm",
        "strong",
        "strength",
        "temperature",
        "old",
        "often",
        "far",
        "tall",
        "heavy",
        "fast",
        "degree",
        "many",
        "much",
        "percentage",
    ]
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
    wants: Wants = "any"
    kinds: tuple[Kind, ...] = ()
    """The amounts that answer it."""
    noun: tuple[str, ...] = ()
    """Stems of what is counted (`how many oranges`) or of the class that is asked for (`which spices`), its head last."""
    unit: str = ""
    """The unit that was asked for, as a stem: `how many days`."""
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

    @property
    def strict(self) -> bool:
        """True if no text answers it that lacks an amount of the right sort."""
        return self.wants in ("amount", "count", "quantity")


def clauses(question: str) -> list[Clause]:
    """What a question asks, clause by clause, in its order; at least one, even of an empty question."""
    statements, asked = _sentences(question)
    frame = " ".join(statements)
    found: list[Clause] = []
    for sentence in asked:
        own_frame, sentence, choices = _unframe(sentence)
        parts = _share_verbs([part for part in (piece.strip(" ,;") for piece in _SPLIT.split(sentence)) if part])
        subject = _subject(parts[0]) if parts else ""
        stated = ("" if choices else _topic(own_frame)) or _lacking(frame) or _object(frame)
        antecedent = subject or stated
        for place, part in enumerate(parts):
            known = antecedent if place or not subject else stated
            resolved = _resolve(part, known)
            clause = _clause(resolved, f"{frame} {own_frame}", choices, found[-1] if found else None)
            found.append(_own_words_first(clause, part) if resolved != part else clause)
    return [_with_context(clause, found, frame) for clause in found] or [Clause(question.strip(), {})]


def alternatives(question: str) -> tuple[str, ...]:
    """What a comparison compares: `("limoncini", "arancini")` for `limoncini or arancini: which …`; empty if it compares nothing."""
    for sentence in _sentences(question)[1]:
        choices = _unframe(sentence)[2]
        if choices:
            return choices
    return ()


def content(text: str) -> dict[str, float]:
    """Stems of a text with their weights; of repeated words once, words that say nothing left out."""
    return {word.stem: weight(word.stem) for word in words(text) if weight(word.stem) > 0.0}


def _sentences(question: str) -> tuple[list[str], list[str]]:
    """What a question states before it asks, and what it asks."""
    flat = " ".join(question.split())
    pieces = [flat[start:end] for start, end in sentences(flat)]
    asked = [piece for piece in pieces if piece.endswith("?") or _ASKS.match(piece)]
    if not asked:
        return [], pieces
    return [piece for piece in pieces if piece not in asked], asked


def _unframe(sentence: str) -> tuple[str, str, tuple[str, ...]]:
    """What stands before the colon, the question proper, and the things that it lets one choose from."""
    sentence = sentence.strip()
    frame = ""
    framed = _FRAME.match(sentence)
    if framed:
        frame, sentence = framed["frame"].strip(), framed["rest"].strip()
        if _OR.search(frame) and len(frame.split()) <= 16:
            return frame, sentence, _choices(frame)
    chosen = _CHOICE_AFTER.match(sentence)
    asks = re.compile(rf"\b(?:{_WH}|{_AUX})\b", re.IGNORECASE)
    if chosen and asks.search(chosen["rest"]) and not asks.search(chosen["choice"]):
        return " ".join([frame, chosen["choice"]]).strip(), chosen["rest"].strip() + "?", _choices(chosen["choice"])
    return frame, sentence, ()


def _choices(text: str) -> tuple[str, ...]:
    parts = [_ARTICLE.sub("", part.strip(" ,?")) for part in _OR.split(text)]
    return tuple(part for part in parts if part)


def _share_verbs(parts: Sequence[str]) -> list[str]:
    """`how many eggs` + `how much milk does it take` is `how many eggs does it take` + …; a lone `why` takes all of its neighbour."""
    shared = list(parts)
    for place in range(len(shared) - 2, -1, -1):
        tail = _TAIL.search(shared[place + 1])
        alone = re.fullmatch(r"(?:which|what) ones?", shared[place], re.IGNORECASE)
        if tail and not alone and _BARE.match(shared[place]) and not _TAIL.search(shared[place]):
            shared[place] = f"{shared[place]} {tail[0]}"
    for place in range(1, len(shared)):
        tail = _TAIL.search(shared[place - 1])
        if tail and re.fullmatch(
            rf"(?:{_WH}|for how long|how long|how much|how many|how often)\??", shared[place], re.IGNORECASE
        ):
            shared[place] = f"{shared[place].rstrip('?')} {tail[0]}"
    return shared


def _subject(clause: str) -> str:
    """The grammatical subject of a question, by its place after the auxiliary: `the dough` in `how long must the dough rest`.

    Where the thing asked for is the subject itself (`which sauce is served with the lamb`), all that is said of it.
    """
    asked = re.match(
        rf"(?:which|what)\s+((?:\w+\s+){{1,3}}?){_AUX}\s+(\w+(?:ed|en|wn|ne|id|ft|de)\b.*)", clause, re.IGNORECASE
    )
    if asked and not re.match(r"(?:the|an?)\s", asked[2], re.IGNORECASE):
        return f"the {asked[1].strip()} {asked[2].rstrip('?').strip()}"
    match = _SUBJECT.search(clause)
    if not match:
        return ""
    run = match["run"].split()
    # "do I dry beef jerky in", "does it take to make croissants from": what is done something to.
    acted_on = re.search(
        rf"\b(?:{_AUX}\s+(?:i|we|you|one)\s+\w+|it take(?: \w+)? to \w+)\s+(?P<object>.+?)(?=\s+(?!of\b|and\b){_PREPOSITION}\b|\s*[,;?]|\s*$)",
        clause,
        re.IGNORECASE,
    )
    if acted_on and not re.fullmatch(rf"{_PRONOUN}|{_PREPOSITION}.*", acted_on["object"], re.IGNORECASE):
        return acted_on["object"]
    copula = match["aux"].lower() in ("is", "are", "was", "were")
    if len(run) > 1 and (not copula or re.search(r"(?:ed|en|ing|wn|ne)$", run[-1])):
        run = run[:-1]
    if any(re.fullmatch(rf"{_PRONOUN}|i|we|you|there|be", word, re.IGNORECASE) for word in run):
        return ""
    return " ".join(run)


def _lacking(statement: str) -> str:
    """What a statement says is missing: `starter` in `I have no starter yet. How long until I have one?`."""
    match = re.search(r"\b(?:no|any|without)\s+(?:an?\s+|more\s+)?([\w-]+)", statement, re.IGNORECASE)
    return f"the {match[1]}" if match and weight(stem(match[1])) == 1.0 else ""


def _object(statement: str) -> str:
    """The last thing that a statement names: `egg whites` in `Carbonara leaves me with egg whites. What can use them?`."""
    said = re.search(r"((?:[\w-]+\s+)?[\w-]+)\W*$", statement)
    if not said or len(statement.split()) < 3:
        return ""
    kept = [word for word in said[1].split() if weight(stem(word)) == 1.0]
    return f"the {' '.join(kept)}" if kept else ""


def _topic(frame: str) -> str:
    """What the words before a colon are about: `lasagna` in `For lasagna: …`."""
    frame = re.sub(r"^(?:for|in|with|about|per|as for|regarding)\s+", "", frame.strip(" ,.:;"), flags=re.IGNORECASE)
    return frame if len(frame.split()) <= 6 else ""


def _resolve(clause: str, antecedent: str) -> str:
    """The clause with its first pronoun replaced by what it stands for, and with `that filling` left as it is."""
    if not antecedent:
        return clause
    possessive = re.search(r"\b(?:its|their|his|her)\b(?=\s+\w)", clause, re.IGNORECASE)
    pronoun = re.search(
        r"\b(?:it|they|them|he|him|she|(?<=have )one|(?<=get )one|(?<=make )one)\b(?!')", clause, re.IGNORECASE
    )
    if pronoun:
        return clause[: pronoun.start()] + antecedent + clause[pronoun.end() :]
    if possessive:
        return clause[: possessive.start()] + antecedent + "'s" + clause[possessive.end() :]
    return clause


def _clause(text: str, frame: str, choices: tuple[str, ...], before: Clause | None) -> Clause:
    plain = fold(text)
    terms = {key: value for key, value in content(text).items() if not names_the_source(key)} or content(text)
    wants, kinds, noun, unit = _wanted(plain)
    inherited = False
    if wants == "thing" and not noun:
        framed = next((kinds for pattern, kinds in _AMOUNTS if pattern.search(fold(frame))), ())
        if framed:
            wants, kinds = "amount", framed
        elif before is not None and before.kinds and re.search(r"\b(?:to|at|until)\W*$", plain):
            wants, kinds, inherited = before.wants, before.kinds, True
    for cue in _CUE_STEMS & terms.keys():
        if kinds and not inherited:
            del terms[cue]
    if unit:
        terms[unit] = 0.15
    if wants == "thing":
        terms.update({key: terms[key] * 0.6 for key in noun if key in terms and len(terms) > len(noun)})
    counted = _COUNTED.search(plain)
    count = _COUNTS.get(counted[1], 1) if counted else 1
    if choices:
        wants = "choice" if wants in ("thing", "any", "person", "truth") else wants
        terms.update(
            {key: value * 0.7 for choice in choices for key, value in content(choice).items() if key not in terms}
        )
    context = {key: value for key, value in content(frame).items() if key not in terms and not names_the_source(key)}
    if context and max(terms.values(), default=0.0) < 0.5:
        terms.update({key: value * 0.8 for key, value in context.items()})
    return Clause(
        " ".join(text.split()), terms, context, wants, kinds, noun, unit, count, inherited, choices, frame.strip()
    )


def _own_words_first(clause: Clause, asked: str) -> Clause:
    """The clause with what stands for a pronoun at half weight: `what sweetens it` asks about sweetening."""
    own = content(asked)
    if not any(value == 1.0 and key in clause.terms for key, value in own.items()):
        return clause
    terms = {key: value if key in own or value < 1.0 else 0.5 for key, value in clause.terms.items()}
    return replace(clause, terms=terms)


def _wanted(plain: str) -> tuple[Wants, tuple[Kind, ...], tuple[str, ...], str]:
    """What a clause wants: the sort of answer, kinds of amounts, the noun asked for, and the unit."""
    for pattern, kinds in _AMOUNTS:
        if pattern.search(plain):
            return "amount", kinds, (), "calori" if kinds == ("energy",) else ""
    many = re.search(r"\bhow many\s+((?:[\w'-]+\s*){1,4})", plain)
    if many:
        nouns = _noun_phrase(many[1])
        kind = unit_kind(nouns[0]) if nouns else None
        if kind is not None and kind != "portion":
            rest = re.match(r"how many\s+[\w'-]+\s+of\s+((?:[\w'-]+\s*){1,3})", plain[many.start() :])
            counted = _stems(_noun_phrase(rest[1])[:2]) if rest and kind in ("mass", "volume") else ()
            return "amount", (kind,), counted, stem(nouns[0])
        return "count", (), _stems(nouns[-1:]), ""
    much = re.search(r"\bhow much\s+(?:of\s+)?((?:[\w'-]+\s*){1,4})", plain)
    if much:
        nouns = _noun_phrase(much[1])
        return "quantity", ("mass", "volume", "portion", "percent", "money", "number"), _stems(nouns), ""
    if _DATE.search(plain):
        return "date", ("date", "duration") if plain.startswith("when") else ("date",), (), ""
    asked = re.search(
        r"\b(?:which|what)\s+(?:kinds? of\s+|types? of\s+|sorts? of\s+|brands? of\s+)?((?:[\w'-]+\s*){1,5})", plain
    )
    if re.search(r"\bwho(?:m|se)?\b", plain):
        return "person", (), (), ""
    if re.search(r"\bwhere\b", plain):
        return "place", (), (), ""
    if re.search(r"\bwhy\b|\bwhat (?:is |was )?(?:the )?(?:reason|cause)", plain):
        return "reason", (), (), ""
    if re.search(
        r"\bhow (?:do|does|did|can|could|should|would|to|is|are|was|were)\b|\bwhat is the (?:recipe|procedure|method)\b|\brecipe for\b",
        plain,
    ):
        return "steps", (), (), ""
    if asked:
        verb = re.match(r"\S+\s+(?:the|an?|this|that|these|those|it|them|my|your|our)\b", asked[1])
        return "thing", (), () if verb else _stems(_noun_phrase(asked[1])), ""
    return ("truth" if re.match(rf"{_AUX}\b", plain) else "any"), (), (), ""


def _noun_phrase(text: str) -> list[str]:
    """The leading words of a text up to its first verb or preposition, as far as those can be told by their form."""
    found: list[str] = []
    for word in text.split():
        if re.fullmatch(rf"{_AUX}|{_PREPOSITION}|{_PRONOUN}|i|we|you|the|an?|my|your", word):
            break
        found.append(word)
    said: list[str] = []
    for word in found:
        if said and weight(stem(word)) < 1.0:
            break
        if weight(stem(word)) > 0.0 and word not in _COUNTS and not names_the_source(stem(word)):
            said.append(word)
    return said[:2] if len(found) == len(text.split()) else said


def _stems(phrase: Sequence[str]) -> tuple[str, ...]:
    return tuple(stem(word) for word in phrase)


def _with_context(clause: Clause, found: Sequence[Clause], frame: str) -> Clause:
    """The clause with the words of its neighbours as context, the nearer to its own topic the heavier."""
    context = dict(clause.context)
    for other in found:
        for key, value in other.terms.items():
            if other is not clause and key not in clause.terms:
                context[key] = max(context.get(key, 0.0), value * 0.6)
    return replace(clause, context=context)
