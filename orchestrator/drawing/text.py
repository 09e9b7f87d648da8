"""A graph drawn with the box-drawing characters of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ragweave.orchestrator.drawing.layers import Size
from ragweave.orchestrator.drawing.layout import Layout, Metrics, Point, Rectangle, lay_out
from ragweave.orchestrator.drawing.picture import Box, Picture, degrees, lines_of

_METRICS = Metrics(apart=4, lane=3, port=3, corner=2, track=1, above=0, below=2, below_label=1)
_LABEL_WIDTH = 24
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES = " ╵╷│╴╯╮┤╶╰╭├─┴┬┼"
_DASHED = {"│": "┆", "─": "┄"}


def draw_text(picture: Picture) -> str:
    """The drawing as lines of text, without trailing spaces."""
    layout = layout_of(picture)
    canvas = _Canvas(layout)
    for box, place in zip(picture.boxes, layout.boxes, strict=True):
        canvas.box(place, _caption(box), is_mark=box.is_mark)
    for arrow, line in zip(picture.arrows, layout.lines, strict=True):
        canvas.line(line, is_dashed=arrow.kind in ("back", "error"))
    for arrow, label in zip(picture.arrows, layout.labels, strict=True):
        if label is not None:
            canvas.text(label, lines_of(arrow.label, _LABEL_WIDTH))
    return canvas.render()


def layout_of(picture: Picture) -> Layout:
    """Where everything stands, in characters."""
    boxes = [_box_size(_caption(box), degree) for box, degree in zip(picture.boxes, degrees(picture), strict=True)]
    labels = [_label_size(lines_of(arrow.label, _LABEL_WIDTH)) for arrow in picture.arrows]
    return lay_out(picture, boxes, labels, _METRICS)


def _caption(box: Box) -> str:
    return box.name if box.caption in ("", box.name) else f"{box.name}: {box.caption}"


def _box_size(text: str, degree: int) -> Size:
    return _odd(max(len(text) + 4, 6 * degree - 1 if degree <= 3 else 6 * (degree // 2) + 5)), 3


def _label_size(lines: Sequence[str]) -> Size:
    return (_odd(max(map(len, lines))), len(lines)) if lines else (0, 0)


def _odd(width: int) -> int:
    return width if width % 2 else width + 1


class _Canvas:
    """Cells with text, and under them cells in which lines meet."""

    def __init__(self, layout: Layout) -> None:
        self.width = layout.width
        self.cells = [[""] * layout.width for _ in range(layout.height)]
        self.lines = [[0] * layout.width for _ in range(layout.height)]
        self.dashed = [[False] * layout.width for _ in range(layout.height)]

    def box(self, place: Rectangle, text: str, *, is_mark: bool) -> None:
        right, bottom = place.x + place.width - 1, place.y + place.height - 1
        for x in range(place.x + 1, right):
            self.cells[place.y][x] = self.cells[bottom][x] = "─"
        corners = "╭╮╰╯" if is_mark else "┌┐└┘"
        for x, y, corner in zip((place.x, right) * 2, (place.y, place.y, bottom, bottom), corners, strict=True):
            self.cells[y][x] = corner
        self.cells[place.y + 1][place.x] = self.cells[place.y + 1][right] = "│"
        self.write(place.x + 1 + (place.width - 2 - len(text)) // 2, place.y + 1, text)

    def text(self, place: Rectangle, lines: Sequence[str]) -> None:
        for row, line in enumerate(lines):
            self.write(place.x + (place.width - len(line)) // 2, place.y + row, line)

    def write(self, x: int, y: int, text: str) -> None:
        for offset, letter in enumerate(text):
            self.cells[y][x + offset] = letter

    def line(self, points: Sequence[Point], *, is_dashed: bool) -> None:
        """From below a box to the row above another one, where its head is."""
        x, y = points[0]
        self.cells[y - 1][x] = "┬"
        path = [(x, y - 1), *points[:-1], (points[-1][0], points[-1][1] - 1)]
        for (x1, y1), (x2, y2) in pairwise(path):
            self._segment(x1, y1, x2, y2, is_dashed=is_dashed)
        x, y = path[-1]
        self.cells[y][x] = "▼"

    def _segment(self, x1: int, y1: int, x2: int, y2: int, *, is_dashed: bool) -> None:
        steps = max(abs(x2 - x1), abs(y2 - y1))
        dx, dy = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
        ahead = _RIGHT if dx > 0 else _LEFT if dx < 0 else _DOWN if dy > 0 else _UP
        behind = {_RIGHT: _LEFT, _LEFT: _RIGHT, _DOWN: _UP, _UP: _DOWN}[ahead]
        for step in range(steps + 1):
            x, y = x1 + step * dx, y1 + step * dy
            self.lines[y][x] |= (ahead if step < steps else 0) | (behind if step else 0)
            self.dashed[y][x] = is_dashed

    def render(self) -> str:
        rows = []
        for y, cells in enumerate(self.cells):
            row = [cell or self._line_at(x, y) for x, cell in enumerate(cells)]
            rows.append("".join(row).rstrip())
        return "\n".join(rows) + "\n"

    def _line_at(self, x: int, y: int) -> str:
        line = _LINES[self.lines[y][x]]
        return _DASHED.get(line, line) if self.dashed[y][x] else line
