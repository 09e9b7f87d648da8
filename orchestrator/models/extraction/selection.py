"""Which segments make the answer: for each clause its best, then what is needed beside it, nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragweave.orchestrator.models.extraction.confidence import THRESHOLD, confidence
from ragweave.orchestrator.models.extraction.questions import Clause, clauses
from ragweave.orchestrator.models.extraction.scoring import Candidate, Scorer, Similar
from ragweave.orchestrator.models.extraction.words import related, stems, weight
from ragweave.orchestrator.values import Document

_SAME_VALUE_SCORE = 0.78
_ALSO_SCORE = 0.9
_DOUBTFUL = 0.3
"""How sure an answer to one part must be where another part is answered."""
_SETTLED = 0.08
"""The same where it stands in a passage that answers another part."""
_REPEATS = 0.8
_STEPS = 8
_MOST_OF = 0.6
_BACKWARD = frozenset(
    ("they", "it", "this", "these", "that", "those", "he", "she", "then", "but", "however", "also", "otherwise")
)


@dataclass(frozen=True, slots=True)
class Selection:
    """The segments of an answer in the order in which to say them, and how sure it is; without segments, it is none."""

    chosen: tuple[Candidate, ...] = ()
    confidence: float = 0.0


def select(question: str, documents: Sequence[Document], limit: int, similar: Similar | None = None) -> Selection:
    """Up to `limit` segments that answer the question (more only for the steps of a procedure)."""
    asked = clauses(question)
    scorer = Scorer(documents, similar)
    ranked = [scorer.candidates(clause, place) for place, clause in enumerate(asked)]
    sure = [confidence(scorer, clause, found[0]) if found else 0.0 for clause, found in zip(asked, ranked, strict=True)]
    best = max(sure, default=0.0)
    if best < THRESHOLD:
        return Selection()
    chosen: list[Candidate] = []
    settled = {found[0].passage.number for found, certain in zip(ranked, sure, strict=True) if certain >= THRESHOLD}
    for clause, found, certain in zip(asked, ranked, sure, strict=True):
        if found and certain >= (_SETTLED if found[0].passage.number in settled else _DOUBTFUL):
            for candidate in _for_clause(clause, found, scorer, limit):
                if not _repeats(candidate, chosen):
                    chosen.append(candidate)
    if not any(clause.wanted.sort == "steps" for clause in asked):
        chosen = _shorten(chosen, asked, limit)
    return Selection(tuple(chosen), round(best, 3))


def _for_clause(clause: Clause, found: Sequence[Candidate], scorer: Scorer, limit: int) -> list[Candidate]:
    """The best segment and what belongs to it, with the segment that leads to it or the one that it leads to."""
    first = found[0]
    onward = scorer.onward(first, clause, found)
    if onward is not None:
        return [first, onward]
    bridge = scorer.bridge(first, clause)
    return [*([bridge] if bridge else []), *_in_passage(clause, found, limit)]


def _in_passage(clause: Clause, found: Sequence[Candidate], limit: int) -> list[Candidate]:
    """The best segment, and beside it what else the clause asks for."""
    first = found[0]
    if clause.wanted.sort == "steps":
        return _steps(clause, first, found) or [first]
    if clause.choices:
        return _choice(clause, found) or [first]
    chosen = [first, *_other_values(clause, found)]
    if not clause.wanted.strict:
        chosen += _following(first, found)
        enough = max(clause.count, 1)
        for candidate in found[1:]:
            if len(chosen) >= max(2, enough) or candidate.score < first.score * (
                _SAME_VALUE_SCORE if len(chosen) < enough else _ALSO_SCORE
            ):
                break
            if not _repeats(candidate, chosen):
                chosen.append(candidate)
    return chosen[:limit]


def _other_values(clause: Clause, found: Sequence[Candidate]) -> list[Candidate]:
    """Segments that give other values for the same thing as the best one: both are shown, and the reader decides."""
    first = found[0]
    values = {amount.value for amount in first.amounts}
    if not values or not clause.wanted.strict:
        return []
    others: list[Candidate] = []
    asked = frozenset(clause.terms)
    said = _said(first, asked)
    for candidate in found[1:]:
        if candidate.score < first.score * _SAME_VALUE_SCORE or len(others) == 2:
            break
        new = {amount.value for amount in candidate.amounts} - values
        if new and (_said(candidate, asked) & said or candidate.score >= first.score * _ALSO_SCORE):
            others.append(candidate)
            values |= new
    return others


def _said(candidate: Candidate, asked: frozenset[str]) -> frozenset[str]:
    own = candidate.passage.own(candidate.place)
    return frozenset(term for term in asked if any(related(term, word) for word in own))


def _following(first: Candidate, found: Sequence[Candidate]) -> list[Candidate]:
    """The next sentence, if it goes on about the same: `They are added only if …`."""
    for candidate in found:
        if (
            candidate.passage is first.passage
            and candidate.place == first.place + 1
            and candidate.segment.block == first.segment.block
        ):
            opening = candidate.segment.text.split(maxsplit=1)[0].strip(",").lower()
            return [candidate] if opening in _BACKWARD and candidate.score >= first.score * 0.5 else []
    return []


def _steps(clause: Clause, first: Candidate, found: Sequence[Candidate]) -> list[Candidate]:
    """The numbered list that the best segment stands in; of it only the part that is asked about, if it is a part."""
    steps = [
        candidate for candidate in found if candidate.passage is first.passage and candidate.segment.kind == "step"
    ]
    steps.sort(key=lambda candidate: candidate.place)
    special = {term for term in clause.terms if weight(term) == 1.0} - first.passage.title
    if first.segment.kind == "step" and _said(first, frozenset(special)):
        return [one for one in steps if abs(one.place - first.place) <= 1 and one.stated >= first.stated * 0.6]
    return steps[:_STEPS]


def _choice(clause: Clause, found: Sequence[Candidate]) -> list[Candidate]:
    """For each of the things to choose from, the best segment that is about it, those of its own passage first."""
    chosen: list[Candidate] = []
    for choice in clause.choices:
        words = stems(choice)
        best: tuple[float, Candidate] | None = None
        for candidate in found:
            titled, said = (
                _shared(words, candidate.passage.title),
                _shared(words, candidate.passage.own(candidate.place)),
            )
            about = max(titled, said)
            if about > _MOST_OF and (best is None or candidate.score + about + titled > best[0]):
                best = (candidate.score + about + titled, candidate)
        if best is not None and not _repeats(best[1], chosen):
            chosen.append(best[1])
    return chosen


def _shared(words: frozenset[str], held: frozenset[str]) -> float:
    """The share of some words that others hold, in whatever form."""
    return sum(any(related(word, other) for other in held) for word in words) / max(len(words), 1)


def _repeats(candidate: Candidate, chosen: Sequence[Candidate]) -> bool:
    """True if what is chosen already says it."""
    own = stems(candidate.segment.text)
    for other in chosen:
        if other.passage is candidate.passage and other.place == candidate.place:
            return True
        others = stems(other.segment.text)
        if (
            own
            and len(own & others) / len(own) > _REPEATS
            and candidate.segment.text.lower() in other.segment.text.lower()
        ):
            return True
    return False


def _shorten(chosen: Sequence[Candidate], asked: Sequence[Clause], limit: int) -> list[Candidate]:
    """At most `limit` segments: first the best one of each clause, then the rest by score."""
    seen: set[int] = set()
    firsts = []
    for candidate in chosen:
        if candidate.clause not in seen:
            seen.add(candidate.clause)
            firsts.append(candidate)
    rest = sorted(
        (candidate for candidate in chosen if candidate not in firsts), key=lambda candidate: -candidate.score
    )
    kept = {id(candidate) for candidate in [*firsts, *rest][: max(limit, len(asked))]}
    return [candidate for candidate in chosen if id(candidate) in kept]
