"""More small mistakes: things that stand twice, values of another kind, edges too many, broken syntax."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import yaml

from tests.checker.mutants import (
    Mutant,
    Operator,
    Original,
    drop_bound,
    drop_edge,
    drop_last_route,
    drop_merge,
    drop_required,
    misspell_in_when,
    misspell_key,
    misspell_node,
    misspell_resource,
    misspell_setting,
    misspell_type,
)
from tests.checker.spots import Spot, line_at, replaced

FREE = ("default", "cache", "description", "name", "version", "model", "base_url", "api_key")


def duplicate(base: Original) -> Iterator[Mutant]:
    """A key of a map, or a node, that stands twice."""
    for spot in base.spots:
        if spot.key is None or len(spot.way) > 4:
            continue
        operator = "duplicate a node" if spot.way[0] == "nodes" and len(spot.way) == 2 else "duplicate a key"
        piece = base.text[spot.key_start : spot.end]
        if spot.flow:
            text = replaced(base.text, spot.end, spot.end, f", {piece}")
            lines = {line_at(base.text, spot.end)}
        else:
            indent = spot.key_start - base.text.rfind("\n", 0, spot.key_start) - 1
            text = replaced(base.text, spot.end, spot.end, f"\n{' ' * indent}{piece}")
            lines = {line_at(base.text, spot.end) + 1}
        yield Mutant(
            operator, text, frozenset(lines | {line_at(base.text, spot.key_start)}), True, f"{base.name}: {spot.way}"
        )


def duplicate_edge(base: Original) -> Iterator[Mutant]:
    """An edge that stands twice."""
    for spot, groups in base.chains:
        for sources, targets in pairwise(groups):
            edge = f"{sources[0]} -> {targets[0]}"
            text = base.text.rstrip("\n") + f"\n  - {edge}\n"
            lines = frozenset({line_at(base.text, spot.start), text.count("\n")})
            yield Mutant("duplicate an edge", text, lines, True, f"{base.name}: {edge}")
    for spot in base.spots:
        if spot.name == "to" and spot.way[0] == "edges" and (spot.kind == "list" or spot.kind == "scalar"):
            inner = base.text[spot.start : spot.end].strip("[]")
            new = f"[{inner}, {inner.split(',')[0].strip()}]"
            text = replaced(base.text, spot.start, spot.end, new)
            yield Mutant(
                "duplicate an edge", text, frozenset({line_at(base.text, spot.start)}), True, f"{base.name}: {new}"
            )


def swap_type(base: Original) -> Iterator[Mutant]:
    """A value of another kind than belongs there."""
    for spot in base.spots:
        new = _other_kind(spot)
        if new is None or (spot.kind != "scalar" and not spot.flow and base.text[spot.start] not in "[{"):
            continue
        text = replaced(base.text, spot.start, spot.end, new)
        lines = frozenset({line_at(base.text, spot.start), line_at(base.text, spot.key_start)})
        yield Mutant("swap a value's type", text, lines, True, f"{base.name}: {spot.way} = {new}")


def _other_kind(spot: Spot) -> str | None:
    if spot.key in FREE or spot.way[0] in ("name", "description", "schema"):
        return None
    if spot.kind in ("list", "map"):
        return "7" if len(spot.way) > 1 or spot.way[0] in ("outputs", "inputs") else None
    if spot.way[0] in ("outputs", "edges") and isinstance(spot.way[-1], int):
        return "7"
    if spot.key is None:
        return None
    if re.fullmatch(r"-?\d+(\.\d+)?", spot.value):
        return "many"
    if spot.value in ("true", "false"):
        return "maybe"
    return "[1, 2]"


def make_cycle(base: Original) -> Iterator[Mutant]:
    """A plain edge back to where a plain chain came from."""
    plain = [name for _, groups in base.chains for group in groups[:-1] for name in group if name != "start"]
    edges = [(one, other) for _, groups in base.chains for a, b in pairwise(groups) for one in a for other in b]
    for source in dict.fromkeys(plain):
        above = {source}
        for _ in range(len(base.nodes)):
            above |= {one for one, other in edges if other in above and one != "start"}
        for header in sorted(above)[:3]:
            if (source, header) in edges:
                continue
            text = base.text.rstrip("\n") + f"\n  - {source} -> {header}\n"
            lines = frozenset({text.count("\n")}) | base.lines_of(text, source) & base.lines_of(text, header)
            yield Mutant("make a cycle", text, lines, True, f"{base.name}: {source} -> {header}")


def fork_out(base: Original) -> Iterator[Mutant]:
    """A plain edge out of a loop, beside those that stay in it: judged by the reference."""
    plain = [name for _, groups in base.chains for group in groups[:-1] for name in group if name != "start"]
    edges = {(one, other) for _, groups in base.chains for a, b in pairwise(groups) for one in a for other in b}
    for source in dict.fromkeys(plain):
        if (source, "end") not in edges:
            text = base.text.rstrip("\n") + f"\n  - {source} -> end\n"
            lines = frozenset({text.count("\n")}) | base.lines_of(text, source)
            yield Mutant("fork out of a loop", text, lines, False, f"{base.name}: {source} -> end")


def break_yaml(base: Original) -> Iterator[Mutant]:
    """One bracket, colon or quote that is missing on a line."""
    offset = 0
    for number, line in enumerate(base.text.split("\n"), start=1):
        for character in '}]:"[{':
            at = line.rfind(character) if character in "}]" else line.find(character)
            if "when" in line and character in '[]"':
                continue
            if at < 0 or line.lstrip().startswith("#"):
                continue
            text = replaced(base.text, offset + at, offset + at + 1, "")
            yield Mutant(
                "break YAML", text, frozenset({number}), _unreadable(text), f"{base.name}:{number} no {character}"
            )
        offset += len(line) + 1


def _unreadable(text: str) -> bool:
    try:
        yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return True
    return False


def break_cel(base: Original) -> Iterator[Mutant]:
    """Conditions that stop in the middle, or are written as in other languages."""
    for spot in base.spots:
        if spot.name != "when" or spot.kind != "scalar":
            continue
        start, end = spot.start + spot.quoted, spot.end - spot.quoted
        raw = base.text[start:end]
        lines = frozenset(range(line_at(base.text, spot.start), line_at(base.text, spot.end) + 1))
        block = raw[:1] in "|>"
        for new in (f"{raw} &&", raw if block else f"({raw}", raw.replace("&&", "and"), raw.replace("==", "=")):
            if new != raw:
                text = replaced(base.text, start, end, new)
                yield Mutant("break CEL", text, lines, True, f"{base.name}: {new}")


OPERATORS: tuple[Operator, ...] = (
    misspell_key, misspell_in_when, misspell_node, misspell_type, misspell_resource, misspell_setting, drop_edge,
    drop_required, drop_last_route, drop_bound, drop_merge, duplicate, duplicate_edge, swap_type, make_cycle, fork_out,
    break_yaml, break_cel,
)  # fmt: skip
