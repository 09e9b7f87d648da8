"""A picture laid out in whole numbers, pixels or characters: the places of boxes and labels, the corners of arrows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ragweave.orchestrator.drawing.layers import Item, Layers, Size, is_upwards, layers_of
from ragweave.orchestrator.drawing.picture import Picture
from ragweave.orchestrator.drawing.place import columns_of

Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Distances, in the unit of the drawing."""

    apart: int
    """Between two boxes or labels of a row."""
    lane: int
    """Between an arrow that passes a row and what stands beside it."""
    port: int
    """Between two arrows at one side of a box."""
    corner: int
    """Between an arrow and the corner of its box."""
    track: int
    """Between two arrows that run side by side between rows."""
    above: int
    """Between a row and the first such arrow below it."""
    below: int
    """Between the last such arrow and a row of boxes: an arrow's head fits in."""
    below_label: int
    """Between the last such arrow and a row of labels."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Left, top, width and height."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is. `lines` are the corners of each arrow from its source's edge to its target's."""

    width: int
    height: int
    boxes: tuple[Rectangle, ...]
    lines: tuple[tuple[Point, ...], ...]
    labels: tuple[Rectangle | None, ...]


@dataclass(slots=True)
class _Net:
    """A piece of an arrow between two rows. An end is an item and whether it is in the upper row."""

    arrow: int
    ends: tuple[tuple[int, bool], tuple[int, bool]]
    columns: list[int]
    track: int = 0

    @property
    def is_turn(self) -> bool:
        return self.ends[0][1] == self.ends[1][1]

    @property
    def is_straight(self) -> bool:
        return not self.is_turn and self.columns[0] == self.columns[1]

    def column(self, *, upper: bool) -> list[int]:
        """The columns at which it is joined to the upper row, or to the lower."""
        return [column for (_, is_upper), column in zip(self.ends, self.columns, strict=True) if is_upper == upper]


