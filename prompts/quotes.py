"""Which words of a passage carry the statement that cites it: the sentence, item or row that shares most with it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ragweave.orchestrator.models.extraction.segments import Segment, plain, segments, sentences
from ragweave.orchestrator.models.extraction.words import stems, weight
from ragweave.orchestrator.values import Citation, Document
from ragweave.prompts.marks import Mark

# Scripts without spaces between words are compared by pairs of letters.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}")
_LINE_BREAK = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:[-*+#>|]|\d{1,3}[.)])[ \t])")
OTHER_WORDS = 0.3
"""What a word of the sentence counts that is not in the clause before the mark."""


def citations(text: str, marks: Sequence[Mark], documents: Sequence[Document]) -> tuple[Citation, ...]:
    """One citation for each mark's number and quote, in the order of the text; equal ones once.

    `quote` is a part of the passage, letter by letter, and `line` the line of the source on which it starts. Where no
    part of the passage shares a word with the statement, `quote` is empty and `line` is that of the passage.
    """
    found: dict[tuple[int, str], Citation] = {}
    divided: dict[int, list[Segment]] = {}
    for position, mark in enumerate(marks):
        sentence, clause = statement(text, marks, position)
        for number in mark.numbers:
            document = documents[number - 1]
            parts = divided.setdefault(number, segments(document.text))
            part = best_part(parts, sentence, clause)
            quote = document.text[part.start : part.end] if part else ""
            line = document.line
            if part is not None and line is not None:
                line += document.text.count("\n", 0, part.start)
            found.setdefault(
                (number, quote),
                Citation(
                    number=number,
                    document=document.id,
                    quote=quote,
                    title=document.title,
                    source=document.source,
                    line=line,
                ),
            )
    return tuple(found.values())


def statement(text: str, marks: Sequence[Mark], position: int) -> tuple[str, str]:
    """The sentence that a mark stands for, and the part of it since the mark before; marks left out.

    A mark after the full stop belongs to the sentence before it, one at the start of a line to the sentence after it.
    """
    mark = marks[position]
    start, end = _block(text, mark.start)
    spans = [(start + first, start + last) for first, last in sentences(text[start:end])]
    index = max((place for place, span in enumerate(spans) if span[0] <= mark.start), default=0)
    if not spans:
        return "", ""
    before = _without(text, spans[index][0], mark.start, marks)
    if not before and index and spans[index][0] >= mark.start:
        index -= 1
        before = _without(text, spans[index][0], mark.start, marks)
    sentence = _without(text, *spans[index], marks)
    since = spans[index][0]
    for earlier in marks[:position]:
        if spans[index][0] <= earlier.start and _without(text, earlier.end, mark.start, marks):
            since = earlier.end
    return sentence, _without(text, since, mark.start, marks) or sentence


def best_part(parts: Sequence[Segment], sentence: str, clause: str) -> Segment | None:
    """The part that shares most with the statement, rare words counting more; None if none shares anything."""
    said = plain(sentence).casefold()
    asked = dict.fromkeys(_terms(sentence), OTHER_WORDS) | dict.fromkeys(_terms(clause), 1.0)
    terms = [_terms(part.text) for part in parts]
    spread = Counter(term for part in terms for term in part)
    best, most = None, 0.0
    for part, own in zip(parts, terms, strict=True):
        score = _shared(asked, own, spread, len(parts))
        shown = part.text.casefold()
        if said and (said.rstrip(".") in shown or shown.rstrip(".") in said):
            score *= 2.0
        if score > most:
            best, most = part, score
    return best


def _shared(asked: Mapping[str, float], own: frozenset[str], spread: Mapping[str, int], parts: int) -> float:
    total = sum(
        factor * (weight(term) or 0.35) * math.log(1.0 + parts / spread[term])
        for term, factor in asked.items()
        if term in own
    )
    # Long parts share words by chance; the root keeps a long part that says all ahead of a short one that says little.
    return total / math.sqrt(8.0 + len(own))


def _terms(text: str) -> frozenset[str]:
    pairs = {run[place : place + 2] for run in _UNSPACED.findall(text) for place in range(len(run) - 1)}
    return stems(text) | pairs if pairs else stems(text)


def _block(text: str, place: int) -> tuple[int, int]:
    """The paragraph, list item or row of an answer around a place."""
    start, end = 0, len(text)
    for break_ in _LINE_BREAK.finditer(text):
        if break_.end() <= place:
            start = break_.end()
        elif break_.start() >= place:
            return start, break_.start()
    return start, end


def _without(text: str, start: int, end: int, marks: Sequence[Mark]) -> str:
    """A part of a text without the marks in it, and without what only joins."""
    kept, place = [], start
    for mark in marks:
        if start <= mark.start and mark.end <= end:
            kept.append(text[place : mark.start])
            place = mark.end
    kept.append(text[place:end] if place < end else "")
    return "".join(kept).strip().lstrip(",;:.!?-–—*#>| \n\t")
