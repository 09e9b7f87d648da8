"""Presentations, through python-pptx."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from ragweave.retrievers.loaders import archives, cannot_import, loader, tables
from ragweave.retrievers.loaders.texts import name_of
from ragweave.retrievers.sourcetext import Heading, Place, SourceText

_DEEPEST = 20


@loader("pptx", version="1")
def load_pptx(source: str, data: bytes) -> SourceText:
    """A presentation: each slide under its title, with tables, charts, alternative texts and the speaker's notes."""
    archive = archives.open_archive(data, "PPTX")
    try:
        from pptx import Presentation
    except ImportError as error:
        raise cannot_import("reading PPTX", error) from None
    metadata = archives.core_properties(archive)
    parts: list[str] = []
    headings: list[Heading] = []
    places: list[Place] = []
    length = 0
    for number, slide in enumerate(Presentation(io.BytesIO(data)).slides, start=1):
        title, blocks = _slide(slide)
        text = "\n\n".join([*([f"## {title}"] if title else []), *blocks])
        if not text:
            continue
        places.append(Place(length, {"slide": number}))
        headings.append(Heading(length, 1, title or f"Slide {number}"))
        parts.append(text + "\n\n")
        length += len(parts[-1])
    name = metadata.pop("title", "")
    title = name if name and name != "PowerPoint Presentation" else headings[0].title if headings else name_of(source)
    return SourceText(source, "".join(parts), 0, title, metadata, (), tuple(headings), tuple(places), is_original=False)


def _slide(slide: Any) -> tuple[str, list[str]]:
    heading = slide.shapes.title
    title = " ".join(heading.text_frame.text.split()) if heading is not None and heading.has_text_frame else ""
    blocks = []
    for shape in sorted(slide.shapes, key=lambda shape: (shape.top or 0, shape.left or 0)):
        if heading is None or shape.shape_id != heading.shape_id:
            blocks += list(_shape(shape, 0))
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        blocks += [f"Notes: {notes}"] if notes else []
    return title, blocks


def _shape(shape: Any, depth: int) -> Iterator[str]:
    if hasattr(shape, "shapes") and depth < _DEEPEST:
        for inner in shape.shapes:
            yield from _shape(inner, depth + 1)
    elif getattr(shape, "has_table", False):
        yield tables.rendered([[cell.text for cell in row.cells] for row in shape.table.rows])
    elif getattr(shape, "has_chart", False):
        yield from _chart(shape.chart)
    elif shape.has_text_frame:
        text = "\n".join(line for paragraph in shape.text_frame.paragraphs if (line := _paragraph(paragraph)))
        if text:
            yield text
    else:
        described = shape._element.xpath(".//p:cNvPr/@descr")
        if described and described[0].strip():
            yield " ".join(described[0].split())


def _paragraph(paragraph: Any) -> str:
    parts = []
    for run in paragraph.runs:
        address = run.hyperlink.address
        parts.append(f"[{run.text.strip()}]({address})" if address and run.text.strip() else run.text)
    text = " ".join("".join(parts).split())
    return f"{'  ' * (paragraph.level - 1)}- {text}" if text and paragraph.level else text


def _chart(chart: Any) -> Iterator[str]:
    if chart.has_title and chart.chart_title.has_text_frame:
        yield chart.chart_title.text_frame.text
    series = [one for plot in chart.plots for one in plot.series]
    names = [str(category) for plot in chart.plots for category in plot.categories]
    if series:
        rows = [["", *(one.name for one in series)]]
        for place in range(max(len(list(one.values)) for one in series)):
            values = [_at(one.values, place) for one in series]
            rows.append([names[place] if place < len(names) else str(place + 1), *values])
        yield tables.rendered(rows)


def _at(values: Any, place: int) -> Any:
    listed = list(values)
    return listed[place] if place < len(listed) else None
