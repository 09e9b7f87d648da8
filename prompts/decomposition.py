"""Questions as search queries, by rules: clauses, comparisons, relative clauses, and the next hop."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ragweave.orchestrator.models.extraction.grammar import AUX, WH
from ragweave.orchestrator.models.extraction.passages import Passage
from ragweave.orchestrator.models.extraction.questions import alternatives, clauses, content, in_context
from ragweave.orchestrator.models.extraction.scoring import Candidate, Scorer
from ragweave.orchestrator.models.extraction.words import related, stem, stems, weight
from ragweave.orchestrator.values import Document, Message

_RELATIVE = re.compile(
    r"\b(?:[Aa]n?|[Tt]he|[Aa]ny|[Ss]ome|[Oo]ne|[Tt]hose|[Tt]hese)\s+(?P<noun>(?:[\w'-]+\s+){1,3}?)"
    r"(?P<clause>(?:(?:in|for|to|on|at|by|from|with)\s+)?(?:that|which|who|whose|whom|where)\s+"
    r"(?:[^,;?]|,\s(?=[A-Z])){8,})"
)
_CAPITALS = (
    r"[A-ZÀ-Þ][\w'’.:-]*(?:\s+(?:(?:of|the|an?|in|for|to|de|da|van|von|la|le)\s+)*(?:[A-ZÀ-Þ][\w'’.:-]*|\d+))*"
    r"(?:\s+\([^()]*\))?"
)
_PAIR = re.compile(
    rf"(?P<one>{_CAPITALS}(?:,\s+{_CAPITALS})*),?\s+and\s+(?:the\s+|[a-z]+ of (?:the )?(?:[a-z]+ )?)?"
    rf"(?P<other>{_CAPITALS}(?:,\s+{_CAPITALS})*)"
)
_OPENS = re.compile(rf"^(?:(?:{AUX}|both|between|either)\s+)+", re.IGNORECASE)
_COMPARES = re.compile(r"\b(?:both|same|share|shared|common|between|either|alike|differ|each other)\b", re.IGNORECASE)
_WH = re.compile(
    rf"^(?:and|but|or|so|then)?\s*(?:in|at|on|to|for|from|by|with)?\s*"
    rf"(?:how (?:many|much|long|often|far|hot|strong|old|big|large|tall|high)|{WH})\b",
    re.IGNORECASE,
)
_LINK = re.compile(r"(?<!!)\[([^\[\]\n]{2,60})\]\(([^()\s]{1,500})\)")
_NAME = re.compile(
    r"(?<![.!?:;]\s)(?<![\w-])(?:[A-ZÀ-Þ][\w'’-]+)(?:\s+(?:(?:of|the|de|van|von|la|le|and|&)\s+)?[A-ZÀ-Þ0-9][\w'’-]*)*"
)
_SPELLED = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_LOOKED_AT = 3
"""Passages of the first hop whose names may lead on."""
_BEST = 2
"""Segments of each part of the question whose capitalised names may lead on; links may from any segment."""
_LINKED = 0.6
_ABOUT = 0.5
_NEAR_TOPIC = 0.75
"""Passages that hold less of the question than this share of what the best one holds do not lead on."""


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a question with what was found for it so far, and the name in it that leads on."""

    question: str
    found: str = ""
    document: str = ""
    leads_to: str = ""


@dataclass(frozen=True, slots=True)
class _Lead:
    """A name that may lead on, and the passage that holds it."""

    name: str
    passage: Passage
    linked: bool
    """A link names a document: it is asked for by its name alone."""
    score: float


def split(question: str, history: Sequence[Message] = ()) -> list[str]:
    """The question, then its parts as queries that stand alone; one that asks one thing stays one query."""
    question = " ".join(question.split())
    before = next(
        (message.text for message in reversed(history) if message.role == "user" and message.text.strip()), ""
    )
    asked = in_context(question, before)
    queries = [asked]
    parts = clauses(asked)
    if len(parts) > 1 or (parts[0].frame and not parts[0].choices):
        queries += [part.standing for part in parts]
    queries += list(_comparison(asked))
    queries += list(_pair(asked))
    queries += list(_relative(asked))
    return _distinct(queries) or [asked]


