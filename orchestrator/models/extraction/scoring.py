"""How well each segment answers each clause of a question: by words, where they stand, and the sort of answer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ragweave.orchestrator.models.extraction.amounts import Amount
from ragweave.orchestrator.models.extraction.fitting import fit
from ragweave.orchestrator.models.extraction.passages import Passage, passages
from ragweave.orchestrator.models.extraction.questions import Clause, content
from ragweave.orchestrator.models.extraction.segments import Segment
from ragweave.orchestrator.models.extraction.words import names_the_source, related, weight
from ragweave.orchestrator.values import Document

# How much a word counts that does not stand in the segment itself but in its …
OF_TITLE = 0.9
IN_LEAD = 0.8
IN_HEADING = 0.6
IN_TAGS = 0.6
IN_BLOCK = 0.55
IN_BRIDGE = 0.5
"""… in a segment of another passage that names this one: `directed by Arthur Rosson` for that of `Arthur Rosson`."""
NEARBY = 0.35
IN_PASSAGE = 0.2

TIED = 0.5
"""Below it, a word stands too far from a segment to say what the segment is about."""
ADDS_NOTHING = 0.4
"""What a segment loses that says no word beside those of the question."""
MEANING = 0.3
"""How much nearness in meaning (a cosine) counts."""
_COMPARED = 16
_MANY = ("choice", "truth", "any")

Similar = Callable[[str, Sequence[str]], Sequence[float]]
"""How near in meaning each of some texts is to a first one: cosines."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A segment as an answer to a clause, with what speaks for it."""

    passage: Passage
    place: int
    clause: int
    score: float
    covered: float = 0.0
    """Share of the clause's words, by weight, in the segment or about it."""
    stated: float = 0.0
    """The same, in the segment or the title alone."""
    tied: float = 0.0
    """The same, of specific words other than the noun asked for, where what is farther off does not count at all."""
    fits: float = 0.5
    """How far it is of the sort that was asked for: 1 yes, 0 no, 0.5 cannot be told."""
    topic: float = 0.0
    """Share of the words of the whole question that the passage holds anywhere."""
    amounts: tuple[Amount, ...] = field(default=(), compare=False)
    """The amounts in it that answer the clause."""
    near: float | None = None
    """How near in meaning it is to the clause, where that was asked for."""

    @property
    def segment(self) -> Segment:
        """The segment."""
        return self.passage.segments[self.place]


