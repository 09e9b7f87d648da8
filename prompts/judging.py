"""What can be said of an answer without a model: is it in the documents, does it answer, has it what it must have.

These rules see words, numbers with their units, names and negations, and nothing else. They catch a swapped number,
unit or name, a sentence that the documents do not hold, and a "not" that is not theirs. They do not see a wrong
relation between right words ("A sued B" for "B sued A"), a wrong conclusion, a paraphrase that shares no word with its
source (which they take for unfounded), or whether what is said is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragweave.orchestrator.models.extraction.questions import content
from ragweave.orchestrator.models.extraction.segments import segments, sentences
from ragweave.orchestrator.models.extraction.words import fold, related, stem, stems, weight, words
from ragweave.orchestrator.texts.numerals import measures, numbers
from ragweave.orchestrator.values import Document

HELD = 0.6
"""The share of a sentence's words, by weight, that one place of the documents must hold."""
ANSWERED = 0.3
"""The share of the question's words, by weight, that the answer or what it quotes must hold."""

_MARK = re.compile(r"\s*\[\d{1,3}(?:[,;–-]\s?\d{1,3})*\]")
_ITEM = re.compile(r"^[ \t]*\d{1,3}[.)](?=\s|$)", re.MULTILINE)
"""The number of an item of a list."""
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-ZÀ-Þ][\w’'-]*[a-zß-ÿ][\w’'-]*", re.MULTILINE)
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot|unable|hardly)\b|n['’]t\b", re.IGNORECASE
)


@dataclass(slots=True)
class Finding:
    """What one rule found. `span` is the place in the answer's text, if it is about one."""

    reason: str
    missing: tuple[str, ...] = ()
    spans: list[tuple[int, int]] = field(default_factory=list)
    score: float = 1.0
    """How sure the rule is."""


def unfounded(text: str, documents: Sequence[Document]) -> list[Finding]:
    """Sentences of an answer that the documents do not hold: a number, a name, a "not" or most words are missing."""
    places = [place for document in documents for place in _places(document)]
    everything = frozenset().union(*(place.stems for place in places)) if places else frozenset()
    known = frozenset().union(*(place.numbers for place in places)) if places else frozenset()
    found = []
    spans = list(sentences(text))
    for start, end in spans:
        said = _MARK.sub("", text[start:end])
        if len(spans) > 1:
            said = _ITEM.sub("", said)
        reason, score = _fault(said, places, everything, known)
        if reason:
            found.append(Finding(f"{reason}: {_short(said)!r}", spans=[(start, end)], score=score))
    return found


def unanswered(question: str, text: str, documents: Sequence[Document] = ()) -> list[Finding]:
    """The words of the question that neither the answer nor the titles of its sources hold, if they are most of it."""
    asked = content(question)
    held = stems(text).union(*(stems(document.title) for document in documents))
    missing = [term for term in asked if not any(related(term, other) for other in held)]
    total = sum(asked.values())
    share = 1.0 - sum(asked[term] for term in missing) / total if total else 1.0
    if share >= ANSWERED:
        return []
    spelled = _spelled(question, missing)
    return [Finding(f"it holds little of what was asked: nothing of {', '.join(spelled)}", tuple(spelled))]


def lacking(text: str, wanted: Iterable[str]) -> list[Finding]:
    """Texts that an answer must hold and does not; upper and lower case are the same."""
    said = text.casefold()
    return [Finding(f"it does not hold {item!r}", (item,)) for item in wanted if item.casefold() not in said]


def forbidden(text: str, banned: Iterable[str]) -> list[Finding]:
    """Texts that an answer must not hold and does, with their places."""
    found = []
    for item in banned:
        spans = [match.span() for match in re.finditer(re.escape(item), text, re.IGNORECASE)]
        if spans:
            found.append(Finding(f"it holds {item!r}", spans=spans))
    return found


def out_of_length(text: str, least: int | None, most: int | None) -> list[Finding]:
    """An answer with too few or too many words."""
    count = len(_MARK.sub("", text).split())
    if least is not None and count < least:
        return [Finding(f"it has {count} words, {least} at least are wanted")]
    if most is not None and count > most:
        return [Finding(f"it has {count} words, {most} at most are wanted")]
    return []


