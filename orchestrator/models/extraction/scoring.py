"""How well each segment of the passages answers each clause of a question: words, their places, and the sort of answer."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ragweave.orchestrator.models.extraction.amounts import Amount, amounts
from ragweave.orchestrator.models.extraction.questions import Clause
from ragweave.orchestrator.models.extraction.segments import Segment, segments
from ragweave.orchestrator.models.extraction.words import names_the_source, related, stem, stems, weight, words
from ragweave.orchestrator.values import Document

# How much a word counts that does not stand in the segment itself but in its …
IN_LEAD = 0.8
OF_TITLE = 0.9
IN_HEADING = 0.6
IN_TAGS = 0.6
IN_BLOCK = 0.55
NEARBY = 0.35
IN_PASSAGE = 0.2
IN_BRIDGE = 0.5
"""… in a segment of another passage that names this passage's title: `directed by Arthur Rosson` for `Arthur Rosson`."""

ADDS_NOTHING = 0.4
TIED = 0.5
"""Below it, a word stands too far from a segment to say what the segment is about."""
MEANING = 0.3
"""How much nearness in meaning (a cosine) counts."""
_COMPARED = 16

_LINK = re.compile(r"\[([^\]\n]+)\]\([^)\n]+\)")
_PARENTHESIS = re.compile(r"\([^)]*\)")
_PERSON = re.compile(
    r"(?<![.!?]\s)(?<!^)\b[A-ZÀ-Þ][\w'’-]+(?:\s+(?:(?:de|van|von|der|la|le|bin|al)\s+)?[A-ZÀ-Þ][\w.'’-]*)+|\b[A-ZÀ-Þ][a-z]+\s+[A-ZÀ-Þ][a-z]+"
)
_PLACE = re.compile(
    r"\b(?:in|at|near|from|to|of|on|between|into|off|across|around)\s+(?:the\s+|a\s+)?(?:[\w-]+\s+)?[A-ZÀ-Þ][\w'’-]+|\b(?:from|on|in|into|at)\s+(?:the|an?)\s+\w+"
)
_WHEN = re.compile(
    r"\b(?:during|until|till|after|before|once|when|while|as soon as|at the (?:end|beginning|start)|season|episode|day)\b",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\b(?:because|since|due to|so that|in order to|as a result|therefore|thus|hence|owing to|otherwise|or (?:it|they|else)|to (?:avoid|prevent|stop|"
    r"keep|make|help|ensure|allow|give|protect|improve)|prevents?|helps?|allows?|makes? (?:it|them|sure)|this (?:will|is|gives|makes)|cause[sd]?|reason"
    r"|lest|for fear|responsible for|led to|leads? to|result(?:s|ed)? in|as (?:it|they|this))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Passage:
    """A document with its segments; `number` is its place among those given, from 1."""

    number: int
    document: Document
    segments: tuple[Segment, ...]

    @property
    def name(self) -> str:
        """The title without the headings that a passage in the middle of a document carries behind it."""
        return self.document.title.partition(" > ")[0].strip()

    @cached_property
    def title(self) -> frozenset[str]:
        """Stems of the title."""
        return stems(self.document.title)

    @cached_property
    def metadata(self) -> frozenset[str]:
        """Stems of the metadata's texts: tags, authors."""
        found: set[str] = set()
        for value in self.document.metadata.values():
            for text in value if isinstance(value, list | tuple) else [value]:
                if isinstance(text, str):
                    found |= stems(text)
        return frozenset(found)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Stems of everything in the passage, title and metadata included."""
        return frozenset().union(
            self.title, self.metadata, *(self.own(place) | self.above(place) for place in range(len(self.segments)))
        )

    def own(self, place: int) -> frozenset[str]:
        """Stems of the segment itself."""
        return stems(self.segments[place].text)

    def linked(self, place: int) -> frozenset[str]:
        """Stems of the texts of a segment's links."""
        segment = self.segments[place]
        links = _LINK.finditer(self.document.text, segment.start, segment.end)
        return frozenset().union(*(stems(match[1]) for match in links))

    def above(self, place: int) -> frozenset[str]:
        """Stems of the headings above a segment."""
        return frozenset().union(*(stems(heading) for heading in self.segments[place].headings))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A segment as an answer to a clause, with what speaks for it."""

    passage: Passage
    place: int
    clause: int
    score: float
    covered: float
    """Share of the clause's words, by weight, in the segment or about it."""
    stated: float
    """The same, in the segment or the title alone."""
    tied: float
    """The same, of specific words other than the noun asked for, where what is farther off does not count at all."""
    fits: float
    """How far it is of the sort that was asked for: 1 yes, 0 no, 0.5 cannot be told."""
    topic: float
    """Share of the words of the whole question that the passage holds anywhere."""
    amounts: tuple[Amount, ...] = field(default=(), compare=False)
    """The amounts in it that answer the clause."""
    near: float | None = None
    """How near in meaning it is to the clause, where that was asked for."""

    @property
    def segment(self) -> Segment:
        """The segment."""
        return self.passage.segments[self.place]


Similar = Callable[[str, Sequence[str]], Sequence[float]]
"""How near in meaning each of some texts is to a first one: cosines."""


class Scorer:
    """Scores the segments of these passages; words that are rare among them count more.

    With `similar`, nearness in meaning is a part of the score of the segments that are best by words.
    """

    def __init__(self, documents: Sequence[Document], similar: Similar | None = None) -> None:
        self._similar = similar
        self.passages = [
            Passage(number, document, tuple(segments(document.text)))
            for number, document in enumerate(documents, start=1)
        ]
        counts: Counter[str] = Counter()
        for passage in self.passages:
            for place in range(len(passage.segments)):
                counts.update(passage.own(place))
        self._counts = counts
        self._total = sum(len(passage.segments) for passage in self.passages)
        self._known = frozenset(counts).union(*(passage.vocabulary for passage in self.passages))
        self._variants: dict[str, dict[str, float]] = {}
        self._bridges = [self._find_bridges(passage) for passage in self.passages]

    def rarity(self, term: str) -> float:
        """From 0.4 (in every segment) to 1 (in one or none)."""
        count = sum(self._counts[variant] for variant in self.variants(term))
        return (
            0.4 + 0.6 * math.log(1 + self._total / (1 + count)) / math.log(1 + self._total) if self._total > 1 else 1.0
        )

    def variants(self, term: str) -> Mapping[str, float]:
        """The words of the passages that are `term` or a form of it, and how nearly they are."""
        found = self._variants.get(term)
        if found is None:
            found = {term: 1.0} if term in self._known else {}
            if weight(term) == 1.0:
                for known in self._known:
                    near = related(term, known) * (0.8 if found else 1.0)
                    if known != term and near > 0.0:
                        found[known] = near
            self._variants[term] = found
        return found

    def candidates(self, clause: Clause, place: int) -> list[Candidate]:
        """Every segment as an answer to the clause, the best first."""
        weights, context = self._weighed(clause.terms), self._weighed(clause.context)
        found = [
            candidate
            for passage in self.passages
            for candidate in self._score(passage, clause, place, weights, context)
        ]
        found.sort(key=lambda candidate: -candidate.score)
        return found if self._similar is None else self._by_meaning(clause, found, self._similar)

    def _weighed(self, terms: Mapping[str, float]) -> dict[str, float]:
        """The terms with their rarity; everyday words that no passage holds are left out: their absence tells nothing."""
        return {
            term: value * self.rarity(term)
            for term, value in terms.items()
            if weight(term) == 1.0 or any(variant in self._known for variant in self.variants(term))
        }

    def _by_meaning(self, clause: Clause, found: list[Candidate], similar: Similar) -> list[Candidate]:
        """The candidates with the nearness of the best ones added to their scores."""
        best = found[:_COMPARED]
        texts = [f"{candidate.passage.name}: {candidate.segment.text}" for candidate in best]
        near = similar(clause.standing, texts) if best else ()
        scored = [
            replace(candidate, score=candidate.score + MEANING * float(value), near=float(value))
            for candidate, value in zip(best, near, strict=True)
        ]
        return [*sorted(scored, key=lambda candidate: -candidate.score), *found[_COMPARED:]]

    def held(self, terms: Mapping[str, float], vocabulary: frozenset[str]) -> float:
        """Share of the terms, by weight, that a vocabulary holds."""
        total = sum(terms.values())
        return sum(value * self._match(term, vocabulary) for term, value in terms.items()) / total if total else 0.0

    def _match(self, term: str, vocabulary: frozenset[str]) -> float:
        return max((near for variant, near in self.variants(term).items() if variant in vocabulary), default=0.0)

    def _score(
        self, passage: Passage, clause: Clause, place: int, weights: Mapping[str, float], context: Mapping[str, float]
    ) -> list[Candidate]:
        total = sum(weights.values()) or 1.0
        everything = {**context, **weights}
        led = frozenset().union(*(other.own(at) | other.title for other, at in self._bridges[passage.number - 1]))
        topic = max(self.held(everything, passage.vocabulary), 0.85 * self.held(everything, passage.vocabulary | led))
        named = self._named(clause, passage)
        others = {term for term in weights if weight(term) == 1.0 and term not in clause.noun and term != clause.unit}
        found = []
        for index, segment in enumerate(passage.segments):
            head = clause.noun[-1] if clause.noun else ""
            fits, matching = fit(clause, segment, bool(head) and self._is_about(head, passage, index))
            stated = covered = tied = beside = 0.0
            for term, value in weights.items():
                # A passage is about its title all through, whether a sentence repeats it or says "it".
                own = max(self._match(term, passage.own(index)), OF_TITLE * self._match(term, passage.title))
                near = max(own, self._around(term, passage, index), IN_BRIDGE * self._match(term, led))
                stated += value * own
                covered += value * near
                if term in others:
                    tied += value * near if near >= TIED else 0.0
                    beside += value
            stated, covered, tied = stated / total, covered / total, tied / beside if beside else 1.0
            score = covered + 0.5 * stated + 0.3 * topic + 0.2 * named + 0.05 / passage.number
            score += (0.9 if clause.strict and not clause.inherited else 0.5) * fits
            if context:
                score += 0.1 * self.held(context, passage.own(index))
            if not clause.strict and not self._adds(passage, index, clause):
                score -= ADDS_NOTHING
            found.append(Candidate(passage, index, place, score, covered, stated, tied, fits, topic, tuple(matching)))
        return found

    def _adds(self, passage: Passage, index: int, clause: Clause) -> bool:
        """True if a segment says a specific word that the question lacks: an answer is something new.

        Where a class is asked for (`which dessert`), the title may be the answer; a yes or a choice may rest on a number.
        """
        if "://" in passage.segments[index].text:
            return False
        said = passage.own(index) - passage.title | (passage.title if clause.noun else frozenset())
        known = clause.terms.keys() | clause.context.keys()
        return any(
            (weight(word) == 1.0 or (word.isdigit() and clause.wants in ("choice", "truth", "any")))
            and not any(related(term, word) for term in known)
            for word in said
        )

    def _is_about(self, head: str, passage: Passage, index: int) -> bool:
        """True if a noun stands in a segment, or says what the passage or the list that it is in are."""
        places = (
            passage.own(index),
            stems(passage.segments[index].lead),
            passage.title,
            passage.metadata,
            passage.above(index),
        )
        return any(self._match(head, place) > 0.0 for place in places)

    def _find_bridges(self, passage: Passage) -> tuple[tuple[Passage, int], ...]:
        """Segments of other documents that name this passage's title: by a link, or by a name of two words or more."""
        name = frozenset(word for word in stems(_PARENTHESIS.sub("", passage.name)) if weight(word) == 1.0)
        found = []
        for other in self.passages if name else ():
            if other.title == passage.title or (
                other.document.source and other.document.source == passage.document.source
            ):
                continue
            for place in range(len(other.segments)):
                if name <= other.own(place) and (len(name) > 1 or name <= other.linked(place)):
                    found.append((other, place))
        return tuple(found)

    def bridge(self, candidate: Candidate, clause: Clause) -> Candidate | None:
        """The segment that leads from the question to the candidate's passage, if what it says is needed to see why."""
        best: tuple[float, Passage, int] | None = None
        for other, place in self._bridges[candidate.passage.number - 1]:
            held = other.own(place) | other.title
            new = sum(
                value
                for term, value in {**clause.context, **clause.terms}.items()
                if self._match(term, held) and not self._match(term, candidate.passage.vocabulary)
            )
            if new >= 0.5 and (best is None or new > best[0]):
                best = (new, other, place)
        if best is None:
            return None
        return Candidate(best[1], best[2], candidate.clause, candidate.score * 0.9, 0.0, 0.0, 0.0, 0.5, candidate.topic)

    def _named(self, clause: Clause, passage: Passage) -> float:
        """How much of the passage's title the question names: a passage about just this goes before one about more."""
        title = [term for term in passage.title if not names_the_source(term)]
        asked = {**clause.context, **clause.terms}
        return (
            sum(max((related(term, word) for term in asked), default=0.0) for word in title) / len(title)
            if title
            else 0.0
        )

    def _around(self, term: str, passage: Passage, index: int) -> float:
        """How much a term counts for what stands around a segment."""
        segment = passage.segments[index]
        best = 0.0
        if segment.lead:
            best = IN_LEAD * self._match(term, stems(segment.lead))
        best = max(
            best, IN_HEADING * self._match(term, passage.above(index)), IN_TAGS * self._match(term, passage.metadata)
        )
        for near in range(max(0, index - 2), min(len(passage.segments), index + 3)):
            if near != index:
                same = passage.segments[near].block == segment.block
                if same or abs(near - index) == 1:
                    best = max(best, (IN_BLOCK if same else NEARBY) * self._match(term, passage.own(near)))
        return max(best, IN_PASSAGE * self._match(term, passage.vocabulary))


def fit(clause: Clause, segment: Segment, about: bool = True) -> tuple[float, list[Amount]]:
    """How far a segment is of the sort that the clause asks for, and the amounts in it that make it so.

    `about` says that it is about the class asked for: `sauce` in `which sauce`.
    """
    text = segment.text
    if clause.wants == "date":
        found = [amount for amount in amounts(text) if amount.kind in clause.kinds]
        return (1.0 if found else 0.5 if _WHEN.search(text) else 0.0), found
    if clause.wants == "amount":
        found = [amount for amount in amounts(text) if amount.kind in clause.kinds]
        if clause.unit and any(
            stem(part) == clause.unit for amount in found for part in re.findall(r"[^\W\d_]+", amount.text)
        ):
            return 1.0, found
        return (0.9 if clause.unit else 1.0) if found else 0.0, found
    if clause.wants in ("count", "quantity"):
        return _fit_noun(clause, segment)
    if clause.wants == "person":
        return (0.9 if _PERSON.search(text) else 0.2), []
    if clause.wants == "place":
        return (0.8 if _PLACE.search(text) else 0.2), []
    if clause.wants == "reason":
        return (1.0 if _REASON.search(text) else 0.3), []
    if clause.wants == "steps":
        return (1.0 if segment.kind == "step" else 0.4), []
    if clause.wants == "thing" and clause.noun:
        return (1.0 if about else 0.0), []
    return 0.5, []


def _fit_noun(clause: Clause, segment: Segment) -> tuple[float, list[Amount]]:
    """An amount next to what is counted: `100g fed sourdough starter` for `how much starter`."""
    found = amounts(segment.text)
    if not clause.noun:
        kinds = clause.kinds or ("number",)
        matching = [amount for amount in found if amount.kind in kinds]
        return (0.8 if matching else 0.0), matching
    allowed = clause.kinds or ("number", "portion", "mass")
    places = [word for word in words(segment.text) if any(related(noun, word.stem) for noun in clause.noun)]
    matching = []
    for amount in found:
        if amount.kind not in allowed:
            continue
        for word in places:
            between = (
                segment.text[amount.end : word.start]
                if word.start >= amount.end
                else segment.text[word.end : amount.start]
            )
            if len(between.split()) <= 5 and not re.search(r"[;.!?]\s|,\s", between):
                matching.append(amount)
                break
    if matching:
        return 1.0, matching
    return (0.3 if places and found else 0.0), []
