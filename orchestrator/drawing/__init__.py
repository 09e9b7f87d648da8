"""A picture of a graph: as a Mermaid flowchart, as text for a terminal, or as SVG."""

from __future__ import annotations

from typing import Literal

from ragweave.orchestrator.checking.bound import Checked
from ragweave.orchestrator.drawing.picture import picture_of

Style = Literal["mermaid", "text", "svg"]


def draw(checked: Checked, style: Style = "mermaid") -> str:
    """The picture of a checked graph, ending in a line break. Raises ValueError for a style that is none of these."""
    picture = picture_of(checked)
    if style == "mermaid":
        from ragweave.orchestrator.drawing.mermaid import draw_mermaid

        return draw_mermaid(picture)
    if style == "text":
        from ragweave.orchestrator.drawing.text import draw_text

        return draw_text(picture)
    if style == "svg":
        from ragweave.orchestrator.drawing.svg import draw_svg

        return draw_svg(picture)
    raise ValueError(f"unknown style {style!r}; there is: mermaid, text, svg")
