"""Which words of a passage carry the statement that cites it: the sentence, item or row that shares most with it."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence

from ragweave.orchestrator.models.extraction.segments import Segment, plain, segments, sentences
from ragweave.orchestrator.models.extraction.words import stems, weight
from ragweave.orchestrator.values import Citation, Document
from ragweave.prompts.marks import Mark

# Scripts without spaces between words are compared by pairs of letters.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}")
_LINE_BREAK = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:[-*+#>|]|\d{1,3}[.)])[ \t])")
_MARKERS = " \t,;:.!?-–—*#>|"
OTHER_WORDS = 0.3
"""What a word of the sentence counts that is not in the clause before the mark."""


def citations(text: str, marks: Sequence[Mark], documents: Sequence[Document]) -> tuple[Citation, ...]:
    """One citation for each mark's number and quote, in the order of the text; equal ones once.

    `quote` is a part of the passage, letter by letter, and `line` the line of the source on which it starts. Where no
    part of the passage shares a word with the statement, `quote` is empty and `line` is that of the passage.
    """
    found: dict[tuple[int, str], Citation] = {}
    looked_up: set[tuple[int, tuple[str, str]]] = set()
    divided: dict[int, list[Segment]] = {}
    for mark, said in zip(marks, statements(text, marks), strict=True):
        for number in mark.numbers:
            if (number, said) in looked_up:
                continue
            looked_up.add((number, said))
            document = documents[number - 1]
            if number not in divided:
                divided[number] = segments(document.text)
            citation = _citation(number, document, best_part(divided[number], *said))
            found.setdefault((number, citation.quote), citation)
    return tuple(found.values())


def _citation(number: int, document: Document, part: Segment | None) -> Citation:
    quote, line = "", document.line
    if part is not None:
        quote = document.text[part.start : part.end]
        line = None if line is None else line + document.text.count("\n", 0, part.start)
    return Citation(
        number=number,
        document=document.id,
        quote=quote,
        title=document.title,
        source=document.source,
        line=line,
        place=document.place,
    )


def statements(text: str, marks: Sequence[Mark]) -> list[tuple[str, str]]:
    """For each mark the sentence that it stands for, and the part of it since the marks before; marks left out.

    A mark after a full stop belongs to the sentence before it, one at the start of a line to the sentence after it.
    """
    blank = _blanked(text, marks)
    spans = _sentences(blank)
    starts = [start for start, _ in spans]
    found: list[tuple[str, str]] = []
    before = group = 0  # where the marks of the clause before end, and where the last mark ends
    for mark in marks:
        if any(letter.isalnum() for letter in blank[group : mark.start]):
            before = group
        group = mark.end
        place = bisect_left(starts, mark.start) - 1
        between = place < 0 or spans[place][1] <= mark.start
        if between and place + 1 < len(spans) and not _words(blank[_line_start(text, mark.start) : mark.start]):
            place += 1
        if place < 0:
            found.append(("", ""))
            continue
        start, end = spans[place]
        clause = _words(blank[max(start, before) : mark.start])
        found.append((_words(blank[start:end]), clause or _words(blank[start:end])))
    return found


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


def _blanked(text: str, marks: Sequence[Mark]) -> str:
    """The text with spaces where its marks stand, so that places stay the same."""
    kept, place = [], 0
    for mark in marks:
        kept += [text[place : mark.start], " " * (mark.end - mark.start)]
        place = mark.end
    return "".join([*kept, text[place:]])


def _sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence; none goes beyond its paragraph, list item or table row."""
    found, start = [], 0
    for end in [*(match.end() for match in _LINE_BREAK.finditer(text)), len(text)]:
        found += [(start + first, start + last) for first, last in sentences(text[start:end])]
        start = end
    return found


def _line_start(text: str, place: int) -> int:
    return text.rfind("\n", 0, place) + 1


def _words(text: str) -> str:
    return " ".join(text.split()).strip(_MARKERS)
