"""The shape of a graph: nodes and edges as numbers, nothing else. Pure data, on which structure and plan are
computed."""

from __future__ import annotations

from typing import NamedTuple

START = "start"
END = "end"


class Edge(NamedTuple):
    """An edge by its number in `Shape.edges`; `route` is the index of its route among its source's."""

    number: int
    source: int
    target: int
    route: int


class Route(NamedTuple):
    """A way on from a node: edges that are taken together. `error` marks the way of `on_error`."""

    edges: tuple[int, ...]
    when: str | None = None
    bound: int | None = None
    error: bool = False


class Shape(NamedTuple):
    """Nodes by number (`names[0]` is start, `names[1]` is end), edges in the order in which they are declared."""

    names: tuple[str, ...]
    edges: tuple[Edge, ...]
    routes: tuple[tuple[Route, ...], ...]
    """For each node its routes in order; plain edges are one route without condition."""
    out: tuple[tuple[int, ...], ...] = ()
    """For each node the edges that leave it."""
    into: tuple[tuple[int, ...], ...] = ()
    """For each node the edges that enter it, in the order in which they are declared."""


def make_shape(
    names: tuple[str, ...],
    exits: dict[str, list[tuple[tuple[str, ...], str | None, int | None, bool, tuple[int, ...]]]],
) -> Shape:
    """A shape from `{source: [(targets, when, bound, is_error, orders), …]}`; `orders` ranks the edges of all nodes."""
    number = {name: position for position, name in enumerate(names)}
    flat: list[tuple[int, int, int, int]] = []
    for source, routes in exits.items():
        for index, (targets, _, _, _, orders) in enumerate(routes):
            flat.extend(
                (order, number[source], number[target], index) for target, order in zip(targets, orders, strict=True)
            )
    flat.sort(key=lambda row: row[0])
    edges = tuple(Edge(index, source, target, route) for index, (_, source, target, route) in enumerate(flat))
    out: list[list[int]] = [[] for _ in names]
    into: list[list[int]] = [[] for _ in names]
    for edge in edges:
        out[edge.source].append(edge.number)
        into[edge.target].append(edge.number)
    all_routes = []
    for position, name in enumerate(names):
        rows = []
        for index, (_, when, bound, error, _) in enumerate(exits.get(name, ())):
            mine = tuple(edge for edge in out[position] if edges[edge].route == index)
            rows.append(Route(mine, when, bound, error))
        all_routes.append(tuple(rows))
    return Shape(names, edges, tuple(all_routes), tuple(map(tuple, out)), tuple(map(tuple, into)))
