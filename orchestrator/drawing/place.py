"""Where in its row each item stands, so that most lines are straight.

The method of Brandes and Köpf, "Fast and simple horizontal coordinate assignment" (2001), with the compaction by
longest paths that dagre uses: four alignments, each to one side, and the mean of the middle two.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from ragweave.orchestrator.drawing.layers import Layers

Rows = list[list[int]]
Gap = Callable[[int, int], int]


def columns_of(layers: Layers, gap: Gap) -> list[int]:
    """The middle of each item, from 0 on; `gap` says how far the middles of two neighbours are apart at least."""
    conflicts = _conflicts(layers)
    found: list[list[float]] = []
    for downwards in (True, False):
        for leftwards in (True, False):
            rows = layers.rows if downwards else layers.rows[::-1]
            rows = rows if leftwards else [row[::-1] for row in rows]
            root = _align(layers, rows, conflicts, downwards)
            columns = _compact(rows, root, gap if leftwards else lambda one, other: gap(other, one))
            found.append(columns if leftwards else [-column for column in columns])
    narrow = min(found, key=lambda columns: max(columns) - min(columns))
    for number, columns in enumerate(found):
        side: Callable[[list[float]], float] = min if number % 2 == 0 else max
        shift = side(narrow) - side(columns)
        found[number] = [column + shift for column in columns]
    middles = [sum(sorted(four)[1:3]) / 2 for four in zip(*found, strict=True)]
    first = min(middles, default=0)
    return [int(middle - first + 0.5) for middle in middles]


def _conflicts(layers: Layers) -> set[tuple[int, int]]:
    """Lines that cross a more important one, and so bend: the spine is straight first, then long arrows."""
    place = {item: position for row in layers.rows for position, item in enumerate(row)}

    def importance(line: tuple[int, int]) -> int:
        return 2 if line in layers.spine else all(layers.items[end].box < 0 for end in line)

    found = set()
    for row in layers.rows:
        lines = [(upper, lower) for upper in row for lower in layers.items[upper].down]
        for one in lines:
            for other in lines:
                crosses = (place[one[0]] - place[other[0]]) * (place[one[1]] - place[other[1]]) < 0
                if crosses and importance(other) < importance(one):
                    found.add(other)
    return found


def _align(layers: Layers, rows: Rows, conflicts: set[tuple[int, int]], downwards: bool) -> dict[int, int]:
    """For each item the first of the block that stands in one column with it."""
    place = {item: position for row in rows for position, item in enumerate(row)}
    root = {item: item for item in place}
    taken: set[int] = set()
    promised = {upper if downwards else lower for upper, lower in layers.spine}
    for row in rows:
        last = -1
        for item in row:
            joined = layers.items[item].up if downwards else layers.items[item].down
            joined = sorted(joined, key=place.__getitem__)
            lines = {other: (other, item) if downwards else (item, other) for other in joined}
            spine = [other for other in joined if lines[other] in layers.spine]
            for other in spine or joined[(len(joined) - 1) // 2 : len(joined) // 2 + 1]:
                line = lines[other]
                if not spine and other in promised:
                    continue
                if other not in taken and line not in conflicts and place[other] > last:
                    root[item] = root[other]
                    taken.add(other)
                    last = place[other]
                    break
    return root


def _compact(rows: Rows, root: dict[int, int], gap: Gap) -> list[float]:
    """The columns of blocks pushed to the left, then each back to the right as far as its neighbours let it."""
    after: dict[int, dict[int, int]] = {block: {} for block in root.values()}
    before: dict[int, dict[int, int]] = {block: {} for block in root.values()}
    for row in rows:
        for one, other in pairwise(row):
            left, right = root[one], root[other]
            apart = max(gap(one, other), after[left].get(right, 0))
            after[left][right] = before[right][left] = apart
    order = _order(after, before)
    column: dict[int, float] = {}
    for block in order:
        column[block] = max((column[left] + apart for left, apart in before[block].items()), default=0)
    for block in reversed(order):
        if after[block]:
            room = min(column[right] - apart for right, apart in after[block].items())
            column[block] = max(column[block], room)
    return [column[root[item]] for item in sorted(root)]


def _order(after: dict[int, dict[int, int]], before: dict[int, dict[int, int]]) -> list[int]:
    need = {block: len(left) for block, left in before.items()}
    ready = [block for block, count in need.items() if count == 0]
    done = []
    while ready:
        block = ready.pop()
        done.append(block)
        for right in after[block]:
            need[right] -= 1
            if need[right] == 0:
                ready.append(right)
    return done
