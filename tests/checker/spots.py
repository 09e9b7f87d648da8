"""A YAML text as spots: every key and value with its way from the root and its place in the text. PyYAML only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

Way = tuple[str | int, ...]


@dataclass(frozen=True)
class Spot:
    """An entry of a map (with its key) or an item of a list. Offsets are into the text."""

    way: Way
    key: str | None
    key_start: int
    key_end: int
    value: str
    """The value if it is a scalar, else empty."""
    kind: str
    """`scalar`, `map` or `list`."""
    start: int
    end: int
    quoted: bool
    index: int
    """Position among its siblings."""
    siblings: int
    flow: bool
    """True if its parent is written in braces or brackets."""
    before: int
    """Where the previous sibling ends, or the parent starts."""
    after: int
    """Where the next sibling starts, or the parent ends."""

    @property
    def name(self) -> str:
        """The last part of the way, as text."""
        return str(self.way[-1])


def spots_of(text: str) -> list[Spot]:
    """Every spot of a text, parents first."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return list(_walk(text, root, ())) if root is not None else []


def _walk(text: str, node: yaml.Node, way: Way) -> Iterator[Spot]:
    if isinstance(node, yaml.MappingNode):
        pairs = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        pairs = [(number, None, value) for number, value in enumerate(node.value)]
    else:
        return
    edges = [(key if key is not None else value, value) for _, key, value in pairs]
    for number, (name, key, value) in enumerate(pairs):
        first = key if key is not None else value
        scalar = isinstance(value, yaml.ScalarNode)
        yield Spot(
            way=(*way, name),
            key=name if key is not None else None,
            key_start=first.start_mark.index,
            key_end=first.end_mark.index,
            value=value.value if scalar else "",
            kind="scalar" if scalar else "map" if isinstance(value, yaml.MappingNode) else "list",
            start=value.start_mark.index,
            end=_end(text, value),
            quoted=scalar and value.style in ("'", '"'),
            index=number,
            siblings=len(pairs),
            flow=bool(node.flow_style),
            before=_end(text, edges[number - 1][1]) if number else node.start_mark.index + 1,
            after=edges[number + 1][0].start_mark.index if number + 1 < len(pairs) else node.end_mark.index,
        )
        yield from _walk(text, value, (*way, name))


def _end(text: str, node: yaml.Node) -> int:
    """Where a value ends, without the blank lines that PyYAML counts to a block."""
    end = node.end_mark.index
    start = node.start_mark.index
    return start + len(text[start:end].rstrip())


def line_at(text: str, offset: int) -> int:
    """The 1-based line of an offset."""
    return text.count("\n", 0, offset) + 1


def without(text: str, spot: Spot) -> str:
    """The text without an entry or item."""
    if spot.flow:
        if spot.index + 1 < spot.siblings:
            return text[: spot.key_start] + text[spot.after :]
        return text[: spot.before] + text[spot.end :]
    start = text.rfind("\n", 0, spot.key_start) + 1
    if text[start : spot.key_start].strip() == "-" and spot.key is not None:
        # the first key of a block item stands behind its dash
        return text[: spot.key_start] + text[spot.after :]
    end = text.find("\n", spot.end)
    return text[:start] + (text[end + 1 :] if end >= 0 else "")


def replaced(text: str, start: int, end: int, new: str) -> str:
    """The text with one stretch of it replaced."""
    return text[:start] + new + text[end:]