def next_hop(question: str, documents: Sequence[Document], missing: Sequence[str] = ()) -> tuple[list[Step], list[str]]:
    """What the first passages say on each part of the question, and queries for the names in them that lead on.

    Names are links and capitalised words that the question does not hold; a query is such a name, with the words of the
    question that its passage leaves open.
    """
    asked = [*clauses(question), *(clause for text in missing for clause in clauses(text))]
    scorer = Scorer(documents[:_LOOKED_AT])
    known = stems(question)
    steps: list[Step] = []
    leads: list[_Lead] = []
    for place, clause in enumerate(asked):
        found = scorer.candidates(clause, place)
        names = list(_names(found, known))
        best = found[0] if found else None
        steps.append(
            Step(
                question=clause.text,
                found=best.segment.text if best else "",
                document=best.passage.document.id if best else "",
                leads_to=names[0].name if names else "",
            )
        )
        leads += names
    queries: dict[str, str] = {}
    for lead in sorted(leads, key=lambda lead: -lead.score):
        left = "" if lead.linked else _left_open(question, lead.passage)
        queries.setdefault(lead.name.casefold(), f"{lead.name}: {left}".rstrip(": "))
    return steps, _distinct([*missing, *queries.values()])


def _comparison(question: str) -> Iterator[str]:
    """For `A or B`: what is asked, once of A and once of B."""
    choices = alternatives(question)
    if len(choices) < 2:
        return
    about = clauses(question)[-1].text
    rest = _WH.sub("", about).strip(" ?")
    rest = re.sub(r"^(?:ones?|of (?:them|these|those))\b\s*", "", rest, flags=re.IGNORECASE)
    for choice in choices:
        yield f"{choice} {rest}".strip()


def _pair(question: str) -> Iterator[str]:
    """For two names that are compared (`Were A and B both born in Lisk?`): what is asked, once of each."""
    pair = _PAIR.search(question) if _COMPARES.search(question) else None
    if pair is None:
        return
    outside = _COMPARES.sub("", question[: pair.start()] + question[pair.end() :])
    rest = " ".join(word for word in _SPELLED.findall(outside) if weight(stem(word)) == 1.0)
    for name in (_OPENS.sub("", pair["one"]), pair["other"]):
        yield f"{name.strip(' .:')} {rest}".strip()


def _relative(question: str) -> Iterator[str]:
    """What must be known first: `film that was shot there` of `Who directed the film that was shot there`.

    Where the question names something, that is the clause which does: `director who died first` finds nobody.
    """
    names = (match[0] for match in _NAME.finditer(question))
    named = {name for name in names if any(weight(word) == 1.0 for word in stems(name))}
    for match in _RELATIVE.finditer(question):
        outside = question[: match.start()] + question[match.end() :]
        if named and not any(name in match[0] for name in named):
            continue
        if sum(weight(word) for word in content(outside)) >= 1.0:
            yield f"{match['noun'].strip()} {match['clause'].strip()}"


def _names(found: Sequence[Candidate], known: Iterable[str]) -> Iterator[_Lead]:
    """Names that the question lacks: links of the passages that it names, then names in their best segments."""
    asked = frozenset(known)
    topic = max((candidate.topic for candidate in found), default=0.0) * _NEAR_TOPIC
    found = [candidate for candidate in found if candidate.topic >= topic]
    said: set[frozenset[str]] = set()
    for pattern, looked_at in ((_LINK, len(found)), (_NAME, _BEST)):
        for candidate in found[:looked_at]:
            if pattern is _LINK and _named(candidate.passage, asked) <= _ABOUT:
                continue
            text = candidate.passage.document.text
            for match in pattern.finditer(text, candidate.segment.start, candidate.segment.end):
                name = match[1] if pattern is _LINK else match[0]
                if pattern is _NAME and match.start() == candidate.segment.start and " " not in name:
                    continue
                words = stems(name)
                new = {
                    word
                    for word in words
                    if weight(word) == 1.0 and not word.isdigit() and not any(related(word, other) for other in asked)
                }
                if new and words not in said:
                    said.add(words)
                    score = candidate.score + (_LINKED if pattern is _LINK else 0.0) + 0.5 * candidate.topic
                    yield _Lead(name.strip(), candidate.passage, pattern is _LINK, score)


def _named(passage: Passage, asked: frozenset[str]) -> float:
    """The share of a title's specific words that the question holds: links lead on from passages that it is about."""
    title = [word for word in stems(passage.name) if weight(word) == 1.0]
    return sum(any(related(word, other) for other in asked) for word in title) / len(title) if title else 0.0


def _left_open(question: str, passage: Passage) -> str:
    """The question's words that a passage does not hold anywhere, as the question spells them."""
    left = [word for word in _SPELLED.findall(question) if weight(stem(word)) == 1.0]
    held = passage.vocabulary
    return " ".join(dict.fromkeys(word for word in left if not any(related(stem(word), other) for other in held)))


def _distinct(queries: Iterable[str]) -> list[str]:
    """Each query once, whatever its case and punctuation."""
    kept: dict[str, str] = {}
    for query in queries:
        key = " ".join(re.findall(r"\w+", query.lower()))
        if key:
            kept.setdefault(key, query.strip())
    return list(kept.values())
