"""The chosen segments as an answer that a person reads: quoted, by source, with marks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ragweave.orchestrator.models.extraction.scoring import Candidate
from ragweave.orchestrator.models.extraction.segments import Segment

_LONGEST = 340
_ENDS = re.compile(r"[.!?…:;][\"'”’)\]]*$")


def paragraphs(chosen: Sequence[Candidate]) -> Iterator[str]:
    """One paragraph a passage, in the order in which the passages are first used, each ending with its mark."""
    numbers = list(dict.fromkeys(candidate.passage.number for candidate in chosen))
    for number in numbers:
        mine = sorted(
            (candidate for candidate in chosen if candidate.passage.number == number),
            key=lambda candidate: candidate.place,
        )
        title = mine[0].passage.name
        opening = f'According to "{title}": ' if title else ""
        yield f"{opening}{_joined(mine)} [{number}]"


def _joined(chosen: Sequence[Candidate]) -> str:
    """Sentences one after another; steps and items under one heading share its name."""
    pieces: list[str] = []
    before: tuple[str, ...] | None = None
    for candidate in chosen:
        segment = candidate.segment
        label = segment.headings[-1:] if segment.kind == "item" and not _is_sentence(segment) else ()
        text = _ended(_shortened(candidate))
        if label and label != before and ":" not in text:
            text = f"{label[0]}: {text}"
        elif segment.lead and segment.kind == "item" and not _is_sentence(segment) and len(segment.lead) < 60:
            text = f"{segment.lead}: {text}"
        before = label
        pieces.append(text[:1].upper() + text[1:] if segment.kind != "sentence" else text)
    return " ".join(pieces)


def _is_sentence(segment: Segment) -> bool:
    return len(segment.text.split()) > 8 or bool(re.search(r"[.!?]$", segment.text))


def _ended(text: str) -> str:
    return text if _ENDS.search(text) else f"{text}."


def _shortened(candidate: Candidate) -> str:
    """A long sentence cut to the part around what was asked for, between commas where there are any."""
    text = candidate.segment.text
    if len(text) <= _LONGEST:
        return text
    center = candidate.amounts[0].start if candidate.amounts else 0
    start = (
        0 if center < _LONGEST * 0.6 else max(text.rfind(mark, 0, center - _LONGEST // 4) for mark in (", ", "; ", " "))
    )
    start = max(start, 0)
    end = min(len(text), start + _LONGEST)
    if end < len(text):
        end = max(text.rfind(mark, start + _LONGEST // 2, end) for mark in (", ", "; ", " "))
    cut = text[start:end].strip(" ,;")
    return ("… " if start else "") + cut + ("" if end >= len(text) else " …")
