"""Boxes and arrows as items in rows, ordered so that few lines cross.

The layered method of Sugiyama, Tagawa and Toda (1981): an arrow over several rows gets an item in each of them, its
label one of its own; rows are then ordered by the barycentre of their neighbours, and neighbours swapped while that
helps.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ragweave.orchestrator.drawing.picture import Picture

_SWEEPS = 12

Size = tuple[int, int]


@dataclass(slots=True)
class Item:
    """Something with a place in a row: a box, a piece of an arrow, its label, or the turn of one that leads back."""

    row: int
    width: int = 1
    height: int = 0
    box: int = -1
    """The number of the box; -1 if it is a piece of an arrow."""
    is_label: bool = False
    is_turn: bool = False
    up: list[int] = field(default_factory=list)
    down: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Layers:
    """Items by number; `rows` has them from left to right, `chains` those of each arrow from source to target."""

    items: list[Item]
    rows: list[list[int]]
    chains: list[list[int]]
    spine: set[tuple[int, int]] = field(default_factory=set)
    """The pieces of arrows, as upper and lower item, that are to be straight above all."""


def layers_of(picture: Picture, boxes: Sequence[Size], labels: Sequence[Size]) -> Layers:
    """Rows of items for a picture.

    `boxes` and `labels` are the sizes of each box and of each arrow's label, (0, 0) if it has none.
    """
    rows = _rows(picture, labels)
    items = [
        Item(rows[2 * rank], *size, box) for box, (rank, size) in enumerate(zip(picture.ranks, boxes, strict=True))
    ]
    layers = Layers(items, [[] for _ in rows], [[] for _ in picture.arrows])
    for number, (arrow, size) in enumerate(zip(picture.arrows, labels, strict=True)):
        make = _back_chain if is_upwards(picture, number) else _chain
        chain = make(layers, rows, picture.ranks, arrow.source, arrow.target, size)
        layers.chains[number] = chain
        if arrow.is_spine:
            layers.spine.update(pairwise(chain))
    _first_order(layers)
    _reduce_crossings(layers)
    return layers


def is_upwards(picture: Picture, arrow: int) -> bool:
    """True if the arrow does not lead to a lower row."""
    return picture.ranks[picture.arrows[arrow].target] <= picture.ranks[picture.arrows[arrow].source]


def _rows(picture: Picture, labels: Sequence[Size]) -> dict[int, int]:
    """Row numbers: boxes of rank r are in 2r; what stands between ranks r and r + 1, if anything does, is in 2r + 1."""
    used = {2 * rank for rank in picture.ranks}
    for number, (arrow, size) in enumerate(zip(picture.arrows, labels, strict=True)):
        if is_upwards(picture, number):
            used |= {2 * picture.ranks[arrow.source] + 1, 2 * picture.ranks[arrow.target] - 1}
        elif size[0]:
            used.add(2 * picture.ranks[arrow.source] + 1)
    return {row: position for position, row in enumerate(sorted(used))}


def _chain(
    layers: Layers, rows: dict[int, int], ranks: Sequence[int], source: int, target: int, label: Size
) -> list[int]:
    """A downward arrow: its label stands right below its source."""
    chain = [source]
    for row in range(rows[2 * ranks[source]] + 1, rows[2 * ranks[target]]):
        is_label = label[0] > 0 and row == rows[2 * ranks[source] + 1]
        layers.items.append(Item(row, *(label if is_label else (1, 0)), is_label=is_label))
        chain.append(len(layers.items) - 1)
    chain.append(target)
    _join(layers, chain)
    return chain


def _back_chain(
    layers: Layers, rows: dict[int, int], ranks: Sequence[int], source: int, target: int, label: Size
) -> list[int]:
    """An upward arrow: out at the bottom of its source, up beside everything, in at the top of its target."""
    first, last = rows[2 * ranks[source] + 1], rows[2 * ranks[target] - 1]
    chain = [source]
    for row in range(first, last - 1, -1):
        is_label = label[0] > 0 and row == first - 1
        item = Item(row, *(label if is_label else (1, 0)), is_label=is_label, is_turn=row in (first, last))
        layers.items.append(item)
        chain.append(len(layers.items) - 1)
    chain.append(target)
    _join(layers, chain[1:-1][::-1])
    _join(layers, [source, chain[1]])
    _join(layers, [chain[-2], target])
    return chain


def _join(layers: Layers, downwards: Sequence[int]) -> None:
    for upper, lower in pairwise(downwards):
        layers.items[upper].down.append(lower)
        layers.items[lower].up.append(upper)


def _first_order(layers: Layers) -> None:
    """Depth first from start along arrows in their order: what is declared first stands on the left."""
    leaving: dict[int, list[list[int]]] = {}
    for chain in layers.chains:
        leaving.setdefault(chain[0], []).append(chain)
    placed: set[int] = set()

    def put(item: int) -> None:
        if item not in placed:
            placed.add(item)
            layers.rows[layers.items[item].row].append(item)

    boxes = [number for number, item in enumerate(layers.items) if item.box >= 0]
    stack = [[box] for box in reversed(boxes)]
    done: set[int] = set()
    while stack:
        chain = stack.pop()
        for item in chain:
            put(item)
        if chain[-1] not in done:
            done.add(chain[-1])
            stack.extend(reversed(leaving.get(chain[-1], ())))


def _reduce_crossings(layers: Layers) -> None:
    best = [list(row) for row in layers.rows]
    fewest = _crossings(layers)
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        downwards = sweep % 2 == 0
        for row in range(1, len(layers.rows)) if downwards else range(len(layers.rows) - 2, -1, -1):
            _sort_row(layers, row, downwards=downwards, turn_ties=sweep % 4 >= 2)
        _swap(layers)
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = [list(row) for row in layers.rows], crossings
    layers.rows[:] = best


def _sort_row(layers: Layers, row: int, *, downwards: bool, turn_ties: bool) -> None:
    """Sort a row by the mean place of what its items are joined to; those joined to nothing keep their places.

    Equals stay in their order, or turn it round: that lets whole chains change sides.
    """
    beside = layers.rows[row - 1 if downwards else row + 1]
    place = {item: position for position, item in enumerate(beside)}
    means: dict[int, float] = {}
    for item in layers.rows[row]:
        joined = layers.items[item].up if downwards else layers.items[item].down
        if joined:
            means[item] = sum(place[other] for other in joined) / len(joined)
    equals = list(means)[::-1] if turn_ties else list(means)
    moving = iter(sorted(equals, key=means.__getitem__))
    layers.rows[row] = [next(moving) if item in means else item for item in layers.rows[row]]


def _swap(layers: Layers) -> None:
    """Swap neighbours as long as that leaves fewer crossings."""
    for _ in range(4):
        improved = False
        for row in range(len(layers.rows)):
            items = layers.rows[row]
            places = [_places(layers, row - 1), _places(layers, row + 1)]
            for at in range(len(items) - 1):
                left, right = items[at], items[at + 1]
                if _between(layers, left, right, places) > _between(layers, right, left, places):
                    items[at], items[at + 1] = right, left
                    improved = True
        if not improved:
            return


def _places(layers: Layers, row: int) -> dict[int, int]:
    return {item: place for place, item in enumerate(layers.rows[row])} if 0 <= row < len(layers.rows) else {}


def _between(layers: Layers, left: int, right: int, places: Sequence[dict[int, int]]) -> int:
    """How many lines of two neighbours cross if they stand in this order."""
    count = 0
    for place, one, other in (
        (places[0], layers.items[left].up, layers.items[right].up),
        (places[1], layers.items[left].down, layers.items[right].down),
    ):
        count += sum(place[mine] > place[theirs] for mine in one for theirs in other)
    return count


def _crossings(layers: Layers) -> int:
    count = 0
    for upper, lower in pairwise(layers.rows):
        place = {item: position for position, item in enumerate(lower)}
        seen: list[int] = []
        for item in upper:
            ends = sorted(place[other] for other in layers.items[item].down)
            for end in ends:
                count += len(seen) - bisect_right(seen, end)
            for end in ends:
                insort(seen, end)
    return count
