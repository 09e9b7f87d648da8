"""A graph as one SVG file that needs nothing else: no script, no font, no browser; light or dark as its reader is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ragweave.orchestrator.drawing.layers import Size
from ragweave.orchestrator.drawing.layout import Layout, Metrics, Point, Rectangle, lay_out
from ragweave.orchestrator.drawing.picture import Box, Picture, degrees, lines_of

_METRICS = Metrics(apart=28, lane=20, port=18, corner=14, track=14, above=16, below=26, below_label=12)
_MARGIN = 24
_BOX_HEIGHT, _MARK_HEIGHT = 46, 28
_LABEL_WIDTH, _LABEL_LINE = 28, 15
_MONO = 6.7
"""Width of a character of a label."""
_RADIUS = 8
_HEAD = (5, 8)
"""Half the width and the length of an arrow's head."""

_NARROW, _WIDE = "fijlrtI.,:;!'|()[] ", "mwMW%@"
_LIGHT = {
    ".ground": "fill:#ffffff",
    ".box": "fill:#f6f8fa;stroke:#d0d7de",
    ".mark": "fill:#ddf4ff;stroke:#80ccff",
    ".name": "fill:#1f2328",
    ".type": "fill:#656d76",
    ".line": "stroke:#8c959f",
    ".head": "fill:#8c959f",
    ".tag": "fill:#ffffff;stroke:#d0d7de",
    ".words": "fill:#424a53",
    ".back .line": "stroke:#8250df",
    ".back .head": "fill:#8250df",
    ".back .tag": "stroke:#d8b9ff",
    ".back .words": "fill:#6639ba",
    ".error .line": "stroke:#cf222e",
    ".error .head": "fill:#cf222e",
    ".error .tag": "stroke:#ffaba8",
    ".error .words": "fill:#a40e26",
}
_DARK = {
    ".ground": "fill:#0d1117",
    ".box": "fill:#161b22;stroke:#3d444d",
    ".mark": "fill:#0c2d6b;stroke:#1f6feb",
    ".name": "fill:#e6edf3",
    ".type": "fill:#9198a1",
    ".line": "stroke:#7d8590",
    ".head": "fill:#7d8590",
    ".tag": "fill:#0d1117;stroke:#3d444d",
    ".words": "fill:#c9d1d9",
    ".back .line": "stroke:#a371f7",
    ".back .head": "fill:#a371f7",
    ".back .tag": "stroke:#6e40c9",
    ".back .words": "fill:#d2a8ff",
    ".error .line": "stroke:#f85149",
    ".error .head": "fill:#f85149",
    ".error .tag": "stroke:#8e1519",
    ".error .words": "fill:#ffa198",
}
_SHAPES = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;text-anchor:middle}"
    ".name{font-size:14px;font-weight:600}.type{font-size:12px}"
    ".words{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:11px}"
    ".line{fill:none;stroke-width:1.5}.error .line{stroke-dasharray:5 4}"
)


def draw_svg(picture: Picture) -> str:
    """The drawing as the text of an SVG file."""
    return "\n".join(_lines(picture, layout_of(picture))) + "\n"


def layout_of(picture: Picture) -> Layout:
    """Where everything stands, in pixels."""
    boxes = [_box_size(box, degree) for box, degree in zip(picture.boxes, degrees(picture), strict=True)]
    labels = [_label_size(lines_of(arrow.label, _LABEL_WIDTH)) for arrow in picture.arrows]
    return lay_out(picture, boxes, labels, _METRICS)


def _lines(picture: Picture, layout: Layout) -> Iterator[str]:
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{_text("The graph " + picture.title)}">'
    )
    yield f"<title>{_text(picture.title)}</title>"
    yield f"<style>{_SHAPES}{_rules(_LIGHT)}@media (prefers-color-scheme:dark){{{_rules(_DARK)}}}</style>"
    yield f'<rect class="ground" width="{width}" height="{height}" rx="8"/>'
    yield f'<g transform="translate({_MARGIN} {_MARGIN})">'
    for arrow, line, label in zip(picture.arrows, layout.lines, layout.labels, strict=True):
        words = _label(label, arrow.label) if label is not None else ""
        yield f'<g class="{arrow.kind}">{_line(line)}{words}</g>'
    for box, place in zip(picture.boxes, layout.boxes, strict=True):
        yield _box(box, place)
    yield "</g>"
    yield "</svg>"