def unlike_schema(text: str, schema: Mapping[str, Any]) -> list[Finding]:
    """What keeps an answer from being JSON that satisfies a schema."""
    from ragweave.orchestrator.models.schemas import read_json  # jsonschema takes 60 ms to load

    _, fault = read_json(text, schema)
    return [Finding(f"it is not the JSON that is wanted: {fault}")] if fault else []


@dataclass(frozen=True, slots=True)
class _Place:
    """A segment of a document with its neighbours' and its title's words."""

    own: frozenset[str]
    stems: frozenset[str]
    numbers: frozenset[str]
    measures: Mapping[str, set[str]]
    negated: bool


def _places(document: Document) -> list[_Place]:
    parts = segments(document.text)
    title = stems(document.title)
    own = [_stems(part.text) for part in parts]
    found = []
    for place, part in enumerate(parts):
        around = frozenset().union(*own[max(0, place - 1) : place + 2])
        above = frozenset().union(*(stems(heading) for heading in part.headings))
        near = " ".join(other.text for other in parts[max(0, place - 1) : place + 2])
        all_ = f"{near} {document.title} {part.lead} {' '.join(part.headings)}"
        figures, near_stems = frozenset(numbers(all_, loosely=True)), around | title | above | stems(part.lead)
        found.append(_Place(own[place], near_stems, figures, measures(all_), _negated(part.text)))
    return found


def _fault(said: str, places: Sequence[_Place], everything: frozenset[str], known: frozenset[str]) -> tuple[str, float]:
    """Why a sentence is unfounded, and how sure that is; an empty reason if it is not."""
    figures = numbers(said)
    for value, written in figures.items():
        if value not in known:
            return f"the number {written} is in no document", 0.95 if written[0].isdigit() else 0.6
    terms = {term: weight(term) for term in _stems(said)}
    if not terms:
        return "", 0.0
    for name in _NAME.findall(said):
        # A title in a sentence, as in `"When to salt"`, has capitals at words that name nothing.
        parts = [stem(part) for part in re.split(r"-|['’]s\b", name) if len(part) > 1]
        if not all(any(related(part, term) for term in everything) for part in parts if weight(part)):
            return f"the name {name} is in no document", 0.9
    total = sum(terms.values())
    best, share = None, 0.0
    for place in places:
        held = sum(
            value * max((related(term, other) for other in place.stems), default=0.0) for term, value in terms.items()
        )
        own = sum(value for term, value in terms.items() if term in place.own)
        if (held + 0.01 * own) / total > share:
            best, share = place, (held + 0.01 * own) / total
    if best is None or share < HELD:
        return "no document says most of it", 0.4
    for value, written in figures.items():
        if value not in best.numbers:
            return f"the number {written} stands elsewhere in the documents", 0.5
    counted = _miscounted(said, figures, best, places)
    if counted:
        return counted, 0.8
    if _negated(said) != best.negated and len(terms.keys() & best.own) / len(terms) >= HELD:
        how = "with a" if best.negated else "without the"
        return f"the documents say it {how} negation", 0.7
    return "", 0.0


def _miscounted(said: str, figures: Mapping[str, str], best: _Place, places: Sequence[_Place]) -> str:
    """Says which number has a unit that it has nowhere in the documents, while it has another one where it belongs."""
    for value, units in measures(said).items():
        theirs = best.measures.get(value, {""})
        for unit in sorted(units - theirs - {""}):
            if "" not in theirs and not any(unit in place.measures.get(value, ()) for place in places):
                written = figures.get(value, value)
                return f"in the documents, {written} is a number of {' and of '.join(sorted(theirs))}, not of {unit}"
    return ""


def _stems(text: str) -> frozenset[str]:
    return frozenset(word.stem for word in words(text) if weight(word.stem) > 0.0 and not word.stem[0].isdigit())


def _negated(text: str) -> bool:
    return len(_NEGATION.findall(fold(text))) % 2 == 1


def _spelled(question: str, terms: Sequence[str]) -> list[str]:
    """Words of the question as they are written there."""
    wanted = set(terms)
    return list(dict.fromkeys(question[word.start : word.end] for word in words(question) if word.stem in wanted))


def _short(text: str, length: int = 80) -> str:
    one = " ".join(text.split())
    return one if len(one) <= length else one[: length - 1] + "…"