def lay_out(picture: Picture, boxes: Sequence[Size], labels: Sequence[Size], metrics: Metrics) -> Layout:
    """The layout of a picture whose boxes and labels have these sizes; a label of size (0, 0) is none."""
    layers = layers_of(picture, boxes, labels)
    columns = columns_of(layers, lambda one, other: _apart(layers.items[one], layers.items[other], metrics))
    gaps = _gaps(picture, layers, columns)
    _set_ports(layers, columns, gaps, metrics)
    tracks = [_set_tracks(gap, metrics.port) for gap in gaps]
    tops, height = _tops(layers, tracks, metrics)
    middles = [_top(layers, tops, item) for item in layers.items]
    rectangles = [
        Rectangle(column - item.width // 2, top, item.width, item.height)
        for item, column, top in zip(layers.items, columns, middles, strict=True)
    ]
    levels = [_bottom(layers, tops, row) + metrics.above for row in range(len(gaps))]
    lines = [_line(layers, rectangles, gaps, levels, arrow, metrics) for arrow in range(len(picture.arrows))]
    found: list[Rectangle | None] = [None] * len(picture.arrows)
    for arrow, chain in enumerate(layers.chains):
        for item in chain:
            if layers.items[item].is_label:
                found[arrow] = rectangles[item]
    return _shifted(rectangles[: len(picture.boxes)], lines, found, height)


def _apart(one: Item, other: Item, metrics: Metrics) -> int:
    gap = metrics.lane if one.width == 1 or other.width == 1 else metrics.apart
    return one.width // 2 + other.width // 2 + gap


def _gaps(picture: Picture, layers: Layers, columns: Sequence[int]) -> list[list[_Net]]:
    """The nets in the space below each row but the last."""
    gaps: list[list[_Net]] = [[] for _ in layers.rows[1:]]
    for arrow, chain in enumerate(layers.chains):
        items = [item for item in chain if not layers.items[item].is_turn]
        last = len(items) - 2
        for step, (one, other) in enumerate(pairwise(items)):
            row = layers.items[one].row
            if not is_upwards(picture, arrow):
                gap, ends = row, ((one, True), (other, False))
            elif step == 0:
                gap, ends = row, ((one, True), (other, True))
            elif step == last:
                gap, ends = row - 1, ((one, False), (other, False))
            else:
                gap, ends = row - 1, ((one, False), (other, True))
            gaps[gap].append(_Net(arrow, ends, [columns[one], columns[other]]))
    return gaps


def _set_ports(layers: Layers, columns: Sequence[int], gaps: Sequence[Sequence[_Net]], metrics: Metrics) -> None:
    """Give the arrows at one side of a box places of their own, one of them straight if possible."""
    for gap in gaps:
        sides: dict[tuple[int, bool], list[tuple[_Net, int]]] = {}
        for net in gap:
            for which, end in enumerate(net.ends):
                if layers.items[end[0]].box >= 0:
                    sides.setdefault(end, []).append((net, which))
        for (item, _), pins in sides.items():
            _spread(pins, columns[item], layers.items[item].width // 2 - metrics.corner, columns, metrics.port)
        for net in gap:
            _straighten(net, sides, layers, columns, metrics)


def _spread(pins: list[tuple[_Net, int]], middle: int, room: int, columns: Sequence[int], spacing: int) -> None:
    """Places around the middle of a box, in the order in which the other ends stand."""

    def order(pin: tuple[_Net, int]) -> tuple[int, int]:
        net, which = pin
        other = columns[net.ends[1 - which][0]]
        if net.is_turn:
            return (1, -other) if other > middle else (-1, -other)
        return (0, other)

    pins.sort(key=order)
    ways = [index for index, (net, _) in enumerate(pins) if not net.is_turn]
    main: float = (len(pins) - 1) / 2
    anchor = middle
    if ways:
        across = {index: columns[pins[index][0].ends[1 - pins[index][1]][0]] for index in ways}
        main = min(ways, key=lambda index: abs(across[index] - middle))
        anchor = across[main] if abs(across[main] - middle) <= spacing // 2 else middle
    spacing = min(spacing, max(2 * room // max(len(pins) - 1, 1), 1))
    first = max(min(int(anchor - main * spacing), middle + room - spacing * (len(pins) - 1)), middle - room)
    for index, (net, which) in enumerate(pins):
        net.columns[which] = first + index * spacing


def _straighten(
    net: _Net,
    sides: dict[tuple[int, bool], list[tuple[_Net, int]]],
    layers: Layers,
    columns: Sequence[int],
    metrics: Metrics,
) -> None:
    """Move one end along the side of its box to stand right above or below the other, if that is free."""
    if net.is_turn or net.is_straight:
        return
    for which in (0, 1):
        pins = sides.get(net.ends[which], [])
        item = net.ends[which][0]
        wanted = net.columns[1 - which]
        room = layers.items[item].width // 2 - metrics.corner
        own = [(pin, at) for pin, at in pins if pin is not net]
        free = all(
            abs(pin.columns[at] - wanted) >= metrics.port
            and (pin.columns[at] < wanted) == (pin.columns[at] < net.columns[which])
            for pin, at in own
        )
        if pins and free and abs(wanted - columns[item]) <= room:
            net.columns[which] = wanted
            return


def _set_tracks(gap: list[_Net], spacing: int) -> int:
    """Give the nets that are not straight levels of their own, so that few cross; how many levels there are."""
    nets = [net for net in gap if not net.is_straight]
    costs = {(one, other): _cost(nets[one], nets[other]) for one in range(len(nets)) for other in range(len(nets))}
    left = list(range(len(nets)))
    order: list[_Net] = []
    while left:
        highest = min(left, key=lambda one: sum(max(costs[one, other] - costs[other, one], 0) for other in left))
        left.remove(highest)
        order.append(nets[highest])
    _split(gap, order, spacing)
    count = 0
    for at, net in enumerate(order):
        net.track = max((earlier.track + 1 for earlier in order[:at] if _meet(earlier, net)), default=0)
        count = max(count, net.track + 1)
    return count


def _split(gap: list[_Net], order: list[_Net], spacing: int) -> None:
    """Let a net change columns on its way, on two levels, where it would come down onto one that runs below it.

    No order keeps two nets apart that change places, each leaving where the other arrives; nor three in a ring. Deutsch
    (1976), "A dogleg channel router".
    """
    for below in list(order):
        for above in order[: _at(order, below)]:
            if not set(above.column(upper=False)) & set(below.column(upper=True)):
                continue
            between = _free_column(gap, above.columns, spacing)
            first, last = (
                replace(above, columns=list(ends)) for ends in pairwise([above.columns[0], between, above.columns[1]])
            )
            gap[_at(gap, above) : _at(gap, above) + 1] = [first, last]
            upper, lower = (first, last) if above.ends[0][1] else (last, first)
            order.insert(_at(order, below) + 1, lower)
            order[_at(order, above)] = upper


def _at(nets: Sequence[_Net], net: _Net) -> int:
    return next(place for place, one in enumerate(nets) if one is net)


def _free_column(gap: Sequence[_Net], ends: Sequence[int], spacing: int) -> int:
    """The column near the middle of two in which no net of the gap begins or ends, nor right beside it if possible."""
    taken = {column for net in gap for column in net.columns}

    def merit(column: int) -> tuple[int, int]:
        return min(spacing, *(abs(column - other) for other in taken)), -abs(2 * column - sum(ends))

    return max(range(min(ends) - spacing, max(ends) + spacing + 1), key=merit)


def _meet(one: _Net, other: _Net) -> bool:
    return min(one.columns) <= max(other.columns) and min(other.columns) <= max(one.columns)


def _cost(above: _Net, below: _Net) -> int:
    """What it costs to run one net above the other: crossings, and much more for lines that would lie on each other."""
    cost = sum(min(above.columns) < column < max(above.columns) for column in below.column(upper=True))
    cost += sum(min(below.columns) < column < max(below.columns) for column in above.column(upper=False))
    on_each_other = set(above.column(upper=False)) & set(below.column(upper=True))
    return cost + 100 * len(on_each_other)


def _tops(layers: Layers, tracks: Sequence[int], metrics: Metrics) -> tuple[list[int], int]:
    """The top of each row, and the height of all."""
    tops, y = [], 0
    for row in range(len(layers.rows)):
        if row:
            has_box = any(layers.items[item].box >= 0 for item in layers.rows[row])
            gap = metrics.above + metrics.track * max(tracks[row - 1] - 1, 0)
            y += gap + (metrics.below if has_box else metrics.below_label)
        tops.append(y)
        y += _row_height(layers, row)
    return tops, y


def _row_height(layers: Layers, row: int) -> int:
    return max((layers.items[item].height for item in layers.rows[row]), default=0)


def _top(layers: Layers, tops: Sequence[int], item: Item) -> int:
    return tops[item.row] + (_row_height(layers, item.row) - item.height) // 2


def _bottom(layers: Layers, tops: Sequence[int], row: int) -> int:
    return tops[row] + _row_height(layers, row)


def _line(
    layers: Layers,
    rectangles: Sequence[Rectangle],
    gaps: Sequence[Sequence[_Net]],
    levels: Sequence[int],
    arrow: int,
    metrics: Metrics,
) -> tuple[Point, ...]:
    """The corners of an arrow, from the bottom of its source to the top of its target."""
    chain = layers.chains[arrow]
    mine: dict[tuple[int, int], list[tuple[_Net, int]]] = {}
    for gap, nets in enumerate(gaps):
        for net in nets:
            if net.arrow == arrow:
                level = levels[gap] + net.track * metrics.track
                mine.setdefault((net.ends[0][0], net.ends[1][0]), []).append((net, level))
    items = [item for item in chain if not layers.items[item].is_turn]
    source, target = rectangles[chain[0]], rectangles[chain[-1]]
    points: list[Point] = []
    for net, level in (piece for ends in pairwise(items) for piece in mine[ends]):
        if not points:
            points.append((net.columns[0], source.y + source.height))
        if not net.is_straight:
            points += [(net.columns[0], level), (net.columns[1], level)]
    points.append((net.columns[1], target.y))
    return tuple(dict.fromkeys(points))


def _shifted(
    boxes: Sequence[Rectangle], lines: Sequence[tuple[Point, ...]], labels: Sequence[Rectangle | None], height: int
) -> Layout:
    """Everything moved so that it begins at column 0."""
    wide = [*boxes, *(label for label in labels if label is not None)]
    columns = [x for line in lines for x, _ in line]
    left = min([*(one.x for one in wide), *columns], default=0)
    right = max([*(one.x + one.width for one in wide), *(x + 1 for x in columns)], default=0)

    def move(one: Rectangle) -> Rectangle:
        return Rectangle(one.x - left, one.y, one.width, one.height)

    return Layout(
        right - left,
        height,
        tuple(move(box) for box in boxes),
        tuple(tuple((x - left, y) for x, y in line) for line in lines),
        tuple(move(label) if label is not None else None for label in labels),
    )
