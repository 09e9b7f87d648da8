"""What every drawing of a graph shows: boxes in ranks, and arrows with their words, whatever the style."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Literal

from ragweave.orchestrator.checking.bound import Checked
from ragweave.orchestrator.checking.shape import Route, Shape
from ragweave.orchestrator.checking.structure import Structure, analyse
from ragweave.orchestrator.language.policies import NodePolicies

ArrowKind = Literal["edge", "route", "back", "error"]


@dataclass(frozen=True, slots=True)
class Box:
    """A node, or one of the marks `start` and `end`. `caption` is its type, and what it is called for."""

    name: str
    caption: str = ""

    @property
    def is_mark(self) -> bool:
        """True for `start` and `end`."""
        return not self.caption


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge between two boxes by their numbers. `label` says when it is taken, empty if always."""

    source: int
    target: int
    kind: ArrowKind = "edge"
    label: str = ""
    is_spine: bool = False
    """True on the way that the eye should follow straight down."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A graph to draw. `ranks` has for each box how far down it stands: every arrow but those back leads downwards."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    ranks: tuple[int, ...]


def picture_of(checked: Checked) -> Picture:
    """The picture of a checked graph."""
    shape = checked.shape
    if shape is None:
        return Picture(checked.spec.name, (), (), ())
    structure = checked.structure or analyse(shape)
    boxes = [Box(name) for name in shape.names[:2]]
    for name in shape.names[2:]:
        node = checked.spec.nodes[name]
        boxes.append(Box(name, caption_of(node.type, node.policies)))
    ranks = _ranks(shape, structure)
    spine = _spine(shape, ranks)
    arrows = [
        Arrow(
            edge.source,
            edge.target,
            *_kind_and_label(shape, structure, edge.source, edge.route, edge.number),
            edge.number in spine,
        )
        for edge in shape.edges
    ]
    return Picture(checked.spec.name, tuple(boxes), tuple(arrows), ranks)


def lines_of(label: str, width: int) -> list[str]:
    """A label in at most three lines of about this width; what is longer ends in an ellipsis."""
    lines = textwrap.wrap(label, width, break_on_hyphens=False)
    return lines if len(lines) <= 3 else [*lines[:2], lines[2][: width - 2] + " …"]


def degrees(picture: Picture) -> list[int]:
    """For each box how many arrows it must have room for, at its top or its bottom."""
    out, into = [0] * len(picture.boxes), [0] * len(picture.boxes)
    for arrow in picture.arrows:
        out[arrow.source] += 1
        into[arrow.target] += 1
    return [max(pair) for pair in zip(out, into, strict=True)]


def caption_of(kind: str, policies: NodePolicies) -> str:
    """The second line of a box: the node's type, and of a mapped node the item that it is called for."""
    return f"{kind} per {policies.map.as_}" if policies.map is not None else kind or "?"


def _kind_and_label(shape: Shape, structure: Structure, source: int, route: int, edge: int) -> tuple[ArrowKind, str]:
    taken = shape.routes[source][route]
    if taken.error:
        return "error", "on error"
    kind: ArrowKind = "back" if edge in structure.back else "route"
    label = label_of(taken, is_only=sum(not other.error for other in shape.routes[source]) == 1)
    return (kind, label) if label or kind == "back" else ("edge", "")


def label_of(route: Route, *, is_only: bool) -> str:
    """The words on a route: its condition and its bound, or `else` if it is what remains."""
    words = [" ".join(route.when.split())] if route.when is not None else []
    if route.bound is not None:
        words.append(f"max {route.bound}")
    return ", ".join(words) or ("" if is_only else "else")


def _ranks(shape: Shape, structure: Structure) -> tuple[int, ...]:
    """The longest way from start, in edges."""
    ranks = [0] * len(shape.names)
    for node in structure.order:
        for index in shape.out[node]:
            target = shape.edges[index].target
            if index not in structure.back and structure.rank[target] > structure.rank[node]:
                ranks[target] = max(ranks[target], ranks[node] + 1)
    return tuple(ranks)


def _spine(shape: Shape, ranks: tuple[int, ...]) -> set[int]:
    """The edges along the only way on, or the first of two routes; a wider fork is left where its ways meet."""
    meeting = _meeting_points(shape, ranks)
    spine: set[int] = set()
    node = 0
    while node != 1:
        ways = [
            edge
            for route in shape.routes[node]
            for edge in route.edges
            if not route.error and ranks[shape.edges[edge].target] > ranks[node]
        ]
        routes = {shape.edges[edge].route for edge in ways}
        if len(ways) == 1 or (len(ways) == 2 and len(routes) == 2):
            spine.add(ways[0])
            node = shape.edges[ways[0]].target
        elif meeting[node] < 0:
            break
        else:
            node = meeting[node]
    return spine


def _meeting_points(shape: Shape, ranks: tuple[int, ...]) -> list[int]:
    """For each node the next one that every way down from it passes; -1 if there is none."""
    meeting = [-1] * len(shape.names)
    for node in sorted(range(len(shape.names)), key=lambda node: -ranks[node]):
        below = {shape.edges[edge].target for edge in shape.out[node]}
        below = {target for target in below if ranks[target] > ranks[node]}
        while len(below) > 1 and -1 not in below:
            highest = min(below, key=lambda target: (ranks[target], target))
            below.remove(highest)
            below.add(meeting[highest])
        meeting[node] = min(below, default=-1)
    return meeting
