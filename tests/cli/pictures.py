"""Pictures to draw: made-up ones in their thousands, and what must be true of the layout of each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from hypothesis import strategies as st

from ragweave.orchestrator.drawing.layout import Layout, Point, Rectangle
from ragweave.orchestrator.drawing.picture import Arrow, Box, Picture

LABELS = st.sampled_from(["", "else", "verdict.passed", "size(verdict.missing) > 0 && !done, max 2", "a" * 40])


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    """Pictures with up to a dozen boxes: forks, joins, long arrows, loops in loops, arrows from a box to itself."""
    count = draw(st.integers(3, 12))
    order = [0, *range(2, count), 1]
    arrows: dict[tuple[int, int], Arrow] = {}
    for place, target in enumerate(order[1:], 1):
        for source in draw(st.sets(st.sampled_from(order[:place]), min_size=1, max_size=3)):
            if source != 1:
                arrows[source, target] = Arrow(source, target, "route", draw(LABELS))
    ranks = [0] * count
    for target in order[1:]:
        ranks[target] = max(ranks[source] + 1 for source, other in arrows if other == target)
    for _ in range(draw(st.integers(0, 4))):
        source, target = draw(st.sampled_from(order[1:-1])), draw(st.sampled_from(order[1:-1]))
        if ranks[target] <= ranks[source] and (source, target) not in arrows:
            arrows[source, target] = Arrow(source, target, "back", draw(LABELS))
    boxes = [Box("start"), Box("end"), *(Box(f"n{number}", "retriever" * (number % 3)) for number in range(2, count))]
    return Picture("made up", tuple(boxes), tuple(arrows.values()), tuple(ranks))


def faults(picture: Picture, layout: Layout) -> Iterator[str]:
    """What is wrong with a layout: things on each other, lines through boxes, lines that miss their boxes."""
    labels = [label for label in layout.labels if label is not None]
    for one, other in combinations([*layout.boxes, *labels], 2):
        if overlap(one, other):
            yield f"{one} and {other} lie on each other"
    for arrow, line, own in zip(picture.arrows, layout.lines, layout.labels, strict=True):
        yield from _misses(layout.boxes[arrow.source], layout.boxes[arrow.target], line)
        for box in layout.boxes:
            if any(through(segment, box) for segment in pairwise(line)):
                yield f"{arrow} goes through {box}"
        for label in labels:
            if label is not own and any(through(segment, label) for segment in pairwise(line)):
                yield f"{arrow} goes through {label}"
    for (arrow, line), (second, other_line) in combinations(zip(picture.arrows, layout.lines, strict=True), 2):
        if any(along(a, b) for a in pairwise(line) for b in pairwise(other_line)):
            yield f"{arrow} and {second} lie on each other"


def _misses(source: Rectangle, target: Rectangle, line: tuple[Point, ...]) -> Iterator[str]:
    if any(x1 != x2 and y1 != y2 for (x1, y1), (x2, y2) in pairwise(line)):
        yield f"{line} is crooked"
    if line[0][1] != source.y + source.height or not source.x < line[0][0] < source.x + source.width - 1:
        yield f"{line} does not begin at the bottom of {source}"
    if line[-1][1] != target.y or not target.x < line[-1][0] < target.x + target.width - 1:
        yield f"{line} does not end at the top of {target}"


def overlap(one: Rectangle, other: Rectangle) -> bool:
    """True if two rectangles share some area."""
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def through(segment: tuple[Point, Point], box: Rectangle) -> bool:
    """True if a line passes the inside of a box."""
    (x1, y1), (x2, y2) = segment
    return (
        min(x1, x2) < box.x + box.width - 1
        and max(x1, x2) > box.x
        and min(y1, y2) < box.y + box.height - 1
        and max(y1, y2) > box.y
    )


def along(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """True if two lines have more than a point in common."""
    for axis in (0, 1):
        if one[0][axis] == one[1][axis] == other[0][axis] == other[1][axis]:
            first = sorted(point[1 - axis] for point in one)
            second = sorted(point[1 - axis] for point in other)
            return max(first[0], second[0]) < min(first[1], second[1])
    return False