class Scorer:
    """Scores the segments of these passages; words that are rare among them count more.

    With `similar`, nearness in meaning is a part of the score of the segments that are best by words.
    """

    def __init__(self, documents: Sequence[Document], similar: Similar | None = None) -> None:
        self._similar = similar
        self.passages = passages(documents)
        self._counts = Counter(
            word for passage in self.passages for place in range(len(passage.segments)) for word in passage.own(place)
        )
        self._total = sum(len(passage.segments) for passage in self.passages)
        self._known = frozenset(self._counts).union(*(passage.vocabulary for passage in self.passages))
        self._variants: dict[str, dict[str, float]] = {}
        self._bridges = {
            passage.number: [
                (other, place)
                for other in self.passages
                for place in range(len(other.segments))
                if other.names(place, passage)
            ]
            for passage in self.passages
        }

    def candidates(self, clause: Clause, place: int = 0) -> list[Candidate]:
        """Every segment as an answer to the clause, which is the `place`-th of its question; the best first."""
        weights, context = self._weighed(clause.terms), self._weighed(clause.context)
        found = [
            candidate
            for passage in self.passages
            for candidate in self._score(passage, clause, place, weights, context)
        ]
        found.sort(key=lambda candidate: -candidate.score)
        return found if self._similar is None else self._by_meaning(clause, found, self._similar)

    def held(self, terms: Mapping[str, float], vocabulary: frozenset[str]) -> float:
        """Share of the terms, by weight, that a vocabulary holds."""
        total = sum(terms.values())
        return sum(value * self._match(term, vocabulary) for term, value in terms.items()) / total if total else 0.0

    def bridge(self, candidate: Candidate, clause: Clause) -> Candidate | None:
        """The segment that leads from the question to the candidate's passage, if what it says is needed to see why."""
        asked, own = {**content(clause.frame), **clause.terms}, candidate.passage.vocabulary
        best: tuple[float, Passage, int] | None = None
        for other, place in self._bridges[candidate.passage.number]:
            held = other.own(place) | other.title
            new = sum(value for term, value in asked.items() if self._match(term, held) and not self._match(term, own))
            if new >= TIED and (best is None or new > best[0]):
                best = (new, other, place)
        if best is None:
            return None
        return Candidate(best[1], best[2], candidate.clause, candidate.score * 0.9, topic=candidate.topic)

    def onward(self, first: Candidate, clause: Clause, found: Sequence[Candidate]) -> Candidate | None:
        """The segment of a passage that `first` names, if it says of the clause what `first` lacks: the second hop."""
        held = first.passage.own(first.place) | first.passage.title
        open_terms = {term for term in clause.terms if weight(term) == 1.0 and not self._match(term, held)}
        said: list[tuple[float, Candidate]] = []
        for candidate in found:
            if candidate.fits >= first.fits and first.passage.names(first.place, candidate.passage):
                own = candidate.passage.own(candidate.place)
                gained = sum(clause.terms[term] * self._match(term, own) for term in open_terms)
                said += [(gained, candidate)] if gained else []
        return max(said, key=lambda pair: (pair[0], pair[1].score))[1] if said else None

    def _variants_of(self, term: str) -> Mapping[str, float]:
        """The words of the passages that are `term` or a form of it, and how nearly they are."""
        found = self._variants.get(term)
        if found is None:
            found = {term: 1.0} if term in self._known else {}
            if weight(term) == 1.0:
                near = {known: related(term, known) * (0.8 if found else 1.0) for known in self._known - {term}}
                found.update({known: value for known, value in near.items() if value > 0.0})
            self._variants[term] = found
        return found

    def _match(self, term: str, vocabulary: frozenset[str]) -> float:
        return max((near for word, near in self._variants_of(term).items() if word in vocabulary), default=0.0)

    def _rarity(self, term: str) -> float:
        """From 0.4 (in every segment) to 1 (in one or none)."""
        if self._total < 2:
            return 1.0
        count = sum(self._counts[word] for word in self._variants_of(term))
        return 0.4 + 0.6 * math.log(1 + self._total / (1 + count)) / math.log(1 + self._total)

    def _weighed(self, terms: Mapping[str, float]) -> dict[str, float]:
        """The terms with their rarity; everyday words that no passage holds are left out, for that tells nothing."""
        return {
            term: value * self._rarity(term)
            for term, value in terms.items()
            if weight(term) == 1.0 or self._variants_of(term)
        }

    def _by_meaning(self, clause: Clause, found: list[Candidate], similar: Similar) -> list[Candidate]:
        """The candidates with the nearness of the best ones added to their scores."""
        best = found[:_COMPARED]
        texts = [f"{candidate.passage.name}: {candidate.segment.text}" for candidate in best]
        near = similar(clause.standing, texts) if best else ()
        scored = [
            replace(candidate, score=candidate.score + MEANING * value, near=value)
            for candidate, value in zip(best, near, strict=True)
        ]
        return [*sorted(scored, key=lambda candidate: -candidate.score), *found[_COMPARED:]]

    def _score(
        self, passage: Passage, clause: Clause, place: int, weights: Mapping[str, float], context: Mapping[str, float]
    ) -> list[Candidate]:
        everything = {**context, **weights}
        led = frozenset[str]().union(*(other.own(at) | other.title for other, at in self._bridges[passage.number]))
        topic = max(self.held(everything, passage.vocabulary), 0.85 * self.held(everything, passage.vocabulary | led))
        about_all = 0.3 * topic + 0.2 * _named(clause, passage) + 0.05 / passage.number
        found = []
        for index, segment in enumerate(passage.segments):
            fits, amounts = fit(clause.wanted, segment, self._is_about(clause.wanted.noun, passage, index))
            covered, stated, tied = self._coverage(clause, passage, index, weights, led)
            score = covered + 0.5 * stated + about_all
            score += (0.9 if clause.wanted.strict and not clause.inherited else 0.5) * fits
            score += 0.1 * self.held(context, passage.own(index))
            if not clause.wanted.strict and not _adds(passage, index, clause):
                score -= ADDS_NOTHING
            found.append(Candidate(passage, index, place, score, covered, stated, tied, fits, topic, tuple(amounts)))
        return found

    def _coverage(
        self, clause: Clause, passage: Passage, index: int, weights: Mapping[str, float], led: frozenset[str]
    ) -> tuple[float, float, float]:
        """What Candidate calls `covered`, `stated` and `tied`."""
        total = sum(weights.values()) or 1.0
        covered = stated = tied = beside = 0.0
        for term, value in weights.items():
            # A passage is about its title all through, whether a sentence repeats it or says "it".
            own = max(self._match(term, passage.own(index)), OF_TITLE * self._match(term, passage.title))
            near = max(own, self._around(term, passage, index), IN_BRIDGE * self._match(term, led))
            stated += value * own
            covered += value * near
            if weight(term) == 1.0 and term not in clause.wanted.noun and term != clause.wanted.unit:
                tied += value * near if near >= TIED else 0.0
                beside += value
        return covered / total, stated / total, tied / beside if beside else 1.0

    def _around(self, term: str, passage: Passage, index: int) -> float:
        """How much a term counts for what stands around a segment."""
        best = max(
            IN_LEAD * self._match(term, passage.lead(index)),
            IN_HEADING * self._match(term, passage.above(index)),
            IN_TAGS * self._match(term, passage.metadata),
            IN_PASSAGE * self._match(term, passage.vocabulary),
        )
        block = passage.segments[index].block
        for near in range(max(0, index - 2), min(len(passage.segments), index + 3)):
            same = passage.segments[near].block == block
            if near != index and (same or abs(near - index) == 1):
                best = max(best, (IN_BLOCK if same else NEARBY) * self._match(term, passage.own(near)))
        return best

    def _is_about(self, noun: Sequence[str], passage: Passage, index: int) -> bool:
        """True if a noun's head stands in a segment, or says what the passage or the list that it is in are."""
        places = (passage.own(index), passage.lead(index), passage.title, passage.metadata, passage.above(index))
        return bool(noun) and any(self._match(noun[-1], place) > 0.0 for place in places)


def _named(clause: Clause, passage: Passage) -> float:
    """How much of the passage's title the question names: a passage about just this goes before one about more."""
    title = [term for term in passage.title if not names_the_source(term)]
    asked = clause.context.keys() | clause.terms.keys()
    return sum(max((related(term, word) for term in asked), default=0.0) for word in title) / max(len(title), 1)


def _adds(passage: Passage, index: int, clause: Clause) -> bool:
    """True if a segment says a specific word that the question lacks: an answer is something new.

    Where a class is asked for (`which dessert`), the title may be the answer; a yes or a choice may rest on a number.
    """
    if "://" in passage.segments[index].text:
        return False
    said = passage.own(index) - passage.title | (passage.title if clause.wanted.noun else frozenset())
    known = clause.terms.keys() | clause.context.keys()
    return any(
        (weight(word) == 1.0 or (word.isdigit() and clause.wanted.sort in _MANY))
        and not any(related(term, word) for term in known)
        for word in said
    )