def _box_size(box: Box, degree: int) -> Size:
    if box.is_mark:
        return _even(max(width_of(box.name, 14) + 36, _room(degree))), _MARK_HEIGHT
    return _even(max(width_of(box.name, 14.5) + 32, width_of(box.caption, 12) + 32, _room(degree), 96)), _BOX_HEIGHT


def _room(degree: int) -> float:
    """The width that lets one arrow start in the middle and the others beside it."""
    beside = 2 * (degree - 1) if degree <= 3 else 2 * (degree // 2)
    return beside * _METRICS.port + 2 * _METRICS.corner


def _label_size(lines: Sequence[str]) -> Size:
    if not lines:
        return 0, 0
    return _even(max(map(len, lines)) * _MONO + 16), len(lines) * _LABEL_LINE + 6


def _even(width: float) -> int:
    return 2 * round(width / 2 + 0.5)


def width_of(text: str, size: float) -> float:
    """About how wide a text is in a sans-serif font, in pixels; rather too wide than too narrow."""
    narrow = sum(letter in _NARROW for letter in text)
    wide = sum(letter in _WIDE for letter in text)
    return size * (0.36 * narrow + 0.9 * wide + 0.62 * (len(text) - narrow - wide))


def _box(box: Box, place: Rectangle) -> str:
    middle, y = place.x + place.width // 2, place.y
    kind, radius = ("mark", place.height // 2) if box.is_mark else ("box", 6)
    shape = (
        f'<rect class="{kind}" x="{place.x}" y="{y}" width="{place.width}" height="{place.height}" rx="{radius}"/>'
        f'<text class="name" x="{middle}" y="{y + 19}">{_text(box.name)}</text>'
    )
    return shape if box.is_mark else shape + f'<text class="type" x="{middle}" y="{y + 36}">{_text(box.caption)}</text>'


def _label(place: Rectangle, label: str) -> str:
    middle, lines = place.x + place.width // 2, lines_of(label, _LABEL_WIDTH)
    words = "".join(
        f'<text class="words" x="{middle}" y="{place.y + 14 + _LABEL_LINE * row}">{_text(line)}</text>'
        for row, line in enumerate(lines)
    )
    radius = 10 if len(lines) == 1 else 8
    return (
        f'<rect class="tag" x="{place.x}" y="{place.y}" width="{place.width}" height="{place.height}" rx="{radius}"/>'
        + words
    )


def _line(points: Sequence[Point]) -> str:
    """The way of an arrow with round corners, and its head."""
    (x, y), half, length = points[-1], *_HEAD
    corners = [*points[:-1], (x, y - length + 1)]
    path = [f"M{corners[0][0]} {corners[0][1]}"]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        reach = min(_RADIUS, _distance(before, corner) // 2, _distance(corner, after) // 2)
        (x1, y1), (x2, y2) = _towards(corner, before, reach), _towards(corner, after, reach)
        path.append(f"L{x1} {y1}Q{corner[0]} {corner[1]} {x2} {y2}")
    path.append(f"L{corners[-1][0]} {corners[-1][1]}")
    head = f"M{x} {y}l{-half} {-length}h{2 * half}z"
    return f'<path class="line" d="{"".join(path)}"/><path class="head" d="{head}"/>'


def _distance(one: Point, other: Point) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _towards(one: Point, other: Point, reach: int) -> Point:
    dx, dy = other[0] - one[0], other[1] - one[1]
    return one[0] + reach * ((dx > 0) - (dx < 0)), one[1] + reach * ((dy > 0) - (dy < 0))


def _rules(rules: dict[str, str]) -> str:
    return "".join(f"{name}{{{style}}}" for name, style in rules.items())


def _text(text: str) -> str:
    """A text as XML may hold it."""
    return escape("".join(letter if letter.isprintable() else " " for letter in text))
